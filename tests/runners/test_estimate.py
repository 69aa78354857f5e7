"""Lengths before decoding, and the runner chosen from them."""

import pytest

from mmer_ray.audio.decode import Decoder
from mmer_ray.profiles import load_profile
from mmer_ray.records import GUESSED_BYTES_PER_S, Recording
from mmer_ray.runners.estimate import MAX_PROBED, MIN_BYTES_PER_S, estimate, with_durations

GIGABYTE = 1 << 30


class Claims(Decoder):
    """A decoder whose files claim what they are told to."""

    def __init__(self, claimed_s: dict[str, float | None]) -> None:
        self._claimed_s = claimed_s

    def probe(self, recording: Recording) -> float | None:
        return self._claimed_s.get(recording.uri)


def test_a_header_is_believed_as_far_as_the_files_size_allows() -> None:
    honest, forged = Recording("/honest.wav", size_bytes=320_000), Recording("/forged.wav", size_bytes=40_000)
    filled = with_durations([honest, forged], Claims({"/honest.wav": 10.0, "/forged.wav": 92_520.0}), GIGABYTE)
    assert [recording.expected_s for recording in filled] == [10.0, 40_000 / MIN_BYTES_PER_S]


def test_a_file_that_claims_nothing_counts_by_its_size() -> None:
    (unknown,) = with_durations([Recording("/unknown.ogg", size_bytes=GUESSED_BYTES_PER_S * 3)], Claims({}), GIGABYTE)
    assert (unknown.expected_s, unknown.planned_s) == (None, 3.0)


def test_a_file_too_big_to_be_read_costs_nothing() -> None:
    (sparse,) = with_durations([Recording("/sparse.wav", size_bytes=1 << 40)], Claims({}), GIGABYTE)
    assert sparse.planned_s == 0


def test_files_beyond_the_probed_ones_are_as_dense_as_those_of_their_kind() -> None:
    listed = [Recording(f"/{index}.opus", size_bytes=6_000) for index in range(MAX_PROBED + 1)]
    filled = with_durations(listed, Claims({recording.uri: 2.0 for recording in listed[:MAX_PROBED]}), GIGABYTE)
    assert filled[-1].expected_s == pytest.approx(2.0)


def test_a_small_job_runs_in_process_and_a_large_one_on_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    profile = load_profile("embedded", ["run.actors=2"])
    assert estimate(profile, 20, 60.0).runner == "inprocess"
    assert estimate(profile, 200, 36_000.0).runner == "ray"


def test_one_recording_gains_nothing_from_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert estimate(load_profile("embedded", ["run.actors=2"]), 1, 36_000.0).runner == "inprocess"


def test_a_named_cluster_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    assert estimate(load_profile("embedded"), 20, 60.0).runner == "ray"

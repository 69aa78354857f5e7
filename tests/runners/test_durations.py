"""Lengths before decoding."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest

from mmer_ray.records import Recording
from mmer_ray.runners.durations import MAX_PROBED, MIN_BYTES_PER_S, with_durations

GIGABYTE = 1 << 30


def listed(*files: tuple[str, int, int | None]) -> pa.Table:
    uris, sizes, expected = ([one[part] for one in files] for part in range(3))
    return pa.table(
        {
            "corpus": pa.array(["calls"] * len(files), pa.string()),
            "uri": pa.array(uris, pa.string()),
            "size_bytes": pa.array(sizes, pa.int64()),
            "expected_ms": pa.array(expected, pa.int32()),
        }
    )


def filled(todo: pa.Table, claimed_s: dict[str, float | None]) -> dict[str, int | None]:
    """Uri -> expected_ms."""

    def recordings(rows: pa.Table) -> list[Recording]:
        return [Recording(uri) for uri in rows["uri"].to_pylist()]

    def probe(asked: Sequence[Recording]) -> list[float | None]:
        return [claimed_s.get(recording.uri) for recording in asked]

    table = with_durations(todo, recordings, probe, GIGABYTE)
    return dict(zip(table["uri"].to_pylist(), table["expected_ms"].to_pylist(), strict=True))


def test_a_header_is_believed_as_far_as_the_files_size_allows() -> None:
    todo = listed(("/true.wav", 320_000, None), ("/forged.wav", 40_000, None))
    expected = filled(todo, {"/true.wav": 10.0, "/forged.wav": 92_520.0})
    assert expected == {"/true.wav": 10_000, "/forged.wav": 40_000_000 // MIN_BYTES_PER_S}


def test_a_file_that_claims_nothing_counts_by_its_size() -> None:
    todo = listed(("/unknown.ogg", 96_000, None), ("/known.ogg", 1_000, None))
    expected = filled(todo, {"/known.ogg": 0.5})
    assert expected["/unknown.ogg"] is None


def test_a_file_too_big_to_be_read_costs_nothing_and_is_not_probed() -> None:
    assert filled(listed(("/sparse.wav", 1 << 40, None)), {"/sparse.wav": 1e9}) == {"/sparse.wav": 0}


def test_files_beyond_the_probed_ones_are_as_dense_as_those_of_their_kind() -> None:
    many = [(f"/{index:05d}.OPUS", 6_000, None) for index in range(MAX_PROBED)]
    todo = listed(*many, ("/last.opus", 12_000, None), ("/other.flac", 12_000, None))
    expected = filled(todo, {uri: 2.0 for uri, _, _ in many})
    assert expected["/last.opus"] == 4_000
    assert expected["/other.flac"] is None


def test_lengths_that_are_known_are_not_probed_again() -> None:
    assert filled(listed(("/known.wav", 1_000, 7_000)), {"/known.wav": 1.0}) == {"/known.wav": 7_000}


@pytest.mark.parametrize("size", [0, 1])
def test_a_folder_of_nothing_has_lengths_too(size: int) -> None:
    assert filled(listed(*[("/empty.wav", 0, None)] * size), {}) == dict.fromkeys(["/empty.wav"][:size])

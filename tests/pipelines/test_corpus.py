"""Decode ahead, group, run, gather: with a decoder and stages made of plain values."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest

from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.pipelines.corpus import Pipeline
from mmer_ray.profiles import Profile, RunOptions
from mmer_ray.records import SAMPLE_RATE_HZ, AudioFacts, Recording, ScoredRecording, Turn, Utterance, Window

KEY = b"test"
WINDOW_S = 10.0


class PlainDecoder:
    """Decodes a uri like `25s` to 25 s of noise in windows of 10 s; `12s!` fails with `decode_error` after 12 s."""

    def __init__(self) -> None:
        self.decoded_s = 0.0
        self.closed = 0

    def decode(self, recording: Recording) -> Generator[Window | AudioFacts, None, None]:
        duration_s = float(recording.uri.rstrip("!").rstrip("s"))
        try:
            for index in range(int(np.ceil(duration_s / WINDOW_S))):
                start_s, end_s = index * WINDOW_S, min(duration_s, (index + 1) * WINDOW_S)
                self.decoded_s += end_s - start_s
                samples = np.full(round((end_s - start_s) * SAMPLE_RATE_HZ), index + 1, dtype=np.int16)
                yield Window(recording, index, 0, start_s, end_s, samples)
            if recording.uri.endswith("!"):
                raise AudioError(ErrorCode.DECODE_ERROR, "it is broken")
            yield AudioFacts("0" * 32, duration_s, 1, SAMPLE_RATE_HZ, "pcm", "wav")
        finally:
            self.closed += 1


class OneUtterance:
    """Says one utterance per window, with its first sample as text; remembers the groups it was given."""

    name = "transcribe"

    def __init__(self) -> None:
        self.groups_s: list[float] = []

    def __call__(self, windows: list[Window]) -> list[Window]:
        self.groups_s.append(sum(window.end_s - window.start_s for window in windows))
        return [self._speak(window) for window in windows]

    def _speak(self, window: Window) -> Window:
        said = Utterance(window.start_s + 1, window.end_s - 1, 0, f"W{window.index}:0", str(window.samples[0]))
        turn = Turn(window.start_s, window.end_s, 0)
        voice = np.array([1.0, 0.0], dtype=np.float32)
        return replace(window, turns=(turn,), embeddings=(voice,), utterances=(said,))


def recordings(*uris: str) -> list[Recording]:
    return [Recording(uri=uri) for uri in uris]


def score(*uris: str, batch_s: float = 600.0, stage: OneUtterance | None = None) -> list[ScoredRecording]:
    profile = Profile(name="test", run=RunOptions(batch_s=batch_s))
    with Pipeline(profile, KEY, decoder=PlainDecoder(), stages=[stage or OneUtterance()]) as pipeline:
        return list(pipeline.score(recordings(*uris)))


def answers(scored: list[ScoredRecording]) -> dict[str, object]:
    """Everything but the wall times."""
    return {one.recording.uri: replace(one, stage_seconds={}) for one in scored}


def test_every_recording_comes_out_once_with_all_its_windows() -> None:
    scored = score("25s", "3s", "40s")
    assert [one.recording.uri for one in scored] == ["25s", "3s", "40s"]
    assert [[utterance.text for utterance in one.utterances] for one in scored] == [
        ["1", "2", "3"],
        ["1"],
        ["1", "2", "3", "4"],
    ]
    assert all(one.speech_s + one.non_speech_s == one.audio.duration_s for one in scored if one.audio)


def test_answers_do_not_depend_on_grouping_or_company() -> None:
    uris = ("25s", "3s", "40s", "7s", "12s!", "11s")
    together = answers(score(*uris, batch_s=600))
    assert answers(score(*uris, batch_s=20)) == together
    for uri in uris:
        assert answers(score(uri)) == {uri: together[uri]}


def test_equal_recordings_in_one_run_keep_their_own_windows() -> None:
    scored = score("25s", "25s")
    assert [len(one.utterances) for one in scored] == [3, 3]


def test_a_bad_recording_is_a_row_and_its_neighbours_are_scored() -> None:
    scored = {one.recording.uri: one for one in score("5s", "12s!", "6s")}
    assert [scored[uri].status for uri in ("5s", "12s!", "6s")] == ["scored", "failed", "scored"]
    failed = scored["12s!"]
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.stage) == (ErrorCode.DECODE_ERROR, "decode")
    assert failed.failure.message == "it is broken"
    assert failed.utterances == ()
    assert "decode" in failed.stage_seconds


def test_groups_grow_to_the_batch_and_never_beyond_it() -> None:
    stage = OneUtterance()
    score(*["10s"] * 60, batch_s=200, stage=stage)
    assert stage.groups_s[:3] == [60, 120, 200]
    assert max(stage.groups_s) == 200
    assert sum(stage.groups_s) == 600


def test_a_window_longer_than_the_batch_goes_alone() -> None:
    stage = OneUtterance()
    score("30s", batch_s=4, stage=stage)
    assert stage.groups_s == [10, 10, 10]


def test_audio_in_memory_is_bounded_however_slow_the_stages_are() -> None:
    decoder, batch_s, ahead_s = PlainDecoder(), 20.0, []

    class Slow(OneUtterance):
        def __call__(self, windows: list[Window]) -> list[Window]:
            spoken = super().__call__(windows)
            # The decoder runs until the queue is full: then it waits for us.
            while threading.active_count() > 1 and decoder.decoded_s - sum(self.groups_s) < min(
                batch_s + WINDOW_S, 400 - sum(self.groups_s)
            ):
                pass
            ahead_s.append(decoder.decoded_s - sum(self.groups_s))
            return spoken

    profile = Profile(name="test", run=RunOptions(batch_s=batch_s))
    with Pipeline(profile, KEY, decoder=decoder, stages=[Slow()]) as pipeline:
        list(pipeline.score(recordings(*["40s"] * 10)))
    # A full queue, the window that the group had no room for, and the one in the decoder's hand.
    assert max(ahead_s) <= batch_s + 2 * WINDOW_S


def test_scored_windows_do_not_keep_their_audio() -> None:
    class Keeps:
        name = "link"
        held = 0

        def join(self, recording: Recording, facts: AudioFacts, windows: list[Window]) -> ScoredRecording:
            Keeps.held += sum(window.samples.nbytes for window in windows)
            return ScoredRecording(recording, "scored", facts)

    profile = Profile(name="test")
    pipeline = Pipeline(profile, KEY, decoder=PlainDecoder(), stages=[OneUtterance()])
    pipeline._link = Keeps()  # type: ignore[assignment]
    assert len(list(pipeline.score(recordings("25s")))) == 1
    assert Keeps.held == 0


def test_a_bug_in_a_stage_is_raised_and_the_decoding_thread_ends() -> None:
    class Broken(OneUtterance):
        def __call__(self, windows: list[Window]) -> list[Window]:
            raise ZeroDivisionError

    before = threading.active_count()
    pipeline = Pipeline(Profile(name="test"), KEY, decoder=PlainDecoder(), stages=[Broken()])
    with pytest.raises(ZeroDivisionError):
        list(pipeline.score(recordings("25s")))
    assert threading.active_count() == before


def test_a_bug_in_the_decoder_is_raised() -> None:
    pipeline = Pipeline(Profile(name="test"), KEY, decoder=PlainDecoder(), stages=[OneUtterance()])
    with pytest.raises(ValueError, match="could not convert"):
        list(pipeline.score(recordings("5s", "no number")))


def test_closing_the_iterator_stops_decoding() -> None:
    decoder, before = PlainDecoder(), threading.active_count()
    profile = Profile(name="test", run=RunOptions(batch_s=20))
    pipeline = Pipeline(profile, KEY, decoder=decoder, stages=[OneUtterance()])
    scored = pipeline.score(recordings(*["10s"] * 1_000))
    next(scored)
    scored.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert decoder.decoded_s < 200
    assert len(list(pipeline.score(recordings("25s")))) == 1, "the pipeline can be used again"


def test_wall_seconds_are_shared_out_over_recordings() -> None:
    scored = score("10s", "30s")
    assert set(scored[0].stage_seconds) == {"decode", "transcribe", "link"}
    assert scored[1].stage_seconds["transcribe"] == pytest.approx(3 * scored[0].stage_seconds["transcribe"])


def test_nothing_to_score_gives_nothing() -> None:
    assert score() == []


def test_importing_the_pipeline_loads_no_torch() -> None:
    code = "import sys, mmer_ray.pipelines.corpus; sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The endpoint's scorer on the synthetic profile: what the batch job answers, clip by clip."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.audio.decode import Decoder
from mmer_ray.demo.truth import CALLS
from mmer_ray.errors import AudioError, ErrorCode, PreflightError, UsageError
from mmer_ray.pipelines.clock import Clock
from mmer_ray.pipelines.scoring import WorkStoppedError
from mmer_ray.profiles import load_profile
from mmer_ray.records import Expected, ScoredRecording, Window
from mmer_ray.serving.clip_folder import LOCK
from mmer_ray.serving.interface import Asked
from mmer_ray.serving.local_scorers import LocalScorers
from mmer_ray.serving.scorer import OnlineScorer, start_child

SOON_S = 60.0
CALL = CALLS / "call_04_mono.opus"


def clips_in(scorer: OnlineScorer) -> list[Path]:
    """Files that were left behind."""
    return [one for one in scorer._folder.path.iterdir() if one.name != LOCK]


@pytest.fixture(scope="module")
def scorer() -> Iterator[OnlineScorer]:
    with OnlineScorer(load_profile("synthetic")) as loaded:
        yield loaded


def test_bytes_are_scored_and_leave_no_file_and_no_name(scorer: OnlineScorer) -> None:
    scored = scorer.score(Asked(CALL.read_bytes()))
    assert (scored.status, scored.recording.uri, bool(scored.utterances)) == ("scored", "", True)
    assert clips_in(scorer) == []


def test_what_is_no_audio_is_a_failed_recording(scorer: OnlineScorer) -> None:
    scored = scorer.score(Asked(b"hello"))
    assert scored.failure is not None
    assert (scored.status, scored.failure.code) == ("failed", ErrorCode.UNRECOGNISED)


def test_clips_asked_at_once_are_answered_each_by_its_own(scorer: OnlineScorer) -> None:
    async def ask(scorers: LocalScorers) -> list[ScoredRecording]:
        return await asyncio.gather(*(scorers.score(Asked(sound)) for sound in (CALL.read_bytes(), b"x", CALL)))

    with LocalScorers(scorer, threads=3) as scorers:
        first, bad, last = asyncio.run(ask(scorers))
    assert (first.status, bad.status, last.status) == ("scored", "failed", "scored")
    assert first.utterances == last.utterances


def test_cancelled_clips_are_dropped_at_once_and_the_next_one_is_answered(scorer: OnlineScorer) -> None:
    sounds = [call.read_bytes() for call in sorted(CALLS.glob("*.opus"))[:6]]
    cancelled = threading.Event()
    with ThreadPoolExecutor(len(sounds)) as threads:
        waiting = [threads.submit(scorer.score, Asked(sound), cancelled) for sound in sounds]
        next_one = threads.submit(scorer.score, Asked(CALL))
        cancelled.set()
        for one in waiting:
            with pytest.raises(WorkStoppedError):
                one.result(SOON_S)
        assert next_one.result(SOON_S).status == "scored"
    assert clips_in(scorer) == []


class NeverReady:
    """Answers nothing until it is told that nobody waits."""

    def __init__(self) -> None:
        self.begun, self.num_dropped = threading.Event(), 0

    def score(self, asked: Asked, cancelled: threading.Event) -> ScoredRecording:
        self.begun.set()
        assert cancelled.wait(SOON_S)
        self.num_dropped += 1
        raise WorkStoppedError


def test_coroutines_that_are_cancelled_drop_their_clips_also_those_that_wait_for_a_thread() -> None:
    busy = NeverReady()

    async def ask(scorers: LocalScorers) -> None:
        clips = [asyncio.ensure_future(scorers.score(Asked(b""))) for _ in range(3)]
        assert await asyncio.to_thread(busy.begun.wait, SOON_S)
        for one in clips:
            one.cancel()
        ended = await asyncio.gather(*clips, return_exceptions=True)
        assert [type(one) for one in ended] == [asyncio.CancelledError] * 3

    with LocalScorers(busy, threads=1) as scorers:  # type: ignore[arg-type]
        asyncio.run(ask(scorers))
    # Closing waits for threads at work: with a clip that nobody dropped it would not end.
    assert busy.num_dropped >= 1


def test_a_clip_meets_the_limits_of_the_endpoint_and_a_job_those_of_the_profile() -> None:
    with OnlineScorer(load_profile("synthetic", ["serve.max_audio_s=5"])) as short:
        clip, job = short.score(Asked(CALL)), short.score(Asked(CALL, is_job=True))
    assert clip.failure is not None
    assert (clip.failure.code, job.status) == (ErrorCode.TOO_LONG, "scored")


def test_what_the_models_cannot_heed_is_refused_by_name_and_what_they_can_changes_nothing(scorer: OnlineScorer) -> None:
    with pytest.raises(UsageError, match=r"^keywords: "):
        scorer.score(Asked(CALL, Expected(keywords=("Ann",))))
    told = scorer.score(Asked(CALL, Expected(languages=("en",))))
    assert told.utterances == scorer.score(Asked(CALL)).utterances


def test_without_a_sound_only_what_is_expected_is_checked(scorer: OnlineScorer) -> None:
    with pytest.raises(UsageError, match=r"^keywords: "):
        scorer.score(Asked(b"", Expected(keywords=("Ann",)), is_job=True))
    with held_children(scorer._for_jobs), held_children(scorer._for_clips):
        failure = scorer.score(Asked(b"", Expected(languages=("en",)), is_job=True)).failure
    assert failure is not None
    assert failure.code is ErrorCode.EMPTY_FILE


def test_a_long_live_call_waits_for_no_job_and_goes_behind_nothing(
    scorer: OnlineScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, backgrounds = scorer._pipeline.score, []

    def noting(*given: Any, background: bool, **named: Any) -> Iterator[ScoredRecording]:
        backgrounds.append(background)
        return score(*given, background=background, **named)

    monkeypatch.setattr(scorer._pipeline, "score", noting)
    cancelled = threading.Event()
    with ThreadPoolExecutor(1) as threads, held_children(scorer._for_jobs):
        waiting = threads.submit(scorer.score, Asked(CALL, is_job=True, is_call=True), cancelled)
        try:
            scored = waiting.result(SOON_S)
        finally:
            cancelled.set()
    assert (scored.status, backgrounds) == ("scored", [False])


@contextmanager
def held_children(decoder: Decoder) -> Iterator[None]:
    """All children of a decoder are at work meanwhile."""
    with ExitStack() as stack:
        for _ in decoder._pool._places:
            stack.enter_context(decoder._pool.place())
        yield


def test_a_clip_that_a_model_fails_on_fails_alone(scorer: OnlineScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, files = scorer._pipeline._engine, sorted(CALLS.glob("*_mono.opus"))[:3]
    alone = [scorer.score(Asked(file)) for file in files]
    hear, cursed_s = engine.hear, alone[1].audio.duration_s  # type: ignore[union-attr]

    def failing(windows: Sequence[Window], clock: Clock | None = None) -> list[Window]:
        if any(abs(window.end_s - cursed_s) < 0.01 for window in windows):
            raise ZeroDivisionError
        return hear(windows, clock)

    monkeypatch.setattr(engine, "hear", failing)
    with ThreadPoolExecutor(len(files)) as threads:
        first, bad, last = [threads.submit(scorer.score, Asked(file)) for file in files]
        with pytest.raises(ZeroDivisionError):
            bad.result(SOON_S)
        found = [one.result(SOON_S) for one in (first, last)]
    for one, wanted in zip(found, (alone[0], alone[2]), strict=True):
        assert [said.words for said in one.utterances] == [said.words for said in wanted.utterances]
    assert len(found[0].utterances) > 2


class NoDecoder:
    """Of which a child starts with a network, or not at all."""

    def __init__(self, answer: str | AudioError) -> None:
        self._answer = answer

    def network_isolation(self) -> str:
        if isinstance(self._answer, AudioError):
            raise self._answer
        return self._answer


def test_a_decoder_that_can_reach_the_network_is_told_and_one_that_does_not_start_ends_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    start_child(NoDecoder("no namespaces here"))  # type: ignore[arg-type]
    assert "access to the network (no namespaces here)" in caplog.text
    with pytest.raises(PreflightError, match="the decoder does not start: out of memory"):
        start_child(NoDecoder(AudioError(ErrorCode.KILLED, "out of memory")))  # type: ignore[arg-type]


def test_a_file_that_is_not_there_is_a_failed_recording(scorer: OnlineScorer, tmp_path: Path) -> None:
    failed = scorer.score(Asked(tmp_path / "gone.wav", is_job=True)).failure
    assert failed is not None
    assert failed.code == ErrorCode.NOT_FOUND
    assert str(tmp_path) not in failed.message

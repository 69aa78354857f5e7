"""The endpoint's scorer on the synthetic profile: what the batch job answers, clip by clip."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmer_ray.demo.truth import CALLS
from mmer_ray.errors import ErrorCode, UsageError
from mmer_ray.pipelines.scoring import WorkStoppedError
from mmer_ray.profiles import load_profile
from mmer_ray.records import Expected, ScoredRecording
from mmer_ray.serving.interface import Asked
from mmer_ray.serving.local_scorers import LocalScorers
from mmer_ray.serving.scorer import OnlineScorer

SOON_S = 60.0
CALL = CALLS / "call_04_mono.opus"


@pytest.fixture(scope="module")
def scorer() -> Iterator[OnlineScorer]:
    with OnlineScorer(load_profile("synthetic")) as loaded:
        yield loaded


def test_bytes_are_scored_and_leave_no_file_and_no_name(scorer: OnlineScorer) -> None:
    scored = scorer.score(Asked(CALL.read_bytes()))
    assert (scored.status, scored.recording.uri, bool(scored.utterances)) == ("scored", "", True)
    assert list(scorer._folder.iterdir()) == []


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
    assert list(scorer._folder.iterdir()) == []


class NeverReady:
    """Answers nothing until it is told that nobody waits."""

    def __init__(self) -> None:
        self.begun, self.dropped = threading.Semaphore(0), threading.Semaphore(0)

    def score(self, asked: Asked, cancelled: threading.Event) -> ScoredRecording:
        self.begun.release()
        assert cancelled.wait(SOON_S)
        self.dropped.release()
        raise WorkStoppedError


def test_a_coroutine_that_is_cancelled_drops_its_clip_and_those_that_wait_for_a_thread_never_begin() -> None:
    busy = NeverReady()

    async def ask(scorers: LocalScorers) -> None:
        clips = [asyncio.ensure_future(scorers.score(Asked(b""))) for _ in range(3)]
        await asyncio.to_thread(busy.begun.acquire, timeout=SOON_S)
        for one in clips:
            one.cancel()
        ended = await asyncio.gather(*clips, return_exceptions=True)
        assert [type(one) for one in ended] == [asyncio.CancelledError] * 3

    with LocalScorers(busy, threads=1) as scorers:  # type: ignore[arg-type]
        asyncio.run(ask(scorers))
        assert busy.dropped.acquire(timeout=SOON_S)
    assert not busy.begun.acquire(blocking=False)


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

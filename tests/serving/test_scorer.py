"""The endpoint's scorer on the synthetic profile: what the batch job answers, clip by clip."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mmer_ray.demo.truth import CALLS
from mmer_ray.errors import ErrorCode
from mmer_ray.profiles import load_profile
from mmer_ray.records import ScoredRecording
from mmer_ray.serving.interface import Asked
from mmer_ray.serving.local_scorers import LocalScorers
from mmer_ray.serving.scorer import OnlineScorer

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

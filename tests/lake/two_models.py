"""A lake with one recording in two corpora, answered by two emotion models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.records import Emotion, Recording, ScoredRecording
from tests.cli.makers import said, scored_as
from tests.lake.makers import KEYS, a_run, audio_file, newer, plan_of, recording_at, taken

A, B = KEYS.scorer, newer("emotion").scorer
Felt = tuple[str | None, float]
"""A label, and the probability of `angry` (the rest is `neutral`)."""

FIRST: Sequence[Felt] = (
    *(("angry", 0.9), ("angry", 0.8), ("neutral", 0.1)),
    *(("neutral", 0.2), (None, 0.5), ("neutral", 0.3)),
)
SECOND: Sequence[Felt] = (
    *(("angry", 0.7), ("neutral", 0.1), ("neutral", 0.1)),
    *(("angry", 0.6), ("angry", 0.9), (None, 0.4)),
)


def felt(recording: Recording, scorer: str, answers: Sequence[Felt], valence: float | None) -> ScoredRecording:
    spoken = [
        replace(said(10.0 * at, 10.0 * at + 5, f"sentence {at}"), emotions=(_emotion(scorer, *answer, valence),))
        for at, answer in enumerate(answers)
    ]
    return replace(scored_as(recording, spoken, 100.0), scorer=scorer)


def _emotion(scorer: str, label: str | None, p_angry: float, valence: float | None) -> Emotion:
    reason = None if label else "low_confidence"
    probabilities = {"angry": p_angry, "neutral": 1 - p_angry}
    return Emotion(scorer, label, probabilities, max(p_angry, 1 - p_angry), valence=valence, skip_reason=reason)


def two_models_lake(folder: Path) -> Path:
    """Make it in a folder."""
    recordings = [
        recording_at(audio_file(folder / corpus, "call.wav", b"the same bytes"), folder / corpus, corpus)
        for corpus in ("calls", "copies")
    ]
    lake = Lake(folder / "lake")
    for keys, answers, valence in ((KEYS, FIRST, 0.25), (newer("emotion"), SECOND, 0.5)):
        plan = plan_of(recordings, lake, keys)
        with Writer(lake, a_run(keys), plan) as writer:
            for task in plan.tasks(lake, plan.todo):
                whole = felt(task.recording, keys.scorer, answers, valence)
                if task.restart == "emotion":
                    whole = replace(whole, restart="emotion", heard_key=keys.heard)
                writer.add(taken(whole, keys=keys))
    return folder / "lake"

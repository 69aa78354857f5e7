"""Two emotion models on the same utterances: counts, kappa and distances against values worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.lake.comparison import Comparison, Shift, compare
from mmer_ray.lake.queries import open_lake
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


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """One recording in two corpora, answered by two models."""
    recordings = [
        recording_at(audio_file(tmp_path / corpus, "call.wav", b"the same bytes"), tmp_path / corpus, corpus)
        for corpus in ("calls", "copies")
    ]
    lake = Lake(tmp_path / "lake")
    for keys, answers, valence in ((KEYS, FIRST, 0.25), (newer("emotion"), SECOND, 0.5)):
        plan = plan_of(recordings, lake, keys)
        with Writer(lake, a_run(keys), plan) as writer:
            for task in plan.tasks(lake, plan.todo):
                whole = felt(task.recording, keys.scorer, answers, valence)
                heard = {} if task.known is None else {"restart": task.restart, "heard_key": keys.heard}
                writer.add(taken(replace(whole, **heard), keys=keys))
    return tmp_path / "lake"


def compared(lake: Path, first: str = A, second: str = B, **options: object) -> Comparison:
    with open_lake(lake) as reader:
        return compare(reader, first, second, **options)  # type: ignore[arg-type]


def test_agreement_and_kappa_count_what_both_labelled(lake: Path) -> None:
    found = compared(lake)
    assert (found.num_utterances, found.num_labelled, found.num_first_only, found.num_second_only) == (6, 4, 1, 1)
    assert (found.num_agreed, found.agreement) == (2, 0.5)
    # Each says angry for two of four: by chance they would agree on half, and they do.
    assert found.kappa == pytest.approx(0.0)
    assert found.labels == ("angry", "neutral")
    assert found.confusion == ((1, 1), (1, 1))
    assert found.first_shares == found.second_shares == {"angry": 0.5, "neutral": 0.5}


def test_a_model_compared_with_itself_agrees_wholly(lake: Path) -> None:
    found = compared(lake, A, A)
    assert (found.kappa, found.agreement, found.mean_distance) == (1.0, 1.0, 0.0)
    assert found.disagreements == ()
    assert found.confusion == ((2, 0), (0, 3))


def test_the_largest_disagreements_come_first_and_say_where_they_are(lake: Path) -> None:
    found = compared(lake, limit=2)
    first, second = found.disagreements
    assert (first.utterance_idx, first.distance) == (1, pytest.approx(0.7))
    assert (first.first_label, first.second_label) == ("angry", "neutral")
    assert (first.start_s, first.text, Path(first.uri).name) == (10.0, "sentence 1", "call.wav")
    assert (second.utterance_idx, second.first_label, second.second_label) == (3, "neutral", "angry")
    assert found.mean_distance == pytest.approx((0.2 + 0.7 + 0.0 + 0.4 + 0.4 + 0.1) / 6)


def test_dimensions_shift_where_both_models_have_them(lake: Path) -> None:
    assert compared(lake).shifts == {"valence": Shift(0.25, 6)}
    assert compared(lake, B, A).shifts == {"valence": Shift(-0.25, 6)}


def test_shared_audio_counts_once_and_a_corpus_can_be_named(lake: Path) -> None:
    assert compared(lake, corpus="copies").num_utterances == 6
    assert {one.corpus for one in compared(lake, corpus="copies").disagreements} == {"copies"}
    with pytest.raises(UsageError, match=f"'nobody' has no answers in .*these have: {A}, {B}"):
        compared(lake, "nobody")
    with pytest.raises(UsageError, match=r"has no answers in corpus 'other'.*these have: none"):
        compared(lake, corpus="other")


def test_kappa_of_one_and_the_same_label_is_not_defined(tmp_path: Path) -> None:
    recording = recording_at(audio_file(tmp_path / "audio", "call.wav"), tmp_path / "audio")
    lake = Lake(tmp_path / "lake")
    with Writer(lake, a_run(), plan_of([recording], lake)) as writer:
        writer.add(taken(felt(recording, A, [("angry", 0.9)] * 3, None)))
    found = compared(tmp_path / "lake", A, A)
    assert (found.kappa, found.agreement, found.shifts) == (None, 1.0, {})

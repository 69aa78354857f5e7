"""Two emotion models on the same utterances: counts, kappa and distances against values worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.lake.comparison import Comparison, Shift, compare
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from tests.lake.makers import a_run, audio_file, plan_of, recording_at, taken
from tests.lake.two_models import A, B, felt, two_models_lake


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return two_models_lake(tmp_path)


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


def test_any_number_of_disagreements_may_be_asked_for(lake: Path) -> None:
    every = compared(lake, limit=1_000).disagreements

    assert len(every) == 5
    assert [one.distance for one in every] == sorted((one.distance for one in every), reverse=True)
    for limit in range(5):
        assert compared(lake, limit=limit).disagreements == every[:limit]


def test_dimensions_shift_where_both_models_have_them(lake: Path) -> None:
    assert compared(lake).shifts == {"valence": Shift(0.25, 6)}
    assert compared(lake, B, A).shifts == {"valence": Shift(-0.25, 6)}


@pytest.mark.slow
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

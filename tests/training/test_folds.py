"""Speakers dealt to folds, by property."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmer_ray.errors import UsageError
from mmer_ray.models.interface import Clip
from mmer_ray.training.datasets import LabelledClip, Sex, sexes
from mmer_ray.training.folds import deal_speakers, split

SPEAKERS = st.dictionaries(
    st.text("abcdefgh0123", min_size=1, max_size=3), st.sampled_from(["female", "male", None]), min_size=2, max_size=24
)


def clip_of(speaker: str, sex: Sex | None) -> LabelledClip:
    return LabelledClip(Clip(np.zeros(1, np.float32), ""), "sad", speaker, sex)


@given(speakers=SPEAKERS, data=st.data(), seed=st.integers(0, 99))
def test_nobody_is_heard_on_both_sides_and_everybody_is_tested_once(
    speakers: dict[str, Sex | None], data: st.DataObject, seed: int
) -> None:
    num_folds = data.draw(st.integers(2, len(speakers)))
    clips = [clip_of(*one) for one in speakers.items() for _ in range(2)]
    tested: list[str] = []
    for test_speakers in deal_speakers(sexes(clips), num_folds, seed):
        fold = split(clips, test_speakers)
        assert fold.train
        assert fold.test
        assert not {clip.speaker for clip in fold.train} & {clip.speaker for clip in fold.test}
        assert len(fold.train) + len(fold.test) == len(clips)
        tested += sorted({clip.speaker for clip in fold.test})
    assert sorted(tested) == sorted(speakers)


@given(speakers=SPEAKERS, data=st.data(), seed=st.integers(0, 99))
def test_folds_differ_by_one_speaker_at_most_of_each_sex_and_in_all(
    speakers: dict[str, Sex | None], data: st.DataObject, seed: int
) -> None:
    folds = deal_speakers(speakers, data.draw(st.integers(2, len(speakers))), seed)
    for kept in ({"female"}, {"male"}, {None}, {"female", "male", None}):
        counts = [sum(speakers[name] in kept for name in fold) for fold in folds]
        assert max(counts) - min(counts) <= 1


def test_a_seed_deals_the_same_folds_whatever_the_order_and_another_seed_others() -> None:
    speakers = {f"{number:02d}": cast(Sex, "male" if number % 2 else "female") for number in range(1, 13)}
    turned = dict(reversed(speakers.items()))
    assert deal_speakers(speakers, 4, seed=0) == deal_speakers(turned, 4, seed=0)
    assert deal_speakers(speakers, 4, seed=0) != deal_speakers(speakers, 4, seed=1)


@pytest.mark.parametrize("num_folds", [0, 1, 4])
def test_folds_without_a_test_or_a_training_are_refused(num_folds: int) -> None:
    with pytest.raises(UsageError, match=r"2\.\.3"):
        deal_speakers({"a": None, "b": None, "c": None}, num_folds, seed=0)

"""Raters' shares and class weights of labelled utterances."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mmer_ray.errors import UsageError
from mmer_ray.training.category_targets import class_weights, shares_of
from mmer_ray.training.utterances import Sound, Utterance

LABELS = ("neutral", "happy", "sad")


def utterance(label: str | None, shares: dict[str, float] | None = None) -> Utterance:
    return Utterance("one", Sound(Path("one.wav")), "somebody", label, shares=shares, read_from="votes.csv:7")


def test_votes_are_shares_of_the_models_classes_and_a_label_counts_as_everybodys_vote() -> None:
    voted = utterance("happy", {"happy": 0.4, "sad": 0.1, "disgust": 0.5})
    found = shares_of([voted, utterance("neutral")], LABELS)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.8, 0.2], [1.0, 0.0, 0.0]]))


def test_who_voted_for_no_class_of_the_model_is_refused_by_file_and_line() -> None:
    for odd in (utterance("happy", {"disgust": 1.0}), utterance("disgust"), utterance(None)):
        with pytest.raises(UsageError, match=r"votes\.csv:7: nobody chose one of neutral, happy, sad"):
            shares_of([odd], LABELS)


def test_classes_weigh_in_inverse_proportion_and_an_utterance_weighs_1_on_average() -> None:
    utterances = [utterance(label) for label in ["neutral"] * 6 + ["happy"] * 3 + ["sad"]]
    weights = class_weights(utterances, LABELS)
    torch.testing.assert_close(weights * torch.tensor([6.0, 3.0, 1.0]), torch.full((3,), 10 / 3))


def test_a_class_that_nobody_has_gets_no_weight() -> None:
    with pytest.raises(UsageError, match="no utterance is labelled sad"):
        class_weights([utterance("neutral"), utterance("happy")], LABELS)

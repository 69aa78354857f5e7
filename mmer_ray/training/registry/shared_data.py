"""The utterances that two models were both tested on, each by folds that had not heard their speakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mmer_ray.models.registered import REGISTRY_VARIABLE
from mmer_ray.training.evaluation.result import Evaluation
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.utterances import Utterance

MIN_SHARE = 0.8
"""Of the active model's tested utterances that the new one must be tested on: data may grow, not be exchanged."""
ANEW = f"to begin anew, set {REGISTRY_VARIABLE} to a new folder"


class Judged(NamedTuple):
    """A trained model with what it did on strangers."""

    name: str
    evaluation: Evaluation
    predictions: Sequence[Predictions]


@dataclass(frozen=True)
class SharedData:
    """What two models can be compared on."""

    new: tuple[Predictions, ...]
    active: tuple[Predictions, ...]
    """About the same utterances as `new`, with the truth of the newer data: labels may have been corrected since."""
    num_speakers: int
    num_utterances: int
    num_tested: int
    """Utterances that the active model was tested on."""


def shared_data(new: Judged, active: Judged) -> SharedData:
    """Find the utterances that both models were tested on; there may be none."""
    truth = {one.utterance_id: one for answers in new.predictions for one in answers.utterances}
    tested = {one.utterance_id for answers in active.predictions for one in answers.utterances}
    shared = {name: one for name, one in truth.items() if name in tested}
    return SharedData(
        new=tuple(_kept(answers, shared) for answers in new.predictions),
        active=tuple(_kept(answers, shared) for answers in active.predictions),
        num_speakers=len({one.speaker for one in shared.values()}),
        num_utterances=len(shared),
        num_tested=len(tested),
    )


def why_not_comparable(new: Judged, active: Judged, shared: SharedData) -> list[str]:
    """Why figures of the two say nothing about each other, in words, each with a remedy; empty where they do.

    The name of the corpus does not matter: a folder may be renamed, the utterances tested are what is compared.
    """
    ours, theirs = new.evaluation, active.evaluation
    found = []
    if shared.num_utterances < MIN_SHARE * shared.num_tested:
        found.append(
            f"it was tested on {shared.num_utterances} of the {shared.num_tested} utterances that the active model "
            f"{active.name} was tested on; {MIN_SHARE:.0%} are needed"
        )
    # Families have their classes in orders of their own; comparisons go by the names.
    if sorted(ours.labels) != sorted(theirs.labels):
        found.append(f"it answers with {', '.join(ours.labels)}, {active.name} with {', '.join(theirs.labels)}")
    if ours.text.source != theirs.text.source:
        found.append(f"its words were {ours.text.source} transcripts, those of {active.name} {theirs.text.source}")
    return [f"{reason}: {ANEW}" for reason in found]


def _kept(answers: Predictions, shared: Mapping[str, Utterance]) -> Predictions:
    rows = [row for row, one in enumerate(answers.utterances) if one.utterance_id in shared]
    return replace(
        answers,
        utterances=tuple(shared[answers.utterances[row].utterance_id] for row in rows),
        logits=answers.logits[rows],
        dimensions=None if answers.dimensions is None else answers.dimensions[rows],
    )

"""What the category term is told of a corpus: the raters' shares of each utterance, and how much each class weighs.

Shape letters: B utterances, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from mmer_ray.errors import UsageError
from mmer_ray.training.utterances import Utterance


def shares_of(utterances: Sequence[Utterance], labels: Sequence[str]) -> Tensor:
    """Share of the raters who chose each class: float32, shape (B, K), rows sum to 1.

    Votes for what is none of `labels` are left out and the rest scaled to 1; an utterance without votes has all of them
    on its label. Raises `UsageError` where neither is one of the classes.
    """
    return torch.tensor([_shares(one, labels) for one in utterances], dtype=torch.float32)


def _shares(utterance: Utterance, labels: Sequence[str]) -> list[float]:
    votes = utterance.shares or ({} if utterance.label is None else {utterance.label: 1.0})
    counted = [votes.get(label, 0.0) for label in labels]
    total = sum(counted)
    if not total > 0:
        where = utterance.read_from or utterance.utterance_id
        raise UsageError(f"{where}: nobody chose one of {', '.join(labels)}: leave the utterance out")
    return [share / total for share in counted]


def class_weights(utterances: Sequence[Utterance], labels: Sequence[str]) -> Tensor:
    """Weights in inverse proportion to how often a class is the label: float32, shape (K,).

    The mean over the utterances is 1 (King and Zeng, "Logistic Regression in Rare Events Data", 2001; "balanced" in
    scikit-learn). Of the training set alone: weights that know the test set are a leak. Raises `UsageError` for a class
    that nobody has, whose weight would be infinite.
    """
    given = np.array([one.label for one in utterances])
    if absent := [label for label in labels if label not in given]:
        raise UsageError(f"no utterance is labelled {', '.join(absent)}: leave the class out, or train without class weights")
    kept = given[np.isin(given, labels)]
    weights = compute_class_weight("balanced", classes=np.array(labels), y=kept)
    return torch.from_numpy(weights).float()

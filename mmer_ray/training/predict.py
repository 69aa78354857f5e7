"""What a model says of labelled utterances, each judged by itself.

Shape letters: B utterances of a batch, N of all, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.models.batches import length_buckets
from mmer_ray.models.interface import Clip, EmotionModel, collate
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.training import world
from mmer_ray.training.kept_clips import Load, length_s, lengthened
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.utterances import Utterance

BATCH_S = 60.0
"""Padded seconds that go through a model at once."""
Row = tuple[int, NDArray[np.float32], NDArray[np.float32]]


def predict(
    model: EmotionModel,
    utterances: Sequence[Utterance],
    load: Load,
    tokenizer: PreTrainedTokenizerBase | None,
    *,
    fold: str = "",
    seed: int = 0,
) -> Predictions:
    """Ask a model about utterances, in evaluation mode, which it is left in; several workers share them.

    Every worker gets all answers, in the order of the utterances.
    """
    model.eval()
    buckets = list(length_buckets([length_s(one) for one in utterances], BATCH_S))
    rows: list[Row] = []
    for bucket in buckets[world.rank() :: world.size()]:
        rows += _ask(model, bucket, utterances, load, tokenizer)
    found = sorted(world.gather(rows), key=lambda row: row[0])
    num_labels = len(model.labels)
    dimensions_N3 = np.array([row[2] for row in found], np.float32).reshape(-1, 3)
    return Predictions(
        utterances=tuple(utterances),
        labels=model.labels,
        logits=np.array([row[1] for row in found], np.float32).reshape(-1, num_labels),
        dimensions=None if np.isnan(dimensions_N3).all() else dimensions_N3,
        fold=fold,
        seed=seed,
    )


def _ask(
    model: EmotionModel,
    rows: Sequence[int],
    utterances: Sequence[Utterance],
    load: Load,
    tokenizer: PreTrainedTokenizerBase | None,
) -> list[Row]:
    device = next(model.parameters()).device
    clips = [load(utterances[row]) for row in rows]
    whole = [Clip(lengthened(clip.samples, model.min_samples), clip.text) for clip in clips]
    with torch.inference_mode():
        output = model(collate(whole, tokenizer).to(device))
    logits_BK = output.logits.float().cpu().numpy()
    not_known_B3 = np.full((len(rows), 3), np.nan, np.float32)
    dimensions_B3 = not_known_B3 if output.dimensions is None else output.dimensions.float().cpu().numpy()
    return list(zip(rows, logits_BK, dimensions_B3, strict=True))

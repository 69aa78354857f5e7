"""Made utterances as training batches: number `n` has the same sound, words and truth in every batch and process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from mmer_ray.models.ctc.losses import pad_targets
from mmer_ray.models.interface import EmotionBatch, Targets
from mmer_ray.models.wav2vec2 import pad_batch
from mmer_ray.training.batch import TrainingBatch

NUM_CLASSES = 4
NUM_TOKENS = 300
CLASS_WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 4.0])


def training_batch(numbers: Sequence[int], num_views: int = 2, *, weighted: bool = True) -> TrainingBatch:
    """Utterances with labels, raters' shares, dimensions and transcripts; `weighted`: with class weights too.

    The model's random numbers follow from the first utterance's number.
    """
    rngs = [np.random.default_rng(number) for number in numbers]
    truth = Targets(
        labels=torch.tensor([number % NUM_CLASSES for number in numbers]),
        dimensions=torch.from_numpy(np.stack([rng.uniform(-0.9, 0.9, 3) for rng in rngs])).float(),
        ctc=pad_targets([rng.integers(5, 30, rng.integers(1, 6)).tolist() for rng in rngs]),
        shares=torch.from_numpy(np.stack([rng.dirichlet([1.0] * NUM_CLASSES) for rng in rngs])).float(),
        class_weights=CLASS_WEIGHTS if weighted else None,
    )
    views = tuple(_view([np.random.default_rng((number, view)) for number in numbers]) for view in range(num_views))
    return TrainingBatch(views, truth, tuple(f"utterance {number}" for number in numbers), seed=numbers[0])


def _view(rngs: Sequence[np.random.Generator]) -> EmotionBatch:
    samples_BS, num_samples_B = pad_batch(
        [rng.normal(0, 0.1, rng.integers(3_000, 5_000)).astype(np.float32) for rng in rngs]
    )
    tokens = [torch.from_numpy(rng.integers(5, NUM_TOKENS, rng.integers(2, 6))) for rng in rngs]
    token_ids_BN = pad_sequence(tokens, batch_first=True, padding_value=1)
    return EmotionBatch(samples_BS, num_samples_B, token_ids_BN != 1, token_ids_BN)

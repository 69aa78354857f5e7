"""Trains the head of `frozen_encoder` on features that are computed once: minutes on two cores.

The encoder never changes, so every clip goes through it once for each of its variations. A step sees several speakers
with a random number of utterances each and a random mixture of feelings, as calls have them, so that a head that adapts
to speakers learns with one utterance of somebody and with many.

Shape letters: B utterances, L layers, T frames, H hidden size, W of the text encoder, K classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mmer_ray.models.batches import LIKE_LENGTH, length_buckets
from mmer_ray.models.frozen_encoder.losses import loss as family_loss
from mmer_ray.models.frozen_encoder.model import FrozenEncoderModel
from mmer_ray.models.interface import Targets
from mmer_ray.models.norms import EmbeddingNorm
from mmer_ray.training.encoded_clips import EncodedClip
from mmer_ray.training.learner import Learner, backward_of
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.schedule import Steps

FRAME_STEP = 2
Calibration = Literal["speakers", "strangers"]


@dataclass(frozen=True)
class HeadRecipe:
    """How a head is trained."""

    ridge: float | None = None
    """Penalty of `ridge_head`, which solves a linear head at once; None: by steps, which all that follows is about."""

    num_steps: int = 300
    num_speakers: int = 4
    """Speakers of a step."""
    max_utterances: int = 16
    """Most utterances of each in a step; the number is drawn from 1 up."""
    mixture: float = 2.0
    """Parameter of the Dirichlet distribution of a speaker's feelings in a step: the smaller, the more one-sided."""
    num_variations: int = 0
    """Variations of each clip beside the clip itself."""
    calibration: Calibration = "speakers"
    """On whom the temperature is fitted, none of whom a fold's training has heard: `speakers`, others of the same
    corpus under the same conditions; `strangers`, those of the other sex saying other sentences, and their
    variations."""
    peak_rate: float = 3e-3
    warm_up_share: float = 0.05
    final_share: float = 0.01
    weight_decay: float = 0.1
    average_decay: float = 0.98
    seed: int = 0

    def for_learner(self) -> Recipe:
        """What of it concerns a step."""
        return Recipe(
            peak_rate=self.peak_rate,
            warm_up_share=self.warm_up_share,
            final_share=self.final_share,
            weight_decay=self.weight_decay,
            max_gradient_norm=0.0,
            average_decay=self.average_decay,
            precision="float32",
            seed=self.seed,
        )


def train_head(model: FrozenEncoderModel, clips: Sequence[EncodedClip], recipe: HeadRecipe) -> FrozenEncoderModel:
    """Train the head on encoded clips and return the running average of its weights, in evaluation mode.

    Everything random comes from the recipe's seed. `model` itself is trained in place.
    """
    if recipe.ridge is not None:
        return ridge_head(model, clips, recipe.ridge)
    torch.manual_seed(recipe.seed)
    _scale_layers(model, clips)
    head, by_speaker = _Head(model), _by_speaker(clips)

    def loss(_: nn.Module, batch: Sequence[EncodedClip]) -> Tensor:
        output = model.judge(*_inputs(model, batch))
        return family_loss(output, Targets(torch.tensor([one.label for one in batch])))

    learner: Learner[Sequence[EncodedClip]] = Learner(head, loss, recipe.for_learner(), backward_of)
    budget = Steps(recipe.num_steps)
    model.train()
    while (share := budget.share(learner.num_steps)) <= 1:
        rng = np.random.default_rng((recipe.seed, learner.num_steps))
        learner.step([[_every_second_frame(clips[row], rng) for row in _draw(by_speaker, recipe, rng)]], share)
    head.load_state_dict(learner.averaged.state_dict())
    return model.eval()


def logits_of(model: FrozenEncoderModel, clips: Sequence[EncodedClip], *, alone: bool = False) -> Tensor:
    """Score encoded clips: float32, shape (B, K). Clips of one speaker are one dialogue, unless each stands `alone`."""
    with torch.inference_mode():
        vectors_BD, speaker_B, text_BW = _inputs(model, clips)
        return model.judge(vectors_BD, None if alone else speaker_B, text_BW).logits.float()


@torch.no_grad()
def ridge_head(model: FrozenEncoderModel, clips: Sequence[EncodedClip], penalty: float) -> FrozenEncoderModel:
    """Solve a linear head by ridge regression onto the classes, every class weighing alike; returns the model itself.

    Utterances' vectors are scaled to unit variance; the weights W minimise mean |xW - y|^2 + penalty |W|^2 (Hastie,
    Tibshirani and Friedman, "The Elements of Statistical Learning", 2009, sections 3.4.1 and 4.2). A head that adapts
    learns from each vector adapted and alone. Raises `ValueError` for a model that has more to learn than that.
    """
    norm, linear = _linear_head(model)
    model.eval()
    _scale_layers(model, clips)
    vectors_BD, speaker_B, text_BW = _inputs(model, clips)
    model.everybody.copy_(vectors_BD.mean(dim=0))
    views = [model.judge(vectors_BD, None, text_BW).joint]
    if model.config.adapts_to_speaker:
        views.append(model.judge(vectors_BD, speaker_B, text_BW).joint)
    joint_ND = torch.cat([view for view in views if view is not None])
    labels_N = torch.tensor([one.label for one in clips]).repeat(len(views))
    norm.running_mean, norm.running_var = joint_ND.mean(dim=0), joint_ND.var(dim=0, unbiased=False)
    x_ND = norm(joint_ND).double()
    y_NK = nn.functional.one_hot(labels_N, len(model.labels)).double()
    weight_N1 = (1 / y_NK.sum(dim=0).clamp(min=1))[labels_N][:, None] / len({one.label for one in clips})
    mean_D, mean_K = (weight_N1 * x_ND).sum(dim=0), (weight_N1 * y_NK).sum(dim=0)
    x_ND, y_NK = x_ND - mean_D, y_NK - mean_K
    gram_DD = (weight_N1 * x_ND).T @ x_ND + penalty * torch.eye(x_ND.shape[1], dtype=torch.float64)
    solved_DK = torch.linalg.solve(gram_DD, (weight_N1 * x_ND).T @ y_NK)
    linear.weight.copy_(solved_DK.T)
    linear.bias.copy_(mean_K - mean_D @ solved_DK)
    return model


def _linear_head(model: FrozenEncoderModel) -> tuple[EmbeddingNorm, nn.Linear]:
    config = model.config
    if config.hidden_size or config.attention_size:
        raise ValueError("ridge regression solves a head without hidden layer and attention: train it by steps")
    norm, _, linear = model.head
    assert isinstance(norm, EmbeddingNorm)
    assert isinstance(linear, nn.Linear)
    return norm, linear


class _Head(nn.Module):
    """All that is trained, without the encoder: what the running average copies."""

    def __init__(self, model: FrozenEncoderModel) -> None:
        super().__init__()
        self.mix, self.pooling, self.head = model.mix, model.pooling, model.head
        self.register_buffer("everybody", model.everybody)


def _inputs(model: FrozenEncoderModel, clips: Sequence[EncodedClip]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Vectors, float, shape (B, D), speakers, int64, shape (B,), and texts, float32, shape (B, W), where they count."""
    vectors = []
    order: list[int] = []
    for rows in length_buckets([one.states.shape[1] for one in clips], float("inf"), LIKE_LENGTH):
        states_BTLH = pad_sequence([clips[row].states.transpose(0, 1) for row in rows], batch_first=True)
        num_frames_B = torch.tensor([clips[row].states.shape[1] for row in rows])
        vectors.append(model.pool(states_BTLH.transpose(1, 2).float(), num_frames_B))
        order += rows
    names = sorted({(one.variation, one.speaker) for one in clips})
    speaker_B = torch.tensor([names.index((one.variation, one.speaker)) for one in clips])
    texts = [one.text for one in clips if one.text is not None]
    return torch.cat(vectors)[torch.tensor(order).argsort()], speaker_B, torch.stack(texts) if texts else None


def _every_second_frame(clip: EncodedClip, rng: np.random.Generator) -> EncodedClip:
    """Half of the frames, from the first or the second on: neighbours are alike, and a step costs half."""
    if clip.states.shape[1] < FRAME_STEP:
        return clip
    return clip._replace(states=clip.states[:, rng.integers(FRAME_STEP) :: FRAME_STEP])


def _scale_layers(model: FrozenEncoderModel, clips: Sequence[EncodedClip]) -> None:
    """Set the mean and the deviation of each channel over all frames of the training clips."""
    num_frames = sum(one.states.shape[1] for one in clips)
    total_LH = torch.stack([one.states.double().sum(dim=1) for one in clips]).sum(dim=0)
    mean_LH = total_LH / num_frames
    squares_LH = torch.stack([(one.states.double() - mean_LH[:, None]).square().sum(dim=1) for one in clips])
    model.mix.mean.copy_(mean_LH)
    model.mix.deviation.copy_((squares_LH.sum(dim=0) / num_frames).sqrt().clamp(min=1e-4))


def _by_speaker(clips: Sequence[EncodedClip]) -> list[dict[int, list[int]]]:
    """Of each speaker: label -> indices of the clips."""
    table: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, one in enumerate(clips):
        table[one.speaker][one.label].append(index)
    return [dict(table[speaker]) for speaker in sorted(table)]


def _draw(by_speaker: Sequence[dict[int, list[int]]], recipe: HeadRecipe, rng: np.random.Generator) -> list[int]:
    """Draw the utterances of a step: indices."""
    drawn: list[int] = []
    for number in rng.permutation(len(by_speaker))[: recipe.num_speakers]:
        theirs = by_speaker[number]
        labels = sorted(theirs)
        shares = rng.dirichlet([recipe.mixture] * len(labels))
        for label in rng.choice(labels, size=rng.integers(1, recipe.max_utterances + 1), p=shares):
            drawn.append(int(rng.choice(theirs[label])))
    return list(dict.fromkeys(drawn))

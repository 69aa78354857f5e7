"""Trains the embedded speaker model from the synthetic set, within a budget of minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import signal
from torch import Tensor, nn

from mmer_ray.audio.features import log_mel
from mmer_ray.audio.pcm import to_float
from mmer_ray.models.speaker import checkpoint
from mmer_ray.models.speaker.config import SIZES
from mmer_ray.models.speaker.losses import additive_margin_loss
from mmer_ray.models.speaker.model import SpeakerModel, embed, pad_features
from mmer_ray.records import SAMPLE_RATE_HZ
from mmer_ray.training.augment import Conditions, augment
from mmer_ray.training.embedded_ctc import load_spoken
from mmer_ray.training.equal_error import EqualError, equal_error
from mmer_ray.training.learner import Learner, backward_of
from mmer_ray.training.mixtures import Spoken
from mmer_ray.training.prefetch import prefetch
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.schedule import WARM_UP_SHARE
from mmer_ray.training.sittings import Log, Sittings

# Each speaker is also heard with all frequencies shifted by these ratios, as another speaker.
SHIFTS = ((1, 1), (10, 11), (11, 10))

STATES_NAME = "speaker_states"
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class SpeakerTraining:
    """The recipe."""

    size: str = "tiny"
    minutes: float = 10.0
    batch_size: int = 32
    crop_range_s: tuple[float, float] = (1.0, 2.0)
    peak_rate: float = 3e-3
    weight_decay: float = 1e-3
    minutes_between_checks: float = 2.0
    check_segment_s: float = 1.5
    seed: int = 1
    num_threads: int = 1

    def for_learner(self) -> Recipe:
        """What of it concerns a step."""
        return Recipe(
            peak_rate=self.peak_rate,
            warm_up_share=WARM_UP_SHARE,
            weight_decay=self.weight_decay,
            max_gradient_norm=0.0,
            average_decay=None,
            precision="float32",
            seed=self.seed,
        )


def train_speaker(cache: Path, target: Path, recipe: SpeakerTraining, log: Log) -> None:
    """Train, checking on unseen speakers as it goes, and write the model to `target`.

    An interrupted run goes on from `cache/speaker_states`.
    """
    torch.set_num_threads(recipe.num_threads)
    torch.manual_seed(recipe.seed)
    crops = SpeakerCrops(load_spoken(cache, "train"), recipe)
    validation = load_spoken(cache, "validation")
    model = SpeakerModel(SIZES[recipe.size])
    centred = Centred(model, crops.num_speakers)
    learner: Learner[tuple[Tensor, Tensor, Tensor]] = Learner(centred, _loss, recipe.for_learner(), backward_of)
    sittings = Sittings(learner, recipe.minutes, cache / STATES_NAME, f"speaker, size {recipe.size}")

    def check() -> str:
        return describe(evaluate(model, validation, recipe.check_segment_s))

    crops.rng = np.random.default_rng(recipe.seed + learner.num_steps)
    sittings.train(prefetch(crops.batches()), recipe.minutes_between_checks, check, log)
    checkpoint.save(model, target)
    found = evaluate(checkpoint.load(target), validation, recipe.check_segment_s)
    log(f"final, {learner.num_steps} steps: {describe(found)}")


class SpeakerCrops:
    """Draws labelled crops of augmented speech without end."""

    def __init__(self, utterances: list[Spoken], recipe: SpeakerTraining) -> None:
        self.recipe = recipe
        self.rng = np.random.default_rng(recipe.seed)
        self._by_speaker: dict[str, list[Samples]] = {}
        for utterance in utterances:
            self._by_speaker.setdefault(utterance.speaker, []).append(to_float(utterance.samples))
        self._speakers = sorted(self._by_speaker)

    @property
    def num_speakers(self) -> int:
        """Count labels: every speaker at every shift."""
        return len(self._speakers) * len(SHIFTS)

    def batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield features (B, F, M), frame counts (B,) and labels (B,); the crops of a batch are equally long."""
        while True:
            num_samples = int(self.rng.uniform(*self.recipe.crop_range_s) * SAMPLE_RATE_HZ)
            labels = self.rng.integers(self.num_speakers, size=self.recipe.batch_size)
            features = [log_mel(self._crop(int(label), num_samples)) for label in labels]
            yield *pad_features(features), torch.from_numpy(labels)

    def _crop(self, label: int, num_samples: int) -> Samples:
        speaker, shift = divmod(label, len(SHIFTS))
        up, down = SHIFTS[shift]
        own = self._by_speaker[self._speakers[speaker]]
        wanted = num_samples * down // up + 1
        speech = np.zeros(0, np.float32)
        while len(speech) < wanted:
            speech = np.concatenate([speech, own[int(self.rng.integers(len(own)))]])
        start = int(self.rng.integers(len(speech) - wanted + 1))
        cut = speech[start : start + wanted]
        shifted = np.asarray(signal.resample_poly(cut, up, down), np.float32)[:num_samples]
        return augment(shifted, self.rng, Conditions(), self._bystanders())

    def _bystanders(self) -> list[Samples]:
        names = self.rng.choice(self._speakers, size=3)
        return [self._by_speaker[str(name)][0] for name in names]


@dataclass(frozen=True)
class Verification:
    """How well segments of unseen speakers are told apart."""

    all_pairs: EqualError
    other_variants: EqualError
    """Different speakers only where the variant differs too, as in the demo's calls."""
    across_feelings: float
    """Mean cosine of two utterances of one speaker, whatever the feelings."""


def evaluate(model: SpeakerModel, utterances: list[Spoken], segment_s: float) -> Verification:
    """Compare the first `segment_s` of every utterance that is so long with every other one."""
    num_samples = int(segment_s * SAMPLE_RATE_HZ)
    chosen = [utterance for utterance in utterances if len(utterance.samples) >= num_samples]
    embeddings = embed(model.eval(), [to_float(one.samples[:num_samples]) for one in chosen])
    left, right = np.triu_indices(len(chosen), k=1)
    cosines = np.sum(embeddings[left] * embeddings[right], axis=1)
    speakers = np.array([one.speaker for one in chosen])
    variants = np.array([one.speaker.split("+")[1] for one in chosen])
    same = speakers[left] == speakers[right]
    kept = same | (variants[left] != variants[right])
    return Verification(
        all_pairs=equal_error(cosines, same),
        other_variants=equal_error(cosines[kept], same[kept]),
        across_feelings=float(cosines[same].mean()),
    )


def describe(found: Verification) -> str:
    """Say it in a line."""
    return (
        f"EER {found.all_pairs.rate:.3f} at cosine {found.all_pairs.threshold:.2f}; against other variants "
        f"{found.other_variants.rate:.3f} at {found.other_variants.threshold:.2f}; "
        f"same speaker's mean cosine {found.across_feelings:.2f}"
    )


class Centred(nn.Module):
    """A speaker model and what it is trained against: a centre for each label, float, shape (K, D)."""

    def __init__(self, model: SpeakerModel, num_labels: int) -> None:
        super().__init__()
        self.model = model
        self.centres = nn.Parameter(torch.randn(num_labels, model.config.embedding_size))


def _loss(centred: Centred, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    features_BFM, num_frames_B, label_B = batch
    return additive_margin_loss(centred.model(features_BFM, num_frames_B), centred.centres, label_B)

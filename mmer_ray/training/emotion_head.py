"""From labelled speech to a model that scores corpora: encode, check on strangers, train, calibrate."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from mmer_ray.models.frozen_encoder import checkpoint
from mmer_ray.models.frozen_encoder.config import FrozenEncoderConfig
from mmer_ray.models.frozen_encoder.model import FrozenEncoderModel
from mmer_ray.training.calibration import answered, temperature_of
from mmer_ray.training.datasets import LabelledClip, sexes
from mmer_ray.training.encoded_clips import EncodedClip, encode, encode_all
from mmer_ray.training.folds import deal_speakers
from mmer_ray.training.frozen_encoder import Calibration, HeadRecipe, logits_of, train_head
from mmer_ray.training.metrics import unweighted_accuracy

NUM_FOLDS = 5
MIN_CONFIDENCE = 0.5
"""Below it, by the model's own calibrated estimate, the label is wrong more often than right."""
Log = Callable[[str], None]
Judged = tuple[tuple[Tensor, Tensor], Tensor]
"""Logits, adapted and alone, float, shape (N, K) each, and true classes, int64, shape (N,)."""


@dataclass(frozen=True)
class HeardBy:
    """How a model does on utterances of speakers that its training has not heard."""

    ua_adapted: float
    """Unweighted accuracy, each speaker's clips taken as one dialogue."""
    ua_alone: float
    """The same, each clip by itself."""
    share_answered: float
    """Utterances, adapted and alone together, whose best probability reaches `MIN_CONFIDENCE`."""
    share_right: float
    """Of those answered, how many are right; NaN of none."""

    def __str__(self) -> str:
        return (
            f"UA {self.ua_adapted:.3f} adapted to speakers, {self.ua_alone:.3f} each clip alone; "
            f"{self.share_answered:.2f} of the labels given, {self.share_right:.2f} of these right"
        )


@dataclass(frozen=True)
class TrainedHead:
    """A calibrated model and what it did on strangers."""

    model: FrozenEncoderModel
    held_out: HeardBy
    seconds: float
    recipe: HeadRecipe


def train_emotion_head(
    clips: Sequence[LabelledClip],
    config: FrozenEncoderConfig,
    encoder_name: str,
    recipe: HeadRecipe,
    log: Log,
    text_name: str | None = None,
    features: Path | None = None,
) -> TrainedHead:
    """Train a head on labelled speech.

    Folds over its speakers tell how it does on strangers; their logits, or those of `recipe.calibration`, give the
    temperature. The head that comes out is trained on everybody. `features`: a folder that keeps what the encoders
    make, as of `encoded_clips.encode`. Raises `PreflightError` where an encoder is not here.
    """
    started = time.monotonic()
    torch.manual_seed(recipe.seed)
    model = checkpoint.on_encoder(config, encoder_name, text_name)
    encoded = encode_all(model, clips, recipe.num_variations, features)
    log(f"{len(encoded)} clips encoded after {time.monotonic() - started:.0f} s")
    logits, truth = _logits_of_speakers(model, encoded, clips, recipe)
    strangers = _logits_of_strangers(model, encoded, clips, recipe) if recipe.calibration == "strangers" else None
    adapted_and_alone, calibrated_on = strangers or (logits, truth)
    temperature = temperature_of(torch.cat(adapted_and_alone), calibrated_on.repeat(2))
    held_out = measure(logits[0] / temperature, logits[1] / temperature, truth)
    log(f"speakers not heard in training: {held_out}")
    trained = train_head(_fresh(model, recipe.seed), encoded, recipe)
    config = replace(trained.config, temperature=temperature, min_confidence=MIN_CONFIDENCE)
    calibrated = FrozenEncoderModel(config)
    calibrated.load_state_dict(trained.state_dict())
    return TrainedHead(calibrated.eval(), held_out, time.monotonic() - started, recipe)


def measure_on(model: FrozenEncoderModel, clips: Sequence[LabelledClip]) -> HeardBy:
    """How a trained model does on the clips of another corpus."""
    encoded = encode(model, clips)
    truth = torch.tensor([one.label for one in encoded])
    return measure(logits_of(model, encoded), logits_of(model, encoded, alone=True), truth)


def measure(adapted_NK: Tensor, alone_NK: Tensor, truth_N: Tensor) -> HeardBy:
    """Sum up calibrated logits, float, shape (N, K), under true classes, int64, shape (N,)."""
    uas = [unweighted_accuracy(truth_N.numpy(), logits.argmax(dim=1).numpy()) for logits in (adapted_NK, alone_NK)]
    share, right = answered(torch.cat([adapted_NK, alone_NK]), truth_N.repeat(2), MIN_CONFIDENCE)
    return HeardBy(uas[0], uas[1], share, right)


def _logits_of_speakers(
    model: FrozenEncoderModel, encoded: Sequence[EncodedClip], clips: Sequence[LabelledClip], recipe: HeadRecipe
) -> Judged:
    """Judge every clip by a head that has not heard its speaker."""
    speakers = sexes(list(clips))
    adapted, alone, truth = [], [], []
    for tested in deal_speakers(speakers, min(NUM_FOLDS, len(speakers)), recipe.seed):
        head = train_head(_fresh(model, recipe.seed), [one for one in encoded if one.speaker not in tested], recipe)
        strangers = [one for one in encoded[: len(clips)] if one.speaker in tested]
        adapted.append(logits_of(head, strangers))
        alone.append(logits_of(head, strangers, alone=True))
        truth += [one.label for one in strangers]
    return (torch.cat(adapted), torch.cat(alone)), torch.tensor(truth)


def _logits_of_strangers(
    model: FrozenEncoderModel, encoded: Sequence[EncodedClip], clips: Sequence[LabelledClip], recipe: HeadRecipe
) -> Judged:
    """Judge every clip and every variation by a head that has heard nobody of its sex and nobody say its sentence.

    Raises `ValueError` where a clip's sex or sentence is not known, or one sex or one sentence is all there is.
    """
    known = [(clip.sex, clip.sentence) for clip in clips]
    if any(None in pair for pair in known) or any(len(set(column)) < 2 for column in zip(*known, strict=True)):
        raise ValueError("calibration on strangers needs clips of both sexes and several sentences, each known")
    whose = known * (len(encoded) // len(clips))
    adapted, alone, truth = [], [], []
    for sex, sentence in sorted(set(known), key=str):
        heard = [
            one for one, (their_sex, said) in zip(encoded, whose, strict=True) if their_sex != sex and said != sentence
        ]
        head = train_head(_fresh(model, recipe.seed), heard, recipe)
        # Their other sentences are the company that a speaker's are measured against.
        company = [(one, said) for one, (their_sex, said) in zip(encoded, whose, strict=True) if their_sex == sex]
        asked = torch.tensor([said == sentence for _, said in company])
        judged = [one for one, _ in company]
        adapted.append(logits_of(head, judged)[asked])
        alone.append(logits_of(head, judged, alone=True)[asked])
        truth += [one.label for one, said in company if said == sentence]
    return (torch.cat(adapted), torch.cat(alone)), torch.tensor(truth)


def _fresh(model: FrozenEncoderModel, seed: int) -> FrozenEncoderModel:
    """A model with a fresh head on the same encoder."""
    torch.manual_seed(seed)
    fresh = FrozenEncoderModel(model.config)
    fresh.encoder, fresh.text = model.encoder, model.text
    return fresh


CALIBRATED_ON: Mapping[Calibration, str] = {
    "speakers": "speakers not heard by a fold's training",
    "strangers": "the other sex saying other sentences than a fold's training heard",
}


def card_of(trained: TrainedHead, clips: Sequence[LabelledClip], corpus: str, others: Mapping[str, HeardBy]) -> str:
    """Write what a checkpoint should say of itself: what it heard, what was measured on whom."""
    config = trained.model.config
    labels = ", ".join(f"{label} {number}" for label, number in sorted(Counter(one.label for one in clips).items()))
    lines = [
        f"# Emotion from the voice ({', '.join(config.labels)}), trained on {corpus}",
        "",
        f"- A head of family `{trained.model.family}` on a frozen encoder, whose weights are not here:",
        f"  `{config.encoder_name}`.",
        f"- Trained on nothing but {len(clips)} clips of {len(sexes(list(clips)))} speakers of `{corpus}` ({labels}).",
        f"- Temperature {config.temperature:.3f}, fitted on {CALIBRATED_ON[trained.recipe.calibration]}.",
        f"  A label whose probability lies below {config.min_confidence} is withheld (`low_confidence`).",
        "",
        "## Measured",
        "",
        f"- `{corpus}`, speakers not heard in training (folds): {trained.held_out}.",
        *(f"- `{name}`, another corpus, not trained on: {heard}." for name, heard in others.items()),
        "",
        "UA is the mean recall of the classes; chance is "
        f"{1 / len(config.labels):.2f}. Adapted: all clips of a speaker are one dialogue, of about as many",
        "clips of each feeling, which calls are not. Acted speech is clearer than what people show: expect less.",
    ]
    return "\n".join(lines) + "\n"

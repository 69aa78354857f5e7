"""Pretrained encoders that an emotion model's checkpoint names instead of holding their weights.

A named part is frozen: trained weights have no name, and go into the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from mmer_ray.errors import PreflightError
from mmer_ray.models.encoder_names import ENCODER_NAME, TEXT_NAME, resolve_encoder
from mmer_ray.models.encoders import load_text_encoder, load_tokenizer, text_sizes, without_pooler
from mmer_ray.models.interface import EmotionModel
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.models.whisper_encoder import checkpoint as whisper_checkpoint

DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob")
AnyModel = TypeVar("AnyModel", bound=EmotionModel)


def weights_of(model: EmotionModel) -> dict[str, Tensor]:
    """The weights of the parts that a model's configuration names, under the model's own names of tensors.

    Raises `PreflightError` where one is not on this machine, is another than its digest says, or has other sizes.
    """
    weights: dict[str, Tensor] = {}
    for part, (key, name) in model.named_parts().items():
        read = _text_weights if key == TEXT_NAME else _speech_weights
        weights |= _prefixed(part, read(resolve_encoder(name, key).path, model.get_submodule(part)))
    return weights


def named_tokenizer(model: EmotionModel) -> PreTrainedTokenizerBase | None:
    """The tokenizer beside the text encoder that a model names; None where it names none. Raises `PreflightError`."""
    name = getattr(model.config, TEXT_NAME, None)
    return None if name is None else load_tokenizer(resolve_encoder(name, TEXT_NAME).path)


def on_pretrained(
    model_class: type[AnyModel],
    config: Any,
    *,
    encoder_name: str | None = None,
    text_name: str | None = None,
    frozen: bool = True,
) -> AnyModel:
    """Make a model with fresh weights but for its encoders, whose sizes go into its configuration.

    `encoder_name` is a Whisper in CTranslate2's format, `text_name` a text encoder, as a profile names models. They are
    frozen and named in the configuration, or, with `frozen=False`, a start for training that the checkpoint then holds.
    Raises `PreflightError` where one is not here, `UsageError` for a name that cannot be meant.
    """
    names: dict[str, str] = {}
    sizes: dict[str, Any] = {}
    weights: dict[str, Tensor] = {}
    if encoder_name is not None:
        found, part = resolve_encoder(encoder_name, ENCODER_NAME), model_class.speech_encoder_part
        speech = whisper_checkpoint.load(found.path)
        names[ENCODER_NAME], sizes[part] = found.name, {**getattr(config, part), **asdict(speech.config)}
        weights |= _prefixed(part, speech.state_dict())
    if text_name is not None:
        found, part = resolve_encoder(text_name, TEXT_NAME), model_class.text_encoder_part
        text = load_text_encoder(found.path)
        # Dropout would let a frozen encoder's answers vary in training and teach it nothing.
        quiet = dict.fromkeys(DROPOUT, 0.0) if frozen else {}
        names[TEXT_NAME], sizes[part] = found.name, {**text_sizes(text), **quiet}
        weights |= _prefixed(part, without_pooler(text))
    # At once: some families want both of one width.
    model = model_class(replace(config, **sizes, **(names if frozen else {})))
    model.load_state_dict(weights, strict=False)
    return model


def _prefixed(part: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{part}.{name}": value for name, value in weights.items()}


def _speech_weights(folder: Path, part: Any) -> dict[str, Tensor]:
    encoder = whisper_checkpoint.load(folder)
    if encoder.config != part.config:
        raise PreflightError(f"{folder} holds an encoder of other sizes than the one that the model was trained on")
    return encoder.state_dict()


def _text_weights(folder: Path, part: Any) -> dict[str, Tensor]:
    encoder = load_text_encoder(folder)
    if encoder.config.hidden_size != part.config.hidden_size:
        raise PreflightError(
            f"the text encoder in {folder} has other sizes than the one that this model was trained on"
        )
    return without_pooler(encoder)

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
from mmer_ray.models.encoders import load_text_encoder, load_tokenizer, text_sizes
from mmer_ray.models.interface import EmotionModel
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.models.whisper_encoder import checkpoint as whisper_checkpoint

POOLER = "pooler."
"""Begins the names of tensors that serve an encoder's pre-training alone."""
DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob")
OTHER_SIZES = "{folder} holds an encoder of other sizes than the one that the model was trained on"
AnyModel = TypeVar("AnyModel", bound=EmotionModel)


def weights_of(model: EmotionModel) -> dict[str, Tensor]:
    """The weights of the parts that a model's configuration names, under the model's own names of tensors.

    Raises `PreflightError` where one is not on this machine, is another than its digest says, or has other sizes.
    """
    named = model.named_parts()
    return _weights(model, {part: (key, resolve_encoder(name, key).path) for part, (key, name) in named.items()})


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
    places: dict[str, tuple[str, Path]] = {}
    if encoder_name is not None:
        found, part = resolve_encoder(encoder_name, ENCODER_NAME), model_class.speech_encoder_part
        sizes[part] = {**getattr(config, part), **asdict(whisper_checkpoint.load(found.path).config)}
        names[ENCODER_NAME], places[part] = found.name, (ENCODER_NAME, found.path)
    if text_name is not None:
        found, part = resolve_encoder(text_name, TEXT_NAME), model_class.text_encoder_part
        # Dropout would let a frozen encoder's answers vary in training and teach it nothing.
        quiet = dict.fromkeys(DROPOUT, 0.0) if frozen else {}
        sizes[part] = {**text_sizes(load_text_encoder(found.path)), **quiet}
        names[TEXT_NAME], places[part] = found.name, (TEXT_NAME, found.path)
    # At once: some families want both of one width.
    model = model_class(replace(config, **sizes, **(names if frozen else {})))
    model.load_state_dict(_weights(model, places), strict=False)
    return model


def _weights(model: EmotionModel, places: Mapping[str, tuple[str, Path]]) -> dict[str, Tensor]:
    """Read submodules: each -> the configuration's key that names such an encoder, and the encoder's folder."""
    weights: dict[str, Tensor] = {}
    for part, (key, folder) in places.items():
        read = _text_weights if key == TEXT_NAME else _speech_weights
        weights |= {f"{part}.{name}": value for name, value in read(folder, model.get_submodule(part)).items()}
    return weights


def _speech_weights(folder: Path, part: Any) -> dict[str, Tensor]:
    encoder = whisper_checkpoint.load(folder)
    if encoder.config != part.config:
        raise PreflightError(OTHER_SIZES.format(folder=folder))
    return encoder.state_dict()


def _text_weights(folder: Path, part: Any) -> dict[str, Tensor]:
    encoder = load_text_encoder(folder)
    if encoder.config.hidden_size != part.config.hidden_size:
        raise PreflightError(
            f"the text encoder in {folder} has other sizes than the one that this model was trained on"
        )
    return {name: value for name, value in encoder.state_dict().items() if not name.startswith(POOLER)}

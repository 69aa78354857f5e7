"""Pretrained encoders, speech classifiers and tokenizers: the only place that calls the Hugging Face loaders.

A source is a local folder, or a repository of the Hugging Face hub together with the commit that is meant: a branch
can move, and with it every score.

Shape letters: B texts, N padded tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForAudioClassification,
    AutoTokenizer,
    FeatureExtractionMixin,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Wav2Vec2FeatureExtractor,
)

from mmer_ray.errors import PreflightError, UsageError

AUDIO_TYPES = frozenset({"wav2vec2", "hubert", "wavlm"})
TEXT_TYPES = frozenset({"roberta", "bert", "deberta", "deberta-v2"})
MAX_TOKENS = 128
"""Longest text that is read: an utterance of 30 s has about 75 words; what lies beyond is cut."""


@dataclass(frozen=True)
class Source:
    """Where an encoder comes from."""

    address: str
    """A folder, or `owner/name` on the hub."""
    revision: str | None = None
    """Commit, 40 hex digits; needed for the hub, not for a folder."""
    offline: bool = False
    """True: only what the hub's local cache holds already."""


def load_audio_encoder(source: Source) -> PreTrainedModel:
    """Load a wav2vec2, HuBERT or WavLM backbone (without a head), in evaluation mode."""
    return _load_encoder(source, AUDIO_TYPES)


def load_text_encoder(source: Source) -> PreTrainedModel:
    """Load a RoBERTa, BERT or DeBERTa encoder (without a head), in evaluation mode."""
    return _load_encoder(source, TEXT_TYPES)


def build_audio_encoder(arguments: Mapping[str, Any]) -> PreTrainedModel:
    """Make a speech backbone with fresh weights: `model_type` (default wav2vec2), else its configuration's keys."""
    return _build({"model_type": "wav2vec2", **arguments}, AUDIO_TYPES, {})


def build_text_encoder(arguments: Mapping[str, Any]) -> PreTrainedModel:
    """Make a text encoder with fresh weights: `model_type` (default roberta), else its configuration's keys."""
    table = {"model_type": "roberta", **arguments}
    # The pooler of BERT and RoBERTa serves their pre-training; DeBERTa has none.
    options = {"add_pooling_layer": False} if table["model_type"] in {"bert", "roberta"} else {}
    return _build(table, TEXT_TYPES, options)


def load_audio_classifier(source: Source) -> PreTrainedModel:
    """Load a speech classifier with its head, float32, in evaluation mode.

    Raises `PreflightError` where the library would fill in weights that the checkpoint lacks: a head of its own makes
    such a model guess.
    """
    arguments = _arguments(source)
    try:
        classifier, report = AutoModelForAudioClassification.from_pretrained(
            source.address, output_loading_info=True, **arguments
        )
    except (OSError, ValueError, RuntimeError) as exc:
        raise PreflightError(f"no speech classifier in {source.address}: {exc}") from exc
    # The stand-in for masked frames is of use in training alone; some checkpoints come without it.
    if missing := sorted(name for name in report["missing_keys"] if not name.endswith("masked_spec_embed")):
        raise PreflightError(f"{source.address} lacks weights of its classifier: {', '.join(missing[:3])}")
    network: PreTrainedModel = classifier.float()
    torch.nn.Module.eval(network)
    return network


def load_feature_extractor(source: Source) -> FeatureExtractionMixin:
    """Load what turns samples into the inputs of a speech classifier."""
    arguments = _arguments(source)
    try:
        load: Callable[..., FeatureExtractionMixin] = AutoFeatureExtractor.from_pretrained
        extractor = load(source.address, **arguments)
    except (OSError, ValueError) as exc:
        raise PreflightError(f"no feature extractor in {source.address}: {exc}") from exc
    return extractor


def build_audio_classifier(arguments: Mapping[str, Any]) -> PreTrainedModel:
    """Make a classifier of raw speech with fresh weights: `model_type` (default wav2vec2), else its configuration."""
    table = {"model_type": "wav2vec2", **arguments}
    config = AutoConfig.for_model(_checked(table.pop("model_type"), AUDIO_TYPES), **table)
    classifier: PreTrainedModel = AutoModelForAudioClassification.from_config(config)  # type: ignore[no-untyped-call]
    return classifier


def build_feature_extractor(arguments: Mapping[str, Any]) -> FeatureExtractionMixin:
    """Make the extractor of the models of raw speech, which scales each utterance and no more."""
    return Wav2Vec2FeatureExtractor(**arguments)  # type: ignore[no-untyped-call]


def load_tokenizer(source: Source) -> PreTrainedTokenizerBase:
    """Load the tokenizer that belongs to a text encoder."""
    arguments = _arguments(source)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source.address, **arguments)
    except (OSError, ValueError) as exc:
        raise PreflightError(f"no tokenizer in {source.address}: {exc}") from exc
    return tokenizer


def tokenise(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Turn texts into padded token ids.

    Returns ids, int64, and the mask of true tokens, bool, both of shape (B, N). An empty text has two tokens, the
    begin and the end mark.
    """
    encoded = tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS)
    token_ids_BN = torch.tensor(encoded["input_ids"], dtype=torch.int64)
    return token_ids_BN, torch.tensor(encoded["attention_mask"], dtype=torch.bool)


def _load_encoder(source: Source, allowed_types: frozenset[str]) -> PreTrainedModel:
    arguments = _arguments(source)
    try:
        encoder: PreTrainedModel = AutoModel.from_pretrained(source.address, **arguments)
    except (OSError, ValueError) as exc:
        raise PreflightError(f"no encoder in {source.address}: {exc}") from exc
    model_type = encoder.config.model_type
    if model_type not in allowed_types:
        raise UsageError(f"{source.address} holds a {model_type} model; expected one of {sorted(allowed_types)}")
    torch.nn.Module.eval(encoder)
    return encoder


def _build(table: dict[str, Any], allowed_types: frozenset[str], options: dict[str, Any]) -> PreTrainedModel:
    config = AutoConfig.for_model(_checked(table.pop("model_type"), allowed_types), **table)
    encoder: PreTrainedModel = AutoModel.from_config(config, **options)  # type: ignore[no-untyped-call]
    return encoder


def _checked(model_type: str, allowed_types: frozenset[str]) -> str:
    if model_type not in allowed_types:
        raise UsageError(f"{model_type!r} is no encoder of ours; expected one of {sorted(allowed_types)}")
    return model_type


def _arguments(source: Source) -> dict[str, Any]:
    """Choose the loader's arguments; a folder is never looked for on the network."""
    if Path(source.address).is_dir():
        return {"local_files_only": True, "trust_remote_code": False}
    if source.address.startswith((".", "/", "~")):
        raise PreflightError(f"{source.address} is not a folder")
    if source.revision is None or not re.fullmatch(r"[0-9a-f]{40}", source.revision):
        raise UsageError(f"{source.address} comes from the hub: give its commit as revision, 40 hex digits")
    return {"revision": source.revision, "local_files_only": source.offline, "trust_remote_code": False}

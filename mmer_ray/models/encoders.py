"""Pretrained encoders, speech classifiers and tokenizers: the only place that calls the Hugging Face loaders.

They read folders that `resolver.resolve` found, and never the network or a pickle.

Shape letters: B texts, N padded tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.models.library import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForCTC,
    AutoTokenizer,
    FeatureExtractionMixin,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Wav2Vec2FeatureExtractor,
)
from mmer_ray.models.whisper_encoder import checkpoint as whisper_checkpoint
from mmer_ray.models.whisper_encoder import library_weights as whisper_of_library
from mmer_ray.models.whisper_encoder.backbone import WhisperBackbone
from mmer_ray.models.whisper_encoder.config import WhisperEncoderConfig

SpeechBackbone = PreTrainedModel | WhisperBackbone
AUDIO_TYPES = frozenset({"wav2vec2", "hubert", "wavlm"})
WHISPER_TYPE = "whisper"
SPEECH_TYPES = AUDIO_TYPES | {WHISPER_TYPE}
TEXT_TYPES = frozenset({"roberta", "bert", "deberta", "deberta-v2"})
_LOCAL: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}
_WEIGHTS: Mapping[str, Any] = {**_LOCAL, "use_safetensors": True}
CONFIG_NOTES = frozenset({"transformers_version", "architectures", "_name_or_path", "dtype", "torch_dtype"})
"""Keys of an encoder's configuration that say where it was, not what it is."""
MAX_TOKENS = 128
"""Longest text that is read: an utterance of 30 s has about 75 words; what lies beyond is cut."""


def load_audio_encoder(folder: Path) -> SpeechBackbone:
    """Load a wav2vec2, HuBERT or WavLM backbone without a head, or a Whisper's encoder, in evaluation mode.

    A Whisper comes as a folder of CTranslate2 or of the transformers library. Raises `PreflightError` where the folder
    holds none, `UsageError` where it holds another model.
    """
    if (_checked_folder(folder) / whisper_checkpoint.FILE_NAME).is_file():
        encoder = whisper_checkpoint.load(folder)
    elif (loaded := _load_encoder(folder, SPEECH_TYPES)).config.model_type == WHISPER_TYPE:
        encoder = whisper_of_library.convert(loaded)
    else:
        return loaded
    backbone = WhisperBackbone(encoder.config)
    backbone.load_state_dict(encoder.state_dict())
    return backbone.eval()


def load_text_encoder(folder: Path) -> PreTrainedModel:
    """Load a RoBERTa, BERT or DeBERTa encoder (without a head), in evaluation mode."""
    return _load_encoder(folder, TEXT_TYPES)


def build_audio_encoder(arguments: Mapping[str, Any]) -> SpeechBackbone:
    """Make a speech backbone with fresh weights: `model_type` (default wav2vec2), else its configuration's keys.

    Of a `whisper`: the fields of `WhisperEncoderConfig`, and `output_layer`, whose frames come out (default the last).
    Raises `UsageError` for another type, or a key that Whisper has not.
    """
    table = {"model_type": "wav2vec2", **arguments}
    if _checked(table["model_type"], SPEECH_TYPES) != WHISPER_TYPE:
        return _build(table, AUDIO_TYPES, {})
    sizes = {name: value for name, value in table.items() if name not in {"model_type", "output_layer"}}
    try:
        return WhisperBackbone(WhisperEncoderConfig(**sizes), table.get("output_layer"))
    except TypeError as exc:
        raise UsageError(f"audio: {exc}; a Whisper's keys are output_layer and those of WhisperEncoderConfig") from exc


def text_sizes(encoder: PreTrainedModel) -> dict[str, Any]:
    """Describe a text encoder as `build_text_encoder` takes it."""
    return {name: value for name, value in encoder.config.to_diff_dict().items() if name not in CONFIG_NOTES}


def without_pooler(encoder: PreTrainedModel) -> dict[str, Tensor]:
    """The weights of a text encoder, less those that serve its pre-training alone."""
    return {name: value for name, value in encoder.state_dict().items() if not name.startswith("pooler.")}


def build_text_encoder(arguments: Mapping[str, Any]) -> PreTrainedModel:
    """Make a text encoder with fresh weights: `model_type` (default roberta), else its configuration's keys."""
    table = {"model_type": "roberta", **arguments}
    # The pooler of BERT and RoBERTa serves their pre-training; DeBERTa has none.
    options = {"add_pooling_layer": False} if table["model_type"] in {"bert", "roberta"} else {}
    return _build(table, TEXT_TYPES, options)


def load_audio_classifier(folder: Path) -> PreTrainedModel:
    """Load a speech classifier with its head, float32, in evaluation mode.

    Raises `PreflightError` where the library would fill in weights that the checkpoint lacks: a head of its own makes
    such a model guess.
    """
    return _load_with_head(folder, AutoModelForAudioClassification, "speech classifier")


def load_speech_ctc(folder: Path) -> PreTrainedModel:
    """Load a wav2vec2, HuBERT or WavLM with its CTC head, float32, in evaluation mode. Raises as the one above."""
    network = _load_with_head(folder, AutoModelForCTC, "speech model with a CTC head")
    _checked(network.config.model_type, AUDIO_TYPES)
    return network


def load_feature_extractor(folder: Path) -> FeatureExtractionMixin:
    """Load what turns samples into the inputs of a speech classifier."""
    try:
        load: Callable[..., FeatureExtractionMixin] = AutoFeatureExtractor.from_pretrained
        extractor = load(_checked_folder(folder), **_LOCAL)
    except (OSError, ValueError) as exc:
        raise PreflightError(f"no feature extractor in {folder}: {exc}") from exc
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


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer that belongs to a text encoder."""
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(_checked_folder(folder), **_LOCAL)
    except (OSError, ValueError) as exc:
        raise PreflightError(f"no tokenizer in {folder}: {exc}") from exc
    return tokenizer


def tokenise(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Turn texts into padded token ids.

    Returns ids, int64, and the mask of true tokens, bool, both of shape (B, N). An empty text has two tokens, the
    begin and the end mark.
    """
    encoded = tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS)
    token_ids_BN = torch.tensor(encoded["input_ids"], dtype=torch.int64)
    return token_ids_BN, torch.tensor(encoded["attention_mask"], dtype=torch.bool)


def _load_with_head(folder: Path, loader: Any, what: str) -> PreTrainedModel:
    try:
        loaded, report = loader.from_pretrained(_checked_folder(folder), output_loading_info=True, **_WEIGHTS)
    except (OSError, ValueError, RuntimeError) as exc:
        raise PreflightError(f"no {what} in {folder}: {exc}") from exc
    # The stand-in for masked frames is of use in training alone; some checkpoints come without it.
    if missing := sorted(name for name in report["missing_keys"] if not name.endswith("masked_spec_embed")):
        raise PreflightError(f"{folder} lacks weights of its {what}: {', '.join(missing[:3])}")
    network: PreTrainedModel = loaded.float()
    torch.nn.Module.eval(network)
    return network


def _load_encoder(folder: Path, allowed_types: frozenset[str]) -> PreTrainedModel:
    try:
        encoder: PreTrainedModel = AutoModel.from_pretrained(_checked_folder(folder), **_WEIGHTS)
    except (OSError, ValueError) as exc:
        raise PreflightError(f"no encoder in {folder}: {exc}") from exc
    model_type = encoder.config.model_type
    if model_type not in allowed_types:
        raise UsageError(f"{folder} holds a {model_type} model; expected one of {sorted(allowed_types)}")
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


def _checked_folder(folder: Path) -> Path:
    """Return the folder; the library would look for another name on the network."""
    if not folder.is_dir():
        raise PreflightError(f"{folder} is not a folder")
    return folder

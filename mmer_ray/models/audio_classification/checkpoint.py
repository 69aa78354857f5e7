"""The transformers library's own folder: `config.json`, `model.safetensors`, `preprocessor_config.json`."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import torch

from mmer_ray.errors import PreflightError
from mmer_ray.models.audio_classification.model import AudioClassificationModel
from mmer_ray.models.encoders import load_audio_classifier, load_feature_extractor
from mmer_ray.models.interface import LoadedModel
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.records import SAMPLE_RATE_HZ


def save(
    folder: Path, model: AudioClassificationModel, tokenizer: PreTrainedTokenizerBase | None, dtype: torch.dtype
) -> None:
    """Write a checkpoint that `load` reads back; weights are stored as `dtype`. There is no text: no tokenizer."""
    network = deepcopy(model.network)
    torch.nn.Module.to(network, dtype)
    network.save_pretrained(folder)
    model.extractor.save_pretrained(folder)


def load(folder: Path) -> LoadedModel:
    """Read a classifier's folder: float32, evaluation mode.

    Raises `PreflightError` if it is not whole, is not for speech at 16 kHz, or answers with anything but one class.
    """
    network, extractor = load_audio_classifier(folder), load_feature_extractor(folder)
    config = network.config
    if len(config.id2label or ()) < 2 or config.problem_type not in (None, "single_label_classification"):
        raise PreflightError(f"{folder} holds no classifier of one class in several: its problem_type differs")
    rate_hz = getattr(extractor, "sampling_rate", None)
    if rate_hz != SAMPLE_RATE_HZ:
        raise PreflightError(f"{folder} expects audio of {rate_hz} Hz; here everything is {SAMPLE_RATE_HZ} Hz")
    return LoadedModel(AudioClassificationModel(network, extractor).eval(), None)

"""A model of ours on disk, of any kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from mmer_ray.errors import PreflightError
from mmer_ray.models import families, folders
from mmer_ray.models.speaker.config import SIZES, SpeakerConfig
from mmer_ray.training.embedded_text import train_tokenizer

CONFIG = SIZES["test"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    folders.write_folder(tmp_path, nn.Linear(2, 3), CONFIG)
    return tmp_path


def test_a_configuration_comes_back_as_it_was_and_weights_rounded_to_half_precision(folder: Path) -> None:
    assert folders.read_config(folder, SpeakerConfig) == CONFIG
    model = nn.Linear(2, 3)
    folders.read_weights(folder, model)
    torch.manual_seed(0)
    assert torch.equal(model.weight, nn.Linear(2, 3).weight.half().float())


def test_weights_can_be_read_by_others_than_their_owner(folder: Path) -> None:
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"channelz": 3}, r"unknown keys \['channelz'\].*'channels'"), ({"family": "mmer"}, "names another family")],
)
def test_a_configuration_with_a_key_of_something_else_is_refused(
    folder: Path, changes: dict[str, object], message: str
) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(PreflightError, match=message):
        folders.read_config(folder, SpeakerConfig)


@pytest.mark.parametrize("damage", ["missing", "short", "other"])
def test_weights_that_cannot_be_read_or_do_not_fit_are_named(folder: Path, damage: str) -> None:
    file, model = folder / "model.safetensors", nn.Linear(2, 3)
    if damage == "missing":
        file.unlink()
    elif damage == "short":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        model = nn.Linear(4, 3)
    with pytest.raises(PreflightError, match=r"model\.safetensors"):
        folders.read_weights(folder, model)


def test_a_temperature_beside_any_emotion_models_configuration_comes_back_with_the_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    families.save_emotion_model(tmp_path, families.build("late_fusion", "tiny"), train_tokenizer(["a b"], 300))
    assert families.load_emotion_model(tmp_path).model.temperature == 1.0
    folders.write_temperature(tmp_path, 2.5)
    assert families.load_emotion_model(tmp_path).model.temperature == 2.5
    folders.write_temperature(tmp_path, 1.5)
    assert families.load_emotion_model(tmp_path).model.temperature == 1.5

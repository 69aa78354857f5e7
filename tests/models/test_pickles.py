"""Pickles give up their tensors and run nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from mmer_ray.errors import PreflightError
from mmer_ray.models.pickles import read_pickle


class Settings:
    """What a training framework leaves beside its tensors."""

    def __init__(self) -> None:
        self.batch = 32


class Malicious:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def test_tensors_are_read_from_among_objects_of_other_classes(tmp_path: Path) -> None:
    file = tmp_path / "training.bin"
    torch.save({"state_dict": {"weight": torch.arange(3.0)}, "settings": Settings()}, file)

    assert read_pickle(file)["state_dict"]["weight"].tolist() == [0.0, 1.0, 2.0]


def test_a_function_that_a_pickle_names_is_not_run(tmp_path: Path) -> None:
    file, trace = tmp_path / "malicious.bin", tmp_path / "trace"
    torch.save({"weight": torch.zeros(1), "more": Malicious(f"touch {trace}")}, file)

    with pytest.raises(PreflightError, match="is no pickle of tensors"):
        read_pickle(file)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_pickle_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(content)
    with pytest.raises(PreflightError, match=r"model\.bin is no pickle of tensors"):
        read_pickle(file)


def test_a_lone_tensor_is_not_a_model(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    torch.save(torch.zeros(1), file)
    with pytest.raises(PreflightError, match="holds a Tensor"):
        read_pickle(file)

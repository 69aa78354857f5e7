"""The reader of CTranslate2's files, on files that CTranslate2 itself writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ctranslate2.specs import model_spec, whisper_spec

from mmer_ray.errors import PreflightError
from mmer_ray.models.ctranslate2_file import read_file, read_tensors
from tests.models.whisper_maker import random_spec


def written(folder: Path, quantization: str | None) -> tuple[Path, whisper_spec.WhisperSpec]:
    folder.mkdir(exist_ok=True)
    spec = random_spec()
    spec.optimize(quantization=quantization)
    spec.save(str(folder))
    return folder / "model.bin", spec


def test_every_tensor_comes_back_with_its_name_shape_type_and_values(tmp_path: Path) -> None:
    path, spec = written(tmp_path, "float32")
    tensors = read_tensors(path)
    expected = {name: value for name, value in spec.variables(ordered=True) if not isinstance(value, str)}
    aliases = {name: value for name, value in spec.variables(ordered=True) if isinstance(value, str)}
    assert tensors.keys() == expected.keys() | aliases.keys()
    for name, value in expected.items():
        assert tensors[name].shape == tuple(value.shape)
        assert np.array_equal(tensors[name], value.numpy())
    for alias, name in aliases.items():
        assert tensors[alias] is tensors[name]


@pytest.mark.parametrize(
    ("quantization", "step"), [("float16", 1e-3), ("bfloat16", 1e-2), ("int8", 0.02), ("int16", 2e-3)]
)
def test_quantised_weights_are_close_to_what_they_were_made_from(
    tmp_path: Path, quantization: str, step: float
) -> None:
    exact = read_file(written(tmp_path / "exact", "float32")[0])
    stored = read_file(written(tmp_path / "stored", quantization)[0])
    name = "encoder/layer_0/ffn/linear_0/weight"
    assert stored.float32(name).dtype == np.float32
    largest = np.abs(exact.tensors[name]).max()
    assert np.abs(stored.float32(name) - exact.tensors[name]).max() <= step * largest


def test_the_specification_and_its_revision_are_told(tmp_path: Path) -> None:
    file = read_file(written(tmp_path, None)[0])
    assert (file.name, file.revision) == ("WhisperSpec", whisper_spec.WhisperSpec(1, 1, 1, 1).revision)


def test_another_binary_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_spec, "CURRENT_BINARY_VERSION", 7)
    with pytest.raises(PreflightError, match="binary version is 7"):
        read_tensors(written(tmp_path, None)[0])


@pytest.mark.parametrize("num_bytes", [0, 3, 100, 10_000])
def test_a_file_cut_short_is_refused(tmp_path: Path, num_bytes: int) -> None:
    path = written(tmp_path, None)[0]
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(PreflightError, match=r"model\.bin.*bring it again"):
        read_tensors(path)


def test_bytes_behind_the_end_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, None)[0]
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(PreflightError, match="4 bytes follow"):
        read_tensors(path)

"""From a model's name to its folder and digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.errors import PreflightError
from mmer_ray.models.locate import locate


def fill(folder: Path, **files: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return folder


def test_the_digest_follows_names_and_bytes_of_the_model_and_not_its_notes(tmp_path: Path) -> None:
    first = locate(str(fill(tmp_path / "a", model_safetensors=b"1", config_json=b"{}")), "ctc")
    same = locate(str(fill(tmp_path / "b", model_safetensors=b"1", config_json=b"{}", README_md=b"notes")), "ctc")
    other = locate(str(fill(tmp_path / "c", model_safetensors=b"2", config_json=b"{}")), "ctc")
    assert first.path == tmp_path / "a"
    assert first.digest == same.digest != other.digest


def test_bytes_moved_from_one_file_to_the_next_change_the_digest(tmp_path: Path) -> None:
    left = locate(str(fill(tmp_path / "a", model_safetensors=b"12", vocab_txt=b"3")), "ctc")
    right = locate(str(fill(tmp_path / "b", model_safetensors=b"1", vocab_txt=b"23")), "ctc")
    assert left.digest != right.digest


@pytest.mark.parametrize("missing", ["nowhere", "empty", "without_weights"])
def test_a_folder_without_weights_is_refused_with_the_remedy(tmp_path: Path, missing: str) -> None:
    fill(tmp_path / "empty")
    fill(tmp_path / "without_weights", config_json=b"{}")
    with pytest.raises(PreflightError, match=rf"no speaker model in .*{missing}: give 'embedded' or a folder with"):
        locate(str(tmp_path / missing), "speaker")

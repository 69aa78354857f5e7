"""From a model's name to its files."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.models.refs import ModelRef, parse_ref
from mmer_ray.models.resolver import MissingModelError, ResolvedModel, resolve
from tests.models.makers import COMMIT, fill, hub_snapshot, safetensors_folder, whisper_folder


def found(kind: str, text: object) -> ResolvedModel:
    return resolve(parse_ref(kind, str(text)))


@pytest.mark.parametrize("kind", ["ctc", "speaker", "emotion"])
def test_the_embedded_models_come_with_the_package(kind: str) -> None:
    model = found(kind, "embedded")
    assert (model.path / "model.safetensors").is_file()
    assert model.num_bytes > 100_000


def test_the_digest_follows_names_and_bytes_of_the_model_and_not_its_place_or_notes(tmp_path: Path) -> None:
    first = found("ctc", safetensors_folder(tmp_path / "a"))
    same = found("ctc", fill(safetensors_folder(tmp_path / "b"), {"README.md": b"notes", ".json": b"hidden"}))
    other = found("ctc", safetensors_folder(tmp_path / "c", weights=b"others!"))
    assert first.path == tmp_path / "a"
    assert first.digest == same.digest != other.digest
    assert len(first.digest) == 16


def test_bytes_moved_from_one_file_to_the_next_change_the_digest(tmp_path: Path) -> None:
    left = found("ctc", fill(safetensors_folder(tmp_path / "a", b"12"), {"vocab.txt": b"3"}))
    right = found("ctc", fill(safetensors_folder(tmp_path / "b", b"1"), {"vocab.txt": b"23"}))
    assert left.digest != right.digest


def test_the_digest_is_what_sha256sum_prints(tmp_path: Path) -> None:
    model = found("whisper", whisper_folder(tmp_path / "a"))
    command = "sha256sum config.json model.bin tokenizer.json vocabulary.txt | sha256sum"
    printed = subprocess.run(["bash", "-c", command], cwd=tmp_path / "a", check=True, capture_output=True).stdout
    assert printed.decode().split()[0] == model.sha256


def test_a_folder_of_ctranslate2_is_a_whisper_and_no_ctc(tmp_path: Path) -> None:
    assert found("whisper", whisper_folder(tmp_path / "a")).path == tmp_path / "a"
    with pytest.raises(MissingModelError, match=r"no ctc model .*it has no \*\.safetensors"):
        found("ctc", tmp_path / "a")


def test_a_model_inside_an_installed_package_is_found_without_running_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whisper_folder(tmp_path / "some_models" / "tiny")
    (tmp_path / "some_models" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert found("whisper", "package:some_models/tiny").path == tmp_path / "some_models" / "tiny"
    assert "some_models" not in sys.modules


def test_one_file_of_an_installed_package_is_a_model_too() -> None:
    model = found("vad", "package:faster_whisper/assets/silero_vad_v6.onnx")
    assert model.num_bytes == model.path.stat().st_size > 100_000


@pytest.mark.parametrize("text", ["package:some_models/../../secret", "package:some-models/tiny", "package:"])
def test_an_address_that_leaves_its_package_or_names_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="package:NAME/PATH"):
        found("whisper", text)


def test_the_hub_cache_is_read_at_the_commit_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = safetensors_folder(hub_snapshot(tmp_path, "owner/name"))
    assert found("emotion", f"owner/name@{COMMIT}").path == snapshot
    with pytest.raises(MissingModelError, match=r"snapshots/f{40}: it does not exist"):
        found("emotion", f"owner/name@{'f' * 40}")


def test_weights_of_another_digest_are_refused_with_the_file_and_both_digests(tmp_path: Path) -> None:
    folder = whisper_folder(tmp_path / "a", weights=b"true")
    right, wrong = (hashlib.sha256(content).hexdigest() for content in (b"true", b"forged"))
    assert found("whisper", f"{folder}#sha256={right}").path == folder
    with pytest.raises(PreflightError, match=rf"a/model\.bin is not .*expected SHA-256 {wrong}, found {right}"):
        found("whisper", f"{folder}#sha256={wrong}")


def test_several_files_of_weights_have_no_one_digest(tmp_path: Path) -> None:
    folder = fill(safetensors_folder(tmp_path / "a"), {"more.safetensors": b"2"})
    with pytest.raises(UsageError, match="2 are there"):
        found("ctc", f"{folder}#sha256={'0' * 64}")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (None, "it does not exist"),
        ({}, r"it has no config\.json, no \*\.safetensors"),
        ({"config.json": b"{}"}, r"it has no \*\.safetensors"),
        ({"config.json": b"{}", "pytorch_model.bin": b"1"}, "its weights are pickles"),
        (
            {
                "config.json": b"{}",
                "model-1-of-2.safetensors": b"1",
                "model.safetensors.index.json": b'{"weight_map": {"a": "model-1-of-2.safetensors", "b": "gone"}}',
            },
            "it has no gone",
        ),
    ],
)
def test_a_folder_that_is_no_model_is_named_with_what_it_lacks_and_every_remedy(
    tmp_path: Path, files: dict[str, bytes] | None, why: str
) -> None:
    if files is not None:
        fill(tmp_path / "odd", files)
    with pytest.raises(MissingModelError, match=rf"no speaker model in {tmp_path}/odd: {why}") as caught:
        found("speaker", tmp_path / "odd")
    for remedy in ("'embedded'", "a folder with config.json", "`pip install NAME`", "`mmer models fetch --set diarize"):
        assert remedy in str(caught.value)


def test_the_first_remedy_is_the_one_that_the_name_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for text, first in (
        ("package:no_such_models/tiny", "`pip install no-such-models`"),
        (f"owner/name@{COMMIT}", f"run `mmer models fetch --set transcribe.model=whisper:owner/name@{COMMIT}`"),
    ):
        with pytest.raises(MissingModelError) as caught:
            found("whisper", text)
        assert f"Remedies: {first}" in str(caught.value)


def test_resolving_loads_no_torch() -> None:
    code = "import sys, mmer_ray.models.fetch, mmer_ray.stages.preflight; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_two_names_of_one_model_have_one_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    safetensors_folder(hub_snapshot(tmp_path / "hub", "owner/name"))
    by_folder = found("ctc", safetensors_folder(tmp_path / "a"))
    by_hub = resolve(ModelRef("ctc", "owner/name", COMMIT))
    assert by_folder.digest == by_hub.digest

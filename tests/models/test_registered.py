"""Registered emotion models by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.models.refs import parse_ref
from mmer_ray.models.registered import registered_files, registry_folder
from mmer_ray.models.resolver import MissingModelError, ResolvedModel, resolve
from tests.models.makers import fill, safetensors_folder


def found(name: str, kind: str = "emotion") -> ResolvedModel:
    return resolve(parse_ref(kind, name))


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint folder of the registered model `calls-1`."""
    monkeypatch.setenv("MMER_REGISTRY", str(tmp_path / "registry"))
    monkeypatch.chdir(tmp_path)
    folder = safetensors_folder(tmp_path / "registry" / "models" / "calls-1" / "model")
    fill(folder.parent, {"entry.json": f'{{"sha256": "{found(str(folder)).sha256}"}}'.encode()})
    return folder


def test_a_name_means_the_registered_folder_and_its_digest(registered: Path) -> None:
    model = found("calls-1")
    assert model.path == registered
    assert model.digest == found(str(registered)).digest


def test_a_model_that_changed_since_it_was_registered_is_refused(registered: Path) -> None:
    fill(registered, {"model.safetensors": b"others!"})
    with pytest.raises(PreflightError, match=r"calls-1 has changed since it was registered.*Remedies"):
        found("calls-1")


def test_a_name_that_is_also_a_folder_here_is_refused_until_one_is_meant(registered: Path, tmp_path: Path) -> None:
    safetensors_folder(tmp_path / "calls-1", b"another")
    with pytest.raises(UsageError, match=r"write \./calls-1"):
        found("calls-1")
    assert found("./calls-1").digest != found(str(registered)).digest


def test_a_digest_in_the_name_is_held_against_the_weights(registered: Path) -> None:
    with pytest.raises(PreflightError, match="is not the emotion model that was asked for"):
        found(f"calls-1#sha256={'0' * 64}")


def test_only_emotion_models_are_registered_and_others_are_missing_with_a_remedy(registered: Path) -> None:
    with pytest.raises(MissingModelError, match="no ctc model in calls-1"):
        found("calls-1", "ctc")
    with pytest.raises(MissingModelError, match="see `mmer models list`"):
        found("calls-2")


def test_an_entry_that_cannot_be_read_is_no_missing_model(registered: Path) -> None:
    fill(registered.parent, {"entry.json": b"{"})
    with pytest.raises(PreflightError, match=r"entry.json is no entry of a registry"):
        found("calls-1")


@pytest.mark.parametrize("name", ["../registry", "/etc", "a/b", "", ".", "embedded/model"])
def test_what_is_no_name_is_never_looked_for(registered: Path, name: str) -> None:
    assert registered_files(name) is None


def test_the_registry_lies_where_the_variable_says_else_among_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMER_REGISTRY", "/models")
    assert registry_folder() == Path("/models")
    monkeypatch.delenv("MMER_REGISTRY")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert registry_folder() == Path("/data/mmer_ray/registry")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert registry_folder() == Path("/home/somebody/.local/share/mmer_ray/registry")

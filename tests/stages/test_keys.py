"""What made a result."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mmer_ray.errors import PreflightError
from mmer_ray.profiles import STAGES, Profile, load_profile
from mmer_ray.stages import fingerprints as module
from mmer_ray.stages.fingerprints import fingerprints


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for part in ("speaker", "ctc", "mmer"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "model.safetensors").write_bytes(part.encode())
    return tmp_path


def profile(models: Path, *settings: str) -> Profile:
    stages = {"diarize": "speaker", "transcribe": "ctc", "emotion": "mmer"}
    chosen = [f"{stage}.model={models / part}" for stage, part in stages.items()]
    return load_profile("embedded", [*chosen, *settings])


def changed(models: Path, *settings: str) -> set[str]:
    before, after = fingerprints(profile(models)), fingerprints(profile(models, *settings))
    return {stage for stage in before if before[stage] != after[stage]}


def test_every_stage_has_its_own_fingerprint(models: Path) -> None:
    prints = fingerprints(profile(models))
    assert tuple(prints) == STAGES
    assert len(set(prints.values())) == len(STAGES)
    assert prints == fingerprints(profile(models))


@pytest.mark.parametrize(
    ("setting", "stage"),
    [
        ("decode.window_s=60", "decode"),
        ("diarize.vad_threshold=0.4", "diarize"),
        ("diarize.distance_threshold=0.3", "diarize"),
        ('link.channel_roles=["agent"]', "link"),
    ],
)
def test_an_option_that_changes_answers_changes_its_stage_alone(models: Path, setting: str, stage: str) -> None:
    assert changed(models, setting) == {stage}


@pytest.mark.parametrize(
    "setting", ["transcribe.batch_s=7", "emotion.batch_s=7", "run.batch_s=60", "run.actors=4", "decode.stall_s=90"]
)
def test_an_option_that_only_costs_time_changes_nothing(models: Path, setting: str) -> None:
    assert changed(models, setting) == set()


def test_new_weights_change_the_stage_that_reads_them_and_a_copy_elsewhere_does_not(models: Path) -> None:
    before = fingerprints(profile(models))
    (models / "copy").mkdir()
    (models / "copy" / "model.safetensors").write_bytes(b"mmer")
    assert changed(models, f"emotion.model={models / 'copy'}") == set()
    (models / "mmer" / "model.safetensors").write_bytes(b"better")
    after = fingerprints(profile(models))
    assert {stage for stage in before if before[stage] != after[stage]} == {"emotion"}


def test_a_new_version_of_a_stage_changes_its_fingerprint(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprints(profile(models))
    monkeypatch.setattr(module, "VERSIONS", {**module.VERSIONS, "link": "another"})
    after = fingerprints(profile(models))
    assert {stage for stage in before if before[stage] != after[stage]} == {"link"}


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match=r"no ctc model in .*nowhere"):
        fingerprints(load_profile("embedded", [f"diarize.model={speaker(tmp_path)}", "transcribe.model=/nowhere"]))


def speaker(folder: Path) -> Path:
    (folder / "model.safetensors").write_bytes(b"speaker")
    return folder


def test_fingerprints_load_no_torch() -> None:
    code = "import sys, mmer_ray.stages.fingerprints; sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""What made a result."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mmer_ray.errors import PreflightError
from mmer_ray.profiles import STAGES, Profile, load_profile
from mmer_ray.stages import diarize, emotion, join, keys, link, transcribe
from mmer_ray.stages.keys import Keys, felt_keys, keys_of
from tests.models.makers import aligner_folder, whisper_folder

CHAIN = {stage: set(STAGES[index:]) for index, stage in enumerate(STAGES)}
"""A stage's key and all that cover it."""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for part in ("speaker", "ctc", "mmer"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "model.safetensors").write_bytes(part.encode())
        (tmp_path / part / "config.json").write_text("{}")
    (tmp_path / "mmer" / "config.json").write_text('{"family": "mmer"}')
    return tmp_path


def profile(models: Path, *settings: str) -> Profile:
    stages = {"diarize": "speaker", "transcribe": "ctc", "emotion": "mmer"}
    chosen = [f"{stage}.model={models / part}" for stage, part in stages.items()]
    return load_profile("synthetic", [*chosen, *settings])


def changed(before: Keys, after: Keys) -> set[str]:
    return {name for name in before.__dataclass_fields__ if getattr(before, name) != getattr(after, name)}


def test_every_stage_has_its_own_key(models: Path) -> None:
    made = keys_of(profile(models))
    found = [getattr(made, stage) for stage in STAGES]
    assert len(set(found)) == len(STAGES)
    assert all(len(key) == 16 and int(key, 16) >= 0 for key in found)
    assert made == keys_of(profile(models))
    assert made.heard == made.join


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("decode.window_s=60", CHAIN["decode"]),
        ("vad.threshold=0.4", CHAIN["diarize"]),
        ("vad.min_silence_s=0.5", CHAIN["diarize"]),
        ("diarize.distance_threshold=0.3", CHAIN["diarize"]),
        ("diarize.max_speakers=3", CHAIN["diarize"]),
        ("transcribe.beam_width=1", CHAIN["transcribe"]),
        ("join.distance_threshold=0.3", CHAIN["join"]),
        ('link.channel_roles=["agent"]', {"channel_roles"}),
        ("decode.max_duration_s=60", {"limits"}),
        ("decode.max_file_bytes=1000", {"limits"}),
        ("decode.max_decoded_bytes=1000", {"limits"}),
        ("decode.max_memory_mb=1000", {"limits"}),
        ("decode.stall_s=90", {"limits"}),
        ("transcribe.batch_s=7", set()),
        ("emotion.batch_s=7", set()),
        ("run.batch_s=60", set()),
        ("run.max_actors=4", set()),
        ("run.compact_after_files=0", set()),
    ],
)
def test_an_option_changes_the_keys_of_what_hangs_on_it_and_no_other(
    models: Path, setting: str, names: set[str]
) -> None:
    assert changed(keys_of(profile(models)), keys_of(profile(models, setting))) == names


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("speaker", CHAIN["diarize"]),
        ("ctc", CHAIN["transcribe"]),
        ("mmer", CHAIN["emotion"] | {"scorer"}),
    ],
)
def test_new_weights_change_the_keys_of_what_hangs_on_them(models: Path, part: str, names: set[str]) -> None:
    before = keys_of(profile(models))
    (models / part / "model.safetensors").write_bytes(b"better")
    assert changed(before, keys_of(profile(models))) == names


def test_a_copy_of_a_model_elsewhere_is_the_same_model(models: Path) -> None:
    (models / "copy").mkdir()
    for file in (models / "mmer").iterdir():
        (models / "copy" / file.name).write_bytes(file.read_bytes())
    assert keys_of(profile(models)) == keys_of(profile(models, f"emotion.model={models / 'copy'}"))


@pytest.mark.parametrize(
    ("module", "stage"),
    [(diarize, "diarize"), (transcribe, "transcribe"), (join, "join"), (emotion, "emotion"), (link, "link")],
)
def test_a_new_version_of_a_stage_changes_its_key_and_those_behind_it(
    models: Path, monkeypatch: pytest.MonkeyPatch, module: object, stage: str
) -> None:
    before = keys_of(profile(models))
    monkeypatch.setattr(module, "VERSION", "another")
    assert changed(before, keys_of(profile(models))) == CHAIN[stage]


def test_a_new_version_of_the_decoder_changes_every_key(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys_of(profile(models))
    monkeypatch.setattr(keys, "DECODE_VERSION", "another")
    assert changed(before, keys_of(profile(models))) == CHAIN["decode"]


def test_the_scorer_is_named_by_family_and_digest(models: Path) -> None:
    scorer = keys_of(profile(models)).scorer
    assert scorer == f"mmer-{emotion.choose_scorer(profile(models).emotion).resolved().digest[:8]}"
    (models / "mmer" / "config.json").write_text('{"architectures": ["HubertForSequenceClassification"]}')
    assert keys_of(profile(models)).scorer.startswith("audio_classification-")


def test_the_member_of_a_stage_may_be_named_before_its_model(models: Path) -> None:
    named = profile(models, f"transcribe.model=ctc:{models / 'ctc'}")
    assert keys_of(named) == keys_of(profile(models))


def test_an_aligner_is_in_the_key_of_transcribe_by_its_digest(models: Path) -> None:
    whisper = f"transcribe.model=whisper:{whisper_folder(models / 'whisper')}"
    folder = aligner_folder(models / "aligner")
    named = f"transcribe.align_models.en={folder}"
    without, before = keys_of(profile(models, whisper)), keys_of(profile(models, whisper, named))
    assert changed(without, before) == CHAIN["transcribe"]
    copy = aligner_folder(models / "copy")
    assert keys_of(profile(models, whisper, f'transcribe.align_models={{en="{copy}"}}')) == before
    (folder / "vocab.json").write_text('{"b": 0}')
    assert changed(before, keys_of(profile(models, whisper, named))) == CHAIN["transcribe"]


def test_a_model_that_is_not_there_is_named(models: Path) -> None:
    with pytest.raises(PreflightError, match=r"no ctc model in .*nowhere"):
        keys_of(profile(models, "transcribe.model=/nowhere"))


def test_keys_load_no_torch() -> None:
    code = "import sys, mmer_ray.stages.keys; sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_hearing_and_a_profile_give_the_keys_of_a_job_with_both(models: Path) -> None:
    heard = keys_of(profile(models))
    shutil.copytree(models / "mmer", models / "other")
    (models / "other" / "model.safetensors").write_bytes(b"other")
    other = profile(models, f"emotion.model={models / 'other'}", 'link.channel_roles=["a", "b"]')
    assert felt_keys(heard, other) == keys_of(other)
    assert changed(heard, keys_of(other)) == {"emotion", "link", "scorer", "channel_roles"}
    assert felt_keys(replace(heard, join="another"), other).emotion != keys_of(other).emotion

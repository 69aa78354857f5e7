"""A profile's models, before anything is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmer_ray.errors import PreflightError, ProfileError, UsageError
from mmer_ray.models.emotion_checkpoints import check_emotion_model
from mmer_ray.profiles import load_profile
from mmer_ray.stages.preflight import preflight_models
from tests.models.makers import COMMIT, aligner_folder, fill, safetensors_folder, whisper_folder


def emotion_folder(folder: Path, config: object, *files: str) -> Path:
    contents = dict.fromkeys(files, b"{}")
    return fill(folder, {"config.json": json.dumps(config).encode(), "model.safetensors": b"weights"} | contents)


def test_the_synthetic_profile_has_all_its_models() -> None:
    models = preflight_models(load_profile("synthetic"))
    assert {key: model.ref.kind for key, model in models.items()} == {
        "vad.model": "vad",
        "diarize.model": "speaker",
        "transcribe.model": "ctc",
        "emotion.model": "emotion",
    }
    assert len({model.digest for model in models.values()}) == len(models)


def test_all_models_that_are_missing_are_named_at_once_a_line_each(tmp_path: Path) -> None:
    unread = emotion_folder(tmp_path / "a", {"family": "mmer", "text": None})
    settings = ["diarize.model=/no/such/a", "transcribe.model=/no/such/b", f"emotion.model={unread}"]
    with pytest.raises(PreflightError) as caught:
        preflight_models(load_profile("synthetic", settings))
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["diarize.model", "transcribe.model", "emotion.model"]
    for line, what in zip(lines, ("no speaker model", "no ctc model", "no text encoder"), strict=True):
        assert what in line


@pytest.mark.parametrize(
    ("setting", "kind"), [("diarize.model", "speaker"), ("transcribe.model", "ctc"), ("emotion.model", "emotion")]
)
def test_a_model_that_is_missing_is_named_with_the_key_that_asks_for_it(setting: str, kind: str) -> None:
    profile = load_profile("synthetic", [f"{setting}=/no/such/folder"])
    with pytest.raises(PreflightError, match=rf"no {kind} model in /no/such/folder: .*--set {setting}="):
        preflight_models(profile)


def test_an_aligner_that_is_missing_or_not_whole_is_named_with_its_language_and_the_remedies(tmp_path: Path) -> None:
    whisper = f"transcribe.model=whisper:{whisper_folder(tmp_path / 'whisper')}"
    partial = safetensors_folder(tmp_path / "partial")
    hub = f"transcribe.align_models.en=owner/name@{COMMIT}"
    with pytest.raises(PreflightError) as caught:
        preflight_models(load_profile("synthetic", [whisper, f"transcribe.align_models.de={partial}", hub]))
    german, english = str(caught.value).splitlines()
    assert german.startswith("transcribe.align_models.de: no aligner model")
    assert "it has no vocab.json" in german
    assert english.startswith("transcribe.align_models.en: no aligner model")
    assert f"run `mmer models fetch --set transcribe.align_models.LANGUAGE=owner/name@{COMMIT}`" in english
    whole = aligner_folder(tmp_path / "whole")
    models = preflight_models(load_profile("synthetic", [whisper, f"transcribe.align_models.en={whole}"]))
    assert models["transcribe.align_models.en"].path == whole


def test_aligners_are_refused_beside_a_recognizer_that_times_its_words_itself(tmp_path: Path) -> None:
    named = f"transcribe.align_models.en={aligner_folder(tmp_path)}"
    with pytest.raises(ProfileError, match=r"align_models: the recognizer ctc times its words itself.*one of whisper"):
        preflight_models(load_profile("synthetic", [named]))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("transcribe.align_models.english=a", r"transcribe\.align_models\.english"),
        ("transcribe.align_models=a", r"transcribe\.align_models: .*dictionary|mapping"),
        ("transcribe.align_models.en.de=a", "valid string"),
        ("transcribe.beam_width.en=1", "valid integer"),
        ("transcribe..en=1", r"stage\.key=value"),
    ],
)
def test_a_table_of_aligners_that_cannot_be_meant_is_refused(setting: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        load_profile("synthetic", [setting])


def test_a_branch_of_the_hub_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="40 hex digits"):
        preflight_models(load_profile("synthetic", ["transcribe.model=owner/name@main"]))


@pytest.mark.parametrize("family", ["mmer", "mmer_v1", "bridge_tokens", "leaf_transformer"])
def test_an_emotion_model_without_the_text_encoder_that_it_needs_is_missing_something(
    family: str, tmp_path: Path
) -> None:
    folder = emotion_folder(tmp_path / "a", {"family": family, "text": None})
    with pytest.raises(PreflightError, match=rf"the {family} in .* has no text encoder: .*--text"):
        preflight_models(load_profile("synthetic", [f"emotion.model={folder}"]))


def test_an_emotion_model_that_reads_text_needs_its_tokenizer(tmp_path: Path) -> None:
    config = {"family": "mmer", "text": {"hidden_size": 64}}
    with pytest.raises(PreflightError, match="has no tokenizer"):
        check_emotion_model(emotion_folder(tmp_path / "a", config))
    check_emotion_model(emotion_folder(tmp_path / "b", config, "tokenizer.json"))


def test_families_that_can_do_without_text_may(tmp_path: Path) -> None:
    check_emotion_model(emotion_folder(tmp_path / "a", {"family": "late_fusion", "text": None}))
    check_emotion_model(emotion_folder(tmp_path / "b", {"architectures": ["Wav2Vec2ForSequenceClassification"]}))


@pytest.mark.parametrize(
    ("config", "message"),
    [({"family": "oracle"}, "'oracle'.*mmer_v1"), ({}, "family None"), ([1], "no table of keys")],
)
def test_a_checkpoint_of_no_known_family_is_refused(config: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match=message):
        check_emotion_model(emotion_folder(tmp_path / "a", config))


def test_a_configuration_that_is_no_json_is_named(tmp_path: Path) -> None:
    folder = safetensors_folder(tmp_path / "a")
    (folder / "config.json").write_bytes(b"\xff")
    with pytest.raises(PreflightError, match=r"config\.json cannot be read"):
        check_emotion_model(folder)

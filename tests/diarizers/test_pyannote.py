"""Turns from a pipeline of pyannote.audio: a tiny one with random weights, read as a downloaded one is."""

from __future__ import annotations

import os
import pickle
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from mmer_ray.audio.vad import load_vad
from mmer_ray.diarizers.interface import Diarizer
from mmer_ray.diarizers.members import choose_diarizer, load_diarizer
from mmer_ray.errors import PreflightError
from mmer_ray.models.telemetry import silence_telemetry
from mmer_ray.profiles import DiarizeOptions, VadOptions, load_profile
from mmer_ray.stages.preflight import preflight_models
from tests.diarizers.pyannote_maker import make_folder, make_pipeline
from tests.diarizers.test_segmentation import sound
from tests.stages.makers import window

COMMIT = "3533c8cf8e369892e6b79ff1bf80f7b0286a54ee"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pipeline(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="module")
def diarizer(folder: Path) -> Diarizer:
    return load(folder)


def load(folder: Path, **options: float) -> Diarizer:
    return load_diarizer(DiarizeOptions(model=f"pyannote:{folder}", **options), load_vad(VadOptions()))


def test_turns_may_overlap_exclusive_ones_do_not_and_every_speaker_has_an_embedding(diarizer: Diarizer) -> None:
    (answer,) = diarizer.diarize([replace(sound(1, 6.0), start_s=600.0, end_s=606.0)])
    assert answer.turns, "a network without training hears something here"
    assert {turn.speaker for turn in answer.turns} == set(range(len(answer.embeddings)))
    assert np.allclose(np.linalg.norm(np.array(answer.embeddings), axis=1), 1, atol=1e-5)
    assert all(600.0 <= turn.start_s < turn.end_s <= 606.0 for turn in answer.turns)
    assert list(answer.turns) == sorted(answer.turns, key=lambda turn: turn.start_s)
    assert all(before.end_s <= after.start_s for before, after in pairwise(answer.exclusive_turns))
    assert {turn.speaker for turn in answer.exclusive_turns} <= {turn.speaker for turn in answer.turns}


def test_turns_of_several_speakers_say_how_sure_they_are(diarizer: Diarizer) -> None:
    (answer,) = diarizer.diarize([sound(1, 6.0)])
    assert len(answer.embeddings) > 1
    assert all(turn.confidence is None or 0 <= turn.confidence <= 1 for turn in answer.turns)
    assert any(turn.confidence is not None for turn in answer.turns)


def test_a_window_is_diarized_the_same_alone_and_in_company(diarizer: Diarizer) -> None:
    company = [sound(1, 4.0), window(0, 5), replace(sound(4, 2.0), one_speaker=True), sound(5, 0.01), sound(6, 1.1)]
    together = diarizer.diarize(company)
    for one, answer in zip(company, together, strict=True):
        (alone,) = diarizer.diarize([one])
        assert (alone.turns, alone.exclusive_turns) == (answer.turns, answer.exclusive_turns)
        assert np.array_equal(np.array(alone.embeddings), np.array(answer.embeddings))
    assert together[1].turns == ()


def test_where_each_channel_is_a_party_the_detector_alone_answers(diarizer: Diarizer) -> None:
    (answer,) = diarizer.diarize([replace(sound(1, 5.0), one_speaker=True)])
    assert answer.embeddings == ()
    assert {turn.speaker for turn in answer.turns} <= {0}


def test_the_most_speakers_are_kept_to(folder: Path) -> None:
    (answer,) = load(folder, max_speakers=1).diarize([sound(1, 6.0)])
    assert len(answer.embeddings) == 1


def test_loading_asks_no_hub_and_reports_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a pipeline in a folder needs no network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("PYANNOTE_METRICS_ENABLED", raising=False)
    silence_telemetry()
    assert load(folder).diarize([sound(1, 3.0)])
    assert os.environ["PYANNOTE_METRICS_ENABLED"] == "false"


def test_what_a_checkpoint_names_beside_tensors_is_not_run(folder: Path, tmp_path: Path) -> None:
    copied = tmp_path / "pipeline"
    shutil.copytree(folder, copied)
    file = copied / "segmentation" / "pytorch_model.bin"
    checkpoint = torch.load(file, weights_only=False)
    torch.save(checkpoint | {"callbacks": Runs(str(tmp_path / "ran"))}, file)
    (answer,) = load(copied).diarize([sound(1, 4.0)])
    (same,) = load(folder).diarize([sound(1, 4.0)])
    assert answer.turns == same.turns
    assert not (tmp_path / "ran").exists()


class Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return make_folder, (self._path,)


def test_the_pickle_of_that_test_runs_where_it_is_not_stopped(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Runs(str(tmp_path / "ran"))))
    assert (tmp_path / "ran").is_dir()


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"segmentation": "pyannote/segmentation-3.0"}, r"its segmentation is 'pyannote/segmentation-3.0', no folder"),
        ({"embedding": "$model/../elsewhere"}, r"its embedding is '\$model/../elsewhere', no folder inside it"),
        ({"plda": None}, r"its plda is None, no folder inside it: write \$model/plda"),
        ({"flavour": 1}, "pyannote.audio knows no flavour of a pipeline"),
    ],
)
def test_a_configuration_that_would_need_the_hub_or_is_not_known_is_refused(
    folder: Path, tmp_path: Path, params: dict[str, object], why: str
) -> None:
    copied = tmp_path / "pipeline"
    shutil.copytree(folder, copied)
    config = yaml.safe_load((copied / "config.yaml").read_text())
    config["pipeline"]["params"] |= params
    (copied / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(PreflightError, match=why):
        load(copied)


def test_a_pipeline_of_another_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    copied = tmp_path / "pipeline"
    shutil.copytree(folder, copied)
    (copied / "config.yaml").write_text("pipeline: {name: os.system, params: {}}\n")
    with pytest.raises(PreflightError, match=r"its pipeline is os\.system, not pyannote\.audio"):
        load(copied)


def test_the_key_holds_the_digest_of_every_part(folder: Path, tmp_path: Path) -> None:
    copied = tmp_path / "pipeline"
    shutil.copytree(folder, copied)
    before, same = (choose_diarizer(DiarizeOptions(model=f"pyannote:{one}")).key_part() for one in (folder, copied))
    assert before == same
    with np.load(copied / "plda" / "plda.npz") as arrays:
        changed = {name: arrays[name] * 2 for name in arrays}
    np.savez(copied / "plda" / "plda.npz", **changed)
    assert choose_diarizer(DiarizeOptions(model=f"pyannote:{copied}")).key_part() != before


def test_community_1_is_asked_for_with_the_page_where_its_licence_is_accepted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        PreflightError, match=r"diarize\.model: .*community-1 is not on this machine.*accept the lic"
    ) as caught:
        preflight_models(load_profile("embedded", ["diarize.model=pyannote:community-1"]))
    assert "https://huggingface.co/pyannote/speaker-diarization-community-1" in str(caught.value)


def in_hub_cache(folder: Path, repository: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, as the hub's library keeps it: where its cache has it."""
    snapshot = cache / f"models--{repository}" / "snapshots" / COMMIT
    shutil.copytree(folder, snapshot)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    return snapshot


def test_a_folder_of_the_hubs_cache_is_found_by_owner_name_and_commit(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    snapshot = in_hub_cache(folder, "somebody--pipeline", tmp_path, monkeypatch)
    chosen = choose_diarizer(DiarizeOptions(model=f"pyannote:somebody/pipeline@{COMMIT}"))
    assert chosen.resolved().path == snapshot


def test_a_file_of_community_1_with_another_digest_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_hub_cache(folder, "pyannote--speaker-diarization-community-1", tmp_path, monkeypatch)
    with pytest.raises(PreflightError, match=r"config\.yaml is not the pyannote_pipeline model community-1: expected"):
        choose_diarizer(DiarizeOptions(model="pyannote:community-1")).resolved()

"""`mmer train`: what it says and leaves, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mmer_ray.models.families import load_emotion_model
from mmer_ray.training.evaluation.result import read_evaluation
from tests.cli.makers import Ended
from tests.training.tones import manifest_of, tones

Run = Callable[..., Ended]
QUICK = ("--family", "late_fusion", "--protocol", "kfold3", "--set", "num_epochs=1", "--set", "batch_size=4")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Twelve tones of four classes, which a table has in another order than the family."""
    utterances = tones(tmp_path / "sounds", 12)
    for number, label in ((0, "angry"), (1, "angry"), (2, "angry"), (9, "neutral"), (10, "neutral"), (11, "neutral")):
        utterances[number] = replace(utterances[number], label=label)
    return manifest_of(tmp_path / "tones.csv", utterances)


@pytest.mark.usefixtures("ray_cluster")
def test_it_trains_every_fold_and_a_final_model_and_says_what_they_do(
    mmer: Run, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "late_fusion-tiny"
    arguments = ("train", *QUICK, "--data", manifest)
    done = mmer(*arguments)
    assert done.code == 0, done.err
    assert "4 trainings in" in done.out
    assert "ua" in done.out
    evaluation = read_evaluation(folder / "evaluation.json")
    assert (evaluation.num_utterances, evaluation.protocol, len(evaluation.folds)) == (12, "kfold3", 3)
    model = load_emotion_model(folder / "model").model
    assert set(model.labels) == {"sad", "happy", "angry", "neutral"}
    assert evaluation.text.source == "reference"
    names = [other.name for other in evaluation.compared]
    assert {"majority", "transcript look-up", "TF-IDF", "acoustic SVM"} <= set(names)
    assert evaluation.calibration is not None
    assert model.temperature == pytest.approx(evaluation.calibration.temperature, rel=1e-3)
    card = (folder / "model" / "MODEL_CARD.md").read_text()
    assert "Trained on 12 utterances of 4 speakers" in card
    again = json.loads(mmer(*arguments, "--json", "--quiet").out)
    assert (again["schema"], again["num_trained"], again["num_done_before"]) == ("mmer.train/1", 0, 4)
    assert again["evaluation"]["metrics"]["ua"]["value"] == evaluation.metrics["ua"].value


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--set", "speed=1"), "no key 'speed'"),
        (("--set", "seed=1"), "name seeds with --seed"),
        (("--seed", "-1"), "Invalid value for '--seed'"),
        (("--oracle",), "--oracle chooses among checks"),
        (("--family", "none"), "there is no family 'none'"),
        (("--family", "frozen_encoder", "--size", "whisper-base"), "the encoder sets the size"),
        (("--protocol", "none"), "none is no protocol"),
        (("--data", "nowhere"), "nowhere is not there"),
        (("--workers", "3"), "3 workers cannot share 4 alike"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_trained(
    mmer: Run, manifest: Path, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    ended = mmer("train", *QUICK, "--data", manifest, "--into", tmp_path / "run", *arguments)
    assert ended.code == 2
    assert why in ended.err
    assert not list(tmp_path.glob("run/seeds/*/*"))

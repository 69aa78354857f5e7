"""Trainings on tones: what must be learned, and what must hold while it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.failpoint import EXIT_STATUS, VARIABLE
from mmer_ray.models import families
from mmer_ray.models.family_names import FAMILIES
from mmer_ray.models.interface import Clip, EmotionModel
from mmer_ray.training.family_recipes import recipe_of
from mmer_ray.training.fit import fit
from mmer_ray.training.fit_check import check
from mmer_ray.training.history import HISTORY_NAME, read_history
from mmer_ray.training.predict import predict
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.utterances import Utterance
from tests.training.fit_driver import RECIPE, cross_entropy, run
from tests.training.tones import LABELS, Ear, material_of, same_weights, tones

FOUR = ("happy", "angry", "neutral", "sad")
SHORT = replace(RECIPE, num_epochs=2, selection="last")


def share_right(model: EmotionModel, folder: Path) -> float:
    unheard = tones(folder, 16, seed=3)
    material = material_of(unheard)
    logits = predict(model, unheard, material.load, material.tokenizer).logits
    return float(np.mean([LABELS[row.argmax()] == one.label for row, one in zip(logits, unheard, strict=True)]))


def test_low_and_high_tones_are_told_apart_after_training(tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = replace(SHORT, num_epochs=20, peak_rate=0.05, average_decay=0.9)
    fitted = fit(Ear(), cross_entropy, material_of(tones(tmp_path, 24)), recipe, tmp_path / "fit")
    assert not fitted.model.training
    assert (fitted.num_steps, fitted.num_epochs, fitted.chosen_ua) == (120, 20, None)
    assert share_right(fitted.model, tmp_path) == 1.0


@pytest.mark.parametrize("two_views", [False, True])
def test_a_family_is_trained_by_its_own_loss(tmp_path: Path, two_views: bool) -> None:
    torch.manual_seed(0)
    model = families.build("mmer", "tiny")
    before = {name: model.get_parameter(name).clone() for name in ("classifier.weight", "contrast_augmented.0.weight")}
    recipe = replace(SHORT, num_epochs=1, two_views=two_views, reads_spelling=True)
    material = material_of(tones(tmp_path, 8), labels=FOUR)
    trained = fit(model, families.terms_of("mmer"), material, recipe, tmp_path / "fit").model
    moved = [name for name, weight in before.items() if not torch.equal(trained.get_parameter(name), weight)]
    assert moved == (list(before) if two_views else ["classifier.weight"])
    assert all(torch.isfinite(parameter).all() for parameter in trained.parameters())
    terms = read_history(tmp_path / "fit" / HISTORY_NAME)[0]
    assert {"step", "loss", "category", "ctc", "supervised", "gradient_norm", "rate"} <= terms.keys()


def test_early_epochs_do_without_a_modality_and_in_the_end_none_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = families.build("bridge_tokens", "tiny")
    hidden = []
    monkeypatch.setattr(model, "mask", hidden.append)
    recipe = replace(SHORT, num_epochs=6, modality_masking=True)
    material = material_of(tones(tmp_path, 4), labels=model.labels)
    fit(model, families.terms_of("bridge_tokens"), material, recipe, tmp_path / "fit")
    *of_steps, afterwards = hidden
    assert len(of_steps) == 6
    assert set(of_steps[:3]) & {"audio", "text"}
    assert afterwards is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality_masking": True}, "ear cannot do without a modality"),
        ({"reads_spelling": True}, "ear has no CTC term"),
        ({"selection": "best"}, "there is no development set to choose on: .* or set selection=last"),
        ({"two_views": True}, "the loss of ear reads no second view: train it without two_views"),
        ({"contrast": "textbook"}, "ear has no contrastive terms: train it without contrast=textbook"),
        ({"soft_labels": True}, "no utterance of the training set has raters' shares of sad, happy: train without"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused_before_anything_is_trained(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    recipe = replace(SHORT, **changes)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        fit(Ear(), cross_entropy, material_of(tones(tmp_path, 4)), recipe, tmp_path / "fit")
    assert not (tmp_path / "fit").exists()


def test_a_transcript_that_is_not_known_is_not_trained_as_silence(tmp_path: Path) -> None:
    known = tones(tmp_path, 4)
    lacking = [
        known[0],
        *(replace(one, text=None, read_from=f"mine.csv:{n}") for n, one in enumerate(known[1:3])),
        known[3],
    ]
    recipe, model = replace(SHORT, reads_spelling=True), families.build("mmer", "tiny")
    message = "mine.csv:0: its transcript is not known, as of 2 of 4 utterances .* or set reads_spelling=false"
    with pytest.raises(UsageError, match=message):
        check(model, material_of(lacking, labels=FOUR), recipe)
    check(model, material_of([replace(one, text="") for one in known], labels=FOUR), recipe)


def test_raters_of_some_utterances_are_enough_for_soft_labels(tmp_path: Path) -> None:
    known = tones(tmp_path, 4)
    rated = [replace(known[0], shares={"sad": 0.5, "happy": 0.5}), *known[1:]]
    check(Ear(), material_of(rated), replace(SHORT, soft_labels=True))


@pytest.mark.parametrize(
    "family", [name for name in FAMILIES if name not in {"frozen_encoder", "audio_classification"}]
)
def test_what_each_size_of_a_family_is_trained_by_fits_the_family(family: str, tmp_path: Path) -> None:
    heard = tones(tmp_path, 4)
    model = families.build(family, "tiny")
    for size in families.sizes(family):
        check(model, material_of(heard, heard, labels=model.labels), recipe_of(family, size))


def test_an_unknown_label_is_refused_by_file_and_line(tmp_path: Path) -> None:
    odd = [replace(one, label="bored", read_from="labels.csv:7") for one in tones(tmp_path, 4)]
    with pytest.raises(UsageError, match=r"labels.csv:7: label 'bored'; the model's labels are sad, happy"):
        material_of(odd)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    models = [run(tmp_path, tmp_path / f"{n}", replace(SHORT, seed=seed)).model for n, seed in enumerate((3, 3, 4))]
    assert same_weights(models[0], models[1])
    assert not same_weights(models[0], models[2])


def test_micro_batches_of_a_cached_step_see_one_loss(tmp_path: Path) -> None:
    """Without a norm and dropout, cutting a batch changes nothing."""

    class Plain(Ear):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.dropout = torch.nn.Identity(), torch.nn.Identity()

    curves = []
    for size in (None, 1, 2):
        torch.manual_seed(0)
        folder = tmp_path / f"{size}"
        recipe = replace(SHORT, micro_batch_size=size)
        fit(Plain(), cross_entropy, material_of(tones(tmp_path, 10)), recipe, folder)
        curves.append([row["loss"] for row in read_history(folder / HISTORY_NAME)])
    np.testing.assert_allclose(curves[1], curves[0], atol=1e-6)
    np.testing.assert_allclose(curves[2], curves[0], atol=1e-6)


def killed(point: str, sounds: Path, folder: Path) -> None:
    """Run the driver until it dies at a point."""
    command = [sys.executable, "-m", "tests.training.fit_driver", str(sounds), str(folder)]
    ended = subprocess.run(command, env={**os.environ, VARIABLE: point}, check=False, capture_output=True, text=True)
    assert ended.returncode == EXIT_STATUS, ended.stderr


@pytest.mark.parametrize(
    "point",
    [
        "after_step_of_worker_0:2",
        pytest.param("after_step_of_worker_0:8", marks=pytest.mark.slow),
        "before_state:2",
        pytest.param("after_state:3", marks=pytest.mark.slow),
    ],
)
def test_a_training_killed_at_any_point_goes_on_with_the_same_curve_and_weights(tmp_path: Path, point: str) -> None:
    """In an epoch's middle, at its end before its state is written, and right after."""
    whole = run(tmp_path, tmp_path / "whole")
    killed(point, tmp_path, tmp_path / "killed")
    before = read_history(tmp_path / "killed" / HISTORY_NAME)
    assert 0 < len(before) < 14
    resumed = run(tmp_path, tmp_path / "killed")
    curves = [read_history(tmp_path / name / HISTORY_NAME) for name in ("whole", "killed")]
    assert len(curves[0]) == len(curves[1]) == 14
    for left, right in zip(*curves, strict=True):
        assert left == pytest.approx(right, abs=1e-6)
    assert same_weights(whole.model, resumed.model)
    assert (whole.num_steps, whole.chosen_ua) == (resumed.num_steps, resumed.chosen_ua)


def test_few_steps_are_prepared_ahead_as_each_holds_the_sound_of_a_batch(tmp_path: Path) -> None:
    read: list[str] = []
    material = material_of(tones(tmp_path, 40))

    def load(utterance: Utterance) -> Clip:
        read.append(utterance.utterance_id)
        return material.load(utterance)

    def look(num_done: int, _: int) -> None:
        if num_done == 1:
            # Long enough for all that would be prepared.
            time.sleep(0.5)
            num_read.append(len(read))

    num_read: list[int] = []
    fit(Ear(), cross_entropy, replace(material, load=load), replace(SHORT, num_epochs=1), tmp_path / "fit", look)
    # The step that is done, two that wait, and one that waits for room.
    assert num_read[0] <= 4 * SHORT.batch_size


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    first = run(tmp_path, tmp_path / "fit")
    curve = (tmp_path / "fit" / HISTORY_NAME).read_bytes()
    again = run(tmp_path, tmp_path / "fit")
    assert same_weights(first.model, again.model)
    assert (tmp_path / "fit" / HISTORY_NAME).read_bytes() == curve


def test_the_states_of_another_training_are_refused(tmp_path: Path) -> None:
    run(tmp_path, tmp_path / "fit", SHORT)
    with pytest.raises(PreflightError, match="asked for something else"):
        run(tmp_path, tmp_path / "fit", replace(SHORT, peak_rate=1e-4))


def test_best_gives_the_weights_of_the_check_that_did_best(tmp_path: Path) -> None:
    recipe = replace(RECIPE, num_epochs=6, epochs_between_checks=1, peak_rate=0.05, average_decay=None)
    fitted = run(tmp_path, tmp_path / "fit", recipe)
    checks = {
        row["step"]: row["chosen_ua"] for row in read_history(tmp_path / "fit" / HISTORY_NAME) if "loss" not in row
    }
    assert fitted.chosen_ua == max(checks.values())
    assert fitted.num_steps == min(step for step, score in checks.items() if score == fitted.chosen_ua)
    assert fitted.num_epochs * 3 == fitted.num_steps
    states = {folder.name for folder in (tmp_path / "fit").glob("step-*")}
    assert states == {f"step-{fitted.num_steps:08d}", "step-00000018"}


def test_recipes_default_to_no_random_change() -> None:
    assert Recipe().variation.crop_s is None

"""One training of a run, in this process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmer_ray.models.families import load_emotion_model
from mmer_ray.training.fresh_model import Architecture
from mmer_ray.training.history import HISTORY_NAME, History, last_step, read_history
from mmer_ray.training.one_fold import FoldTask, num_epochs_of, train_fold
from mmer_ray.training.predictions_file import read_predictions
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.run import CHECKPOINT, DEVELOPMENT, TEST, Asked
from mmer_ray.training.utterances import Split
from tests.models.whisper_maker import whisper_folder
from tests.training.tones import LABELS, tones

RECIPE = Recipe(num_epochs=2, batch_size=4, epochs_between_checks=1)


@pytest.fixture
def split(tmp_path: Path) -> Split:
    return Split("Fold 1", *(tuple(tones(tmp_path / "sounds", num, seed)) for num, seed in ((8, 1), (4, 2), (6, 3))))


def task_of(split: Split, folder: Path, architecture: Architecture, **changes: object) -> FoldTask:
    asked = Asked(architecture, replace(RECIPE, **changes), data="tones")  # type: ignore[arg-type]
    return FoldTask(asked, LABELS, split, seed=3, folder=folder)


def test_a_head_on_a_frozen_encoder_is_solved_and_judged_and_its_checkpoint_names_the_encoder(
    split: Split, tmp_path: Path
) -> None:
    encoder = str(whisper_folder(tmp_path / "whisper"))
    task = task_of(split, tmp_path / "fold", Architecture("frozen_encoder", "whisper-tiny", encoder))
    assert not task.is_done
    train_fold(task)
    assert task.is_done
    test = read_predictions(task.folder / TEST)
    assert (test.labels, test.logits.shape, test.fold, test.seed) == (LABELS, (6, 2), "Fold 1", 3)
    assert len(read_predictions(task.folder / DEVELOPMENT).utterances) == 4
    model = load_emotion_model(task.model).model
    assert model.labels == LABELS
    assert encoder in model.config.encoder_name


def test_the_oracle_chooses_on_the_test_set(split: Split, tmp_path: Path) -> None:
    scores = []
    for oracle in (False, True):
        task = task_of(split, tmp_path / f"{oracle}", Architecture("mmer_v1"), selection="best")
        train_fold(replace(task, asked=replace(task.asked, oracle=oracle)))
        found = read_predictions(task.folder / (TEST if oracle else DEVELOPMENT))
        truth = np.array([LABELS.index(one.label or "") for one in found.utterances])
        recalls = [(found.logits.argmax(axis=1) == truth)[truth == label].mean() for label in (0, 1)]
        rows = read_history(task.folder / CHECKPOINT / HISTORY_NAME)
        scores.append((max(row.get("chosen_ua", 0) for row in rows), np.mean(recalls)))
        assert num_epochs_of(task.folder) in (1, 2)
    assert scores[0][0] == pytest.approx(scores[0][1])
    assert scores[1][0] == pytest.approx(scores[1][1])


def test_a_sound_shorter_than_the_model_can_judge_is_judged_all_the_same(split: Split, tmp_path: Path) -> None:
    short = replace(split.test[0], sound=replace(split.test[0].sound, start_ms=0, end_ms=10))
    task = task_of(replace(split, test=(short,)), tmp_path / "fold", Architecture("late_fusion"))
    train_fold(task)
    assert np.isfinite(read_predictions(task.folder / TEST).logits).all()


def test_the_last_step_of_a_curve_is_read_from_its_end(tmp_path: Path) -> None:
    file = tmp_path / HISTORY_NAME
    assert last_step(file) == 0
    history = History(file, 0)
    assert last_step(file) == 0
    for step in range(1, 301):
        history.add(step, {"loss": 1 / step})
    with file.open("a") as lines:
        lines.write('{"step": 30')
    assert last_step(file) == 300
    assert len(read_history(file)) == 300
    assert len(read_history(file)) == len({row["step"] for row in read_history(file)})
    History(file, 7)
    assert [row["step"] for row in read_history(file)] == list(range(1, 8))

"""Finished runs, made without training: a checkpoint that is whole, and answers of a chosen skill."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmer_ray.models.layout import CARD_NAME
from mmer_ray.training.evaluation.evaluate import Conditions, evaluate
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.predictions_file import write_predictions
from mmer_ray.training.registry.run_folder import FinishedRun, read_run
from mmer_ray.training.utterances import Corpus, Sound, Utterance
from tests.models.makers import fill

LABELS = ("angry", "happy", "neutral", "sad")
CORPUS = Corpus("calls", (), LABELS, "c" * 64)
NUM_SPEAKERS, NUM_EACH, NUM_FOLDS = 24, 20, 2
CONFIG = {"family": "late_fusion"}


def answers(skill: float, *, num_speakers: int = NUM_SPEAKERS, chance: int = 0) -> list[Predictions]:
    """Two folds of answers about the same utterances each time; `skill` is how often they are right."""
    truth = np.random.default_rng(1).integers(len(LABELS), size=num_speakers * NUM_EACH)
    rng = np.random.default_rng(chance)
    wrong = (truth + rng.integers(1, len(LABELS), size=len(truth))) % len(LABELS)
    guesses = np.where(rng.random(len(truth)) < skill, truth, wrong)
    logits = (2.0 * np.eye(len(LABELS)))[guesses].astype(np.float32)
    folds = np.arange(len(truth)) // NUM_EACH % NUM_FOLDS
    found = []
    for fold in range(NUM_FOLDS):
        rows = np.flatnonzero(folds == fold)
        said = tuple(utterance(int(row), LABELS[truth[row]]) for row in rows)
        found.append(Predictions(said, LABELS, logits[rows], fold=f"fold {fold + 1}"))
    return found


def utterance(row: int, label: str) -> Utterance:
    """The same row is always the same utterance."""
    speaker = f"S{row // NUM_EACH:02d}"
    return Utterance(f"u{row:04d}", Sound(Path("calls") / f"{row}.wav"), speaker, label, text=f"secret words {row}")


def run_folder(
    folder: Path, predictions: Sequence[Predictions], corpus: Corpus = CORPUS, conditions: Conditions | None = None
) -> Path:
    """A folder as `mmer train --into` leaves it. Equal answers have equal weights."""
    weights = b"".join(one.logits.tobytes() for one in predictions)
    card = b"# A model of nothing\n"
    fill(folder / "model", {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": weights, CARD_NAME: card})
    for one in predictions:
        write_predictions(folder / "seeds" / str(one.seed) / one.fold / "test.parquet", one)
    found = evaluate(predictions, folder.name, corpus, conditions or Conditions("kfold", num_resamples=20))
    (folder / "evaluation.json").write_text(found.to_json())
    architecture = {"family": "late_fusion", "size": "tiny"}
    asked = {"schema": "mmer.run/1", "architecture": architecture, "seeds": [0], "revision": "abc"}
    (folder / "run.json").write_text(json.dumps(asked))
    return folder


def run(folder: Path, skill: float, *, num_speakers: int = NUM_SPEAKERS, chance: int = 0) -> FinishedRun:
    """A finished run whose model has this skill."""
    corpus = replace(CORPUS, digest=f"{num_speakers:064d}")
    return read_run(run_folder(folder, answers(skill, num_speakers=num_speakers, chance=chance), corpus))

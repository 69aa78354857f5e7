"""One training of a run: a model from fresh weights, and its answers about the speakers that it has not heard."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mmer_ray.models.families import save_emotion_model
from mmer_ray.models.interface import EmotionModel
from mmer_ray.models.late_fusion.model import LateFusionModel
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.training import world
from mmer_ray.training.family_recipes import terms_for
from mmer_ray.training.fit import OnStep, fit
from mmer_ray.training.fresh_model import build
from mmer_ray.training.fusion_weight import choose_fusion_weight
from mmer_ray.training.head_fold import train_head_fold
from mmer_ray.training.kept_clips import KeptClips, Load
from mmer_ray.training.material import Material
from mmer_ray.training.predict import predict
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.predictions_file import write_predictions
from mmer_ray.training.run import CHECKPOINT, DEVELOPMENT, MODEL, TEST, Asked
from mmer_ray.training.utterances import Split, Utterance

FITTED = "fitted.json"
Outcome = tuple[dict[str, Predictions], EmotionModel, PreTrainedTokenizerBase | None]


@dataclass(frozen=True)
class FoldTask:
    """What is trained, and where it goes."""

    asked: Asked
    labels: tuple[str, ...]
    """Of the corpus."""
    split: Split
    """The final model has nobody to be tested on."""
    seed: int
    folder: Path
    model_folder: Path | None = None
    """Where the model goes; None: into `folder`."""
    speech_weight: float | None = None
    """Of `late_fusion`; None: the split's development set chooses it (`fusion_weight`)."""
    features: Path | None = None
    """Keeps what a frozen encoder makes of each sound, for all folds and seeds (`features`); None: nothing is kept."""

    @property
    def is_done(self) -> bool:
        """Whether all of it is on disk."""
        return (self.folder / TEST if self.split.test else self.model).exists()

    @property
    def model(self) -> Path:
        """Where the model goes."""
        return self.model_folder or self.folder / MODEL


def train_fold(task: FoldTask, device: torch.device | str = "cpu", on_step: OnStep | None = None) -> None:
    """Train, and write the model and its answers; with `torch.distributed`, all workers call this alike.

    Goes on from where an interrupted one was. Raises as `fit`.
    """
    train = train_head_fold if task.asked.architecture.is_head else _train_model
    predictions, model, tokenizer = train(task, device, on_step)
    if world.is_first():
        _save(task.model, model, tokenizer)
        # The test's answers last: with them a fold is done.
        for name, found in predictions.items():
            write_predictions(task.folder / name, found)
    world.wait_for_all()


def num_epochs_of(folder: Path) -> int:
    """After how many epochs a fold's model had the weights that were chosen."""
    fitted = json.loads((folder / FITTED).read_text(encoding="utf-8"))
    return int(fitted["num_epochs"])


def speech_weight_of(folder: Path) -> float | None:
    """The weight of speech that a fold of `late_fusion` chose; None: there was nothing to choose."""
    fitted = json.loads((folder / FITTED).read_text(encoding="utf-8"))
    weight = fitted["speech_weight"]
    return None if weight is None else float(weight)


def _train_model(task: FoldTask, device: torch.device | str, on_step: OnStep | None) -> Outcome:
    split, asked = task.split, task.asked
    recipe = replace(asked.recipe, seed=task.seed)
    loaded = build(asked.architecture, task.labels, [one.text or "" for one in split.train], task.seed)
    model, load = loaded.model.to(device), KeptClips()
    chooses = split.test if asked.oracle else split.development
    material = Material(split.train, chooses, model.labels, load, loaded.tokenizer, model.min_samples)
    fitted = fit(model, terms_for(model.family, recipe), material, recipe, task.folder / CHECKPOINT, on_step)
    weight = _fuse(fitted.model, task, chooses, load, loaded.tokenizer)
    if world.is_first():
        table = {
            "num_steps": fitted.num_steps,
            "num_epochs": fitted.num_epochs,
            "chosen_ua": fitted.chosen_ua,
            "speech_weight": weight,
        }
        (task.folder / FITTED).write_text(json.dumps(table) + "\n", encoding="utf-8")
    predictions = {
        name: predict(fitted.model, utterances, load, loaded.tokenizer, fold=split.name, seed=task.seed)
        for name, utterances in ((DEVELOPMENT, split.development), (TEST, split.test))
        if utterances
    }
    return predictions, fitted.model, loaded.tokenizer


def _fuse(
    model: EmotionModel,
    task: FoldTask,
    chooses: tuple[Utterance, ...],
    load: Load,
    tokenizer: PreTrainedTokenizerBase | None,
) -> float | None:
    """Set the weight that joins the branches of `late_fusion`; None where there is none to set."""
    if not isinstance(model, LateFusionModel) or model.text is None:
        return None
    if task.speech_weight is not None:
        model.speech_weight.fill_(task.speech_weight)
    elif chooses:
        return choose_fusion_weight(model, chooses, load, tokenizer)
    return task.speech_weight


def _save(folder: Path, model: EmotionModel, tokenizer: PreTrainedTokenizerBase | None) -> None:
    """Write a checkpoint folder that is there whole or not at all."""
    unfinished = folder.with_name(folder.name + ".part")
    for left in (unfinished, folder):
        shutil.rmtree(left, ignore_errors=True)
    save_emotion_model(unfinished, model.to("cpu"), tokenizer)
    unfinished.rename(folder)

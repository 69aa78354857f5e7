"""Trains one emotion model on one training set, from the start or from where an interrupted run was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmer_ray.failpoint import failpoint
from mmer_ray.models.bridge_tokens.masking import MasksModalities, Modality, draw_masked_modality
from mmer_ray.models.families import Loss, Terms
from mmer_ray.models.interface import EmotionModel
from mmer_ray.training import world
from mmer_ray.training.batch import TrainingBatch
from mmer_ray.training.checkpoints import Checkpoints
from mmer_ray.training.fit_check import check
from mmer_ray.training.history import HISTORY_NAME, History
from mmer_ray.training.learner import Learner
from mmer_ray.training.material import Batches, Material, class_of
from mmer_ray.training.metrics import unweighted_accuracy
from mmer_ray.training.predict import predict
from mmer_ray.training.prefetch import prefetch
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.schedule import Steps


@dataclass(frozen=True)
class Fitted:
    """What came out of a training."""

    model: EmotionModel
    """In evaluation mode."""
    num_steps: int
    """After which it had these weights."""
    num_epochs: int
    """The same in epochs."""
    chosen_ua: float | None
    """Unweighted accuracy, at the check that was chosen, on the set that chose: the development set, or the test set
    with `--oracle`; None: nothing was chosen."""


STEPS_AHEAD = 2
"""How many steps are prepared while the model learns. All views of their batches are held in memory."""
OnStep = Callable[[int, int], None]
"""Told how many steps are done, and of how many."""


def fit(
    model: EmotionModel,
    loss: Loss | Terms,
    material: Material,
    recipe: Recipe,
    folder: Path,
    on_step: OnStep | None = None,
) -> Fitted:
    """Train a model in place, on the device that it is on; its states and its curve go into `folder`.

    Where `folder` holds a state of the same training, it goes on from there, exactly. With `torch.distributed`, all
    workers call this alike, and the first one writes. Everything random follows from the recipe's seed. Raises
    `UsageError` where the recipe asks for what the model, the material or the number of workers cannot give, and
    `PreflightError` where `folder` holds another training.
    """
    check(model, material, recipe)
    batches = Batches(material, recipe)
    learner: Learner[TrainingBatch] = Learner(model, loss, recipe)
    checkpoints = Checkpoints(folder, _asked(model, material, recipe), recipe.num_kept)
    if (state := checkpoints.latest()) is not None:
        checkpoints.restore(learner, state)
    world.share_weights(learner.model)
    history = History(folder / HISTORY_NAME, learner.num_steps) if world.is_first() else None
    num_steps, device = recipe.num_epochs * batches.steps_per_epoch, next(model.parameters()).device
    for micro_batches in prefetch(batches.from_step(learner.num_steps, num_steps), STEPS_AHEAD):
        if recipe.modality_masking:
            _mask(model, _masked_modality(recipe, learner.num_steps // batches.steps_per_epoch))
        share = Steps(num_steps).share(learner.num_steps)
        terms = learner.step([batch.to(device) for batch in micro_batches], share)
        if history is not None:
            history.add(learner.num_steps, terms)
        failpoint(f"after_step_of_worker_{world.rank()}")
        _keep(learner, material, batches.steps_per_epoch, checkpoints, history)
        if on_step is not None:
            on_step(learner.num_steps, num_steps)
    return _chosen(learner, checkpoints, recipe, batches.steps_per_epoch)


def _keep(
    learner: Learner[TrainingBatch],
    material: Material,
    steps_per_epoch: int,
    checkpoints: Checkpoints,
    history: History | None,
) -> None:
    """Write the state, where one is due, and ask the development set, where that is."""
    recipe = learner.recipe
    epoch, rest = divmod(learner.num_steps, steps_per_epoch)
    if rest and not (recipe.steps_between_states and learner.num_steps % recipe.steps_between_states == 0):
        return
    failpoint("before_state")
    is_checked = rest == 0 and (epoch % recipe.epochs_between_checks == 0 or epoch == recipe.num_epochs)
    score = _score(learner, material) if is_checked and material.development else None
    if history is not None:
        if score is not None:
            history.add(learner.num_steps, {"chosen_ua": score})
        checkpoints.save(learner, score)
    world.wait_for_all()
    failpoint("after_state")


def _score(learner: Learner[TrainingBatch], material: Material) -> float:
    """Unweighted accuracy of the average on the development set."""
    averaged = learner.averaged
    assert isinstance(averaged, EmotionModel)
    found = predict(averaged, material.development, material.load, material.tokenizer)
    truth = np.array([class_of(one, material.labels) for one in material.development])
    return unweighted_accuracy(truth, found.logits.argmax(axis=1))


def _chosen(learner: Learner[TrainingBatch], checkpoints: Checkpoints, recipe: Recipe, steps_per_epoch: int) -> Fitted:
    score = None
    if recipe.selection == "best" and (best := checkpoints.best()) is not None:
        checkpoints.restore(learner, best)
        score = best.score
    if recipe.modality_masking:
        assert isinstance(learner.model, EmotionModel)
        _mask(learner.model, None)
    averaged = learner.averaged
    assert isinstance(averaged, EmotionModel)
    return Fitted(averaged.eval(), learner.num_steps, learner.num_steps // steps_per_epoch, score)


def _asked(model: EmotionModel, material: Material, recipe: Recipe) -> str:
    """Names a training by what decides it, all in short digests."""
    sets = [
        [(one.utterance_id, one.label, one.text) for one in part] for part in (material.train, material.development)
    ]
    parts = {"recipe": recipe.as_json(), "data": sets, "model": [model.family, asdict(model.config)]}
    digests = {name: hashlib.sha256(json.dumps(part).encode()).hexdigest()[:12] for name, part in parts.items()}
    return ", ".join(f"{name} {digest}" for name, digest in digests.items())


def _masked_modality(recipe: Recipe, epoch: int) -> Modality | None:
    """What an epoch, from 0, does without."""
    return draw_masked_modality(epoch, recipe.num_epochs, np.random.default_rng((recipe.seed, 4, epoch)))


def _mask(model: Any, modality: Modality | None) -> None:
    assert isinstance(model, MasksModalities)
    model.mask(modality)

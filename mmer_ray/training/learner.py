"""One step of training, for every model of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from mmer_ray.errors import TrainingError
from mmer_ray.training import objective, world
from mmer_ray.training.averages import running_average
from mmer_ray.training.keys import key_of
from mmer_ray.training.recipe import GradientMode, Recipe
from mmer_ray.training.schedule import cosine_rate

Batch = TypeVar("Batch")
Terms = dict[str, float]


class Backward(Protocol):
    """How a loss's gradient comes into a model: `objective.backward` for emotion families, `backward_of` for others."""

    def __call__(
        self, model: Any, loss: Any, micro_batches: Sequence[Any], *, mode: GradientMode, autocast: torch.dtype | None
    ) -> Terms:
        """Add the gradient, of all workers; returns the terms of the loss, "loss" among them."""


class Learner(Generic[Batch]):
    """A model and all that must be remembered between two steps of its training.

    `loss` is what `backward` wants: of a family, its `losses.loss` or, so that terms are told apart, `losses.terms`.
    Parameters that nothing reads and frozen ones stay as they are.
    """

    def __init__(self, model: nn.Module, loss: Any, recipe: Recipe, backward: Backward = objective.backward) -> None:
        self.model = model
        self.recipe = recipe
        self.num_steps = 0
        self._loss = loss
        self._backward = backward
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._optimiser = torch.optim.AdamW(
            self._trained, lr=recipe.peak_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
        )
        self.average = None if recipe.average_decay is None else running_average(model, recipe.average_decay)

    @property
    def averaged(self) -> nn.Module:
        """The model with the running average of its weights; the model itself where there is none."""
        return self.model if self.average is None else self.average.module

    def step(self, micro_batches: Sequence[Batch], share: float) -> Terms:
        """Lower the loss on the micro-batches of one step; with several workers, each brings its own.

        `share` is the share of the training that this step completes, 0..1; it sets the learning rate. Returns the
        terms of the loss, the norm of the gradient before it was scaled down, and the learning rate. Random numbers of
        torch follow from the recipe's seed and the number of the step. Raises `TrainingError` as `backward`, and where
        the gradient is not finite, before any weight is changed.
        """
        recipe = self.recipe
        rate = cosine_rate(recipe.peak_rate, share, recipe.warm_up_share, recipe.final_share)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed(key_of(recipe.seed, self.num_steps))
        self.model.train()
        self._optimiser.zero_grad()
        terms = self._backward(self.model, self._loss, micro_batches, mode=recipe.mode, autocast=self._autocast())
        norm = nn.utils.clip_grad_norm_(self._trained, recipe.max_gradient_norm or float("inf"))
        if not bool(torch.isfinite(norm)):
            raise TrainingError(self._complaint(micro_batches))
        self._optimiser.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.num_steps += 1
        return {**terms, "gradient_norm": float(norm), "rate": rate}

    def state_dict(self) -> dict[str, Any]:
        """All that a new learner needs to go on exactly: weights, their average, optimiser, number of steps.

        The schedule and the random numbers follow from the recipe and the number of steps.
        """
        return {
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "num_steps": self.num_steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of another learner of the same model and recipe."""
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.num_steps = state["num_steps"]

    def _complaint(self, micro_batches: Sequence[Batch]) -> str:
        """Say whose gradient is not finite. It is the sum over all workers, so that all of them come here."""
        # Batches of models without utterances, such as those of speakers, have no ids.
        ids = world.gather([name for batch in micro_batches for name in getattr(batch, "utterance_ids", ())])
        whose = f" of {', '.join(ids)}" if ids else ""
        return (
            f"step {self.num_steps + 1}: the loss is finite and its gradient{whose} is not: look at their sound, or "
            "set a lower peak_rate or precision=float32"
        )

    def _autocast(self) -> torch.dtype | None:
        """The precision of matrix work; None: that of the weights."""
        wanted = self.recipe.precision
        if wanted == "auto":
            device = self._trained[0].device.type
            return torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else None
        return torch.bfloat16 if wanted == "bfloat16" else None


def backward_of(
    model: nn.Module,
    loss: Callable[[Any, Any], Tensor | Mapping[str, Tensor]],
    micro_batches: Sequence[Any],
    *,
    mode: GradientMode,
    autocast: torch.dtype | None,
) -> Terms:
    """The gradient of a loss that asks the model itself, (model, batch) -> scalar, or named terms with "loss", their
    total: averaged over micro-batches. It knows neither several workers nor `cached`, but for one micro-batch."""
    assert mode == "accumulated" or len(micro_batches) == 1
    assert world.size() == 1
    sums: Terms = {}
    for batch in micro_batches:
        device = next(model.parameters()).device.type
        with torch.autocast(device, torch.bfloat16, enabled=autocast is not None):
            found = loss(model, batch)
        terms = {"loss": found} if isinstance(found, Tensor) else found
        torch.autograd.backward(terms["loss"] / len(micro_batches))
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value.item() / len(micro_batches)
    return sums

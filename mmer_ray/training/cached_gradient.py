"""The gradient of a loss over many utterances in the memory of a few.

Gao, Zhang, Han and Callan, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", RepL4NLP 2021,
section 3.2. All batches are run without a graph; the loss of their joined outputs gives the gradient of each output;
then each batch is run again, with a graph and the same random numbers, and that gradient is passed on. It costs one
more forward pass, and memory for the graph of one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmer_ray.models.interface import EmotionModel
from mmer_ray.training.answers import TARGETS, Rows, ask, join
from mmer_ray.training.batch import TrainingBatch
from mmer_ray.training.rng_states import RngStates
from mmer_ray.training.step_buffers import StepBuffers

Evaluate = Callable[[Rows], Tensor]
"""Rows of all batches -> loss, a scalar."""


def backward_cached(
    model: EmotionModel,
    evaluate: Evaluate,
    batches: Sequence[TrainingBatch],
    buffers: StepBuffers,
    autocast: torch.dtype | None,
) -> None:
    """Add the gradient of the loss over all batches to the model's parameters.

    Dropout draws the same numbers in both runs: the generators that `RngStates` knows are replayed, no generator that a
    model may have of its own.
    """
    states: list[RngStates] = []
    outputs: list[Rows] = []
    with torch.no_grad():
        for batch in batches:
            buffers.rewind()
            states.append(RngStates.now())
            outputs.append(ask(model, batch, autocast))
    gradients = _gradients_of(outputs, evaluate)
    for batch, state, of_outputs in zip(batches, states, gradients, strict=True):
        buffers.rewind()
        state.restore()
        rows = ask(model, batch, autocast)
        reached = [name for name in of_outputs if rows[name].requires_grad]
        torch.autograd.backward([rows[name] for name in reached], [of_outputs[name] for name in reached])
        buffers.count()


def _gradients_of(outputs: Sequence[Rows], evaluate: Evaluate) -> list[Rows]:
    """The loss's gradient of every batch's outputs that it depends on."""
    # The truth has no gradient, and its tensors are those of the batch.
    leaves = [(rows, name) for rows in outputs for name in rows if not name.startswith(TARGETS)]
    for rows, name in leaves:
        rows[name].requires_grad_()
    loss = evaluate(join(outputs))
    found = torch.autograd.grad(loss, [rows[name] for rows, name in leaves], allow_unused=True)
    of_leaves = {(id(rows), name): gradient for (rows, name), gradient in zip(leaves, found, strict=True)}
    return [
        {name: gradient for name in rows if (gradient := of_leaves.get((id(rows), name))) is not None}
        for rows in outputs
    ]

"""The gradient of a family's loss: the one call that every training step makes.

Shape letters: B utterances.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from mmer_ray.errors import TrainingError
from mmer_ray.models.category import total
from mmer_ray.models.families import Loss, Terms
from mmer_ray.models.interface import EmotionModel
from mmer_ray.training import world
from mmer_ray.training.answers import AUGMENTED, OUTPUT, Answers, Rows, ask
from mmer_ray.training.batch import TrainingBatch
from mmer_ray.training.cached_gradient import backward_cached
from mmer_ray.training.global_batch import gather, sum_gradients
from mmer_ray.training.step_buffers import StepBuffers

Mode = Literal["accumulated", "cached"]
TOTAL = "loss"


def backward(
    model: EmotionModel,
    loss: Loss | Terms,
    micro_batches: Sequence[TrainingBatch],
    *,
    mode: Mode = "accumulated",
    autocast: torch.dtype | None = None,
) -> dict[str, float]:
    """Add the gradient of a loss to the model's parameters and return the loss, "loss", and its terms.

    `loss` is `families.loss_of` or, so that the terms come back too, `families.terms_of`. It sees a global batch:

    - `accumulated`: micro-batch m of all workers together; the step's loss is the mean over m, as published for MMER
      with one worker (two utterances, four times). Memory: the graph of one micro-batch.
    - `cached`: all micro-batches of all workers together (`cached_gradient`). Memory: the same; time: one more forward
      pass where there is more than one micro-batch.

    So that two workers with one micro-batch each have the gradient of one worker with both in `cached` mode, or with
    both in one micro-batch. With several workers (`torch.distributed`), every one must call this with equally many
    micro-batches; parameters then hold the same gradient everywhere, and buffers the same values (`step_buffers`). A
    norm over a batch sees one micro-batch.

    `autocast`: type of matrix work, such as bfloat16; the loss is computed in float32 or wider. Raises `TrainingError`
    before any gradient of the micro-batch is added where the loss is not finite, naming the utterances, and where
    batches do not fit together.
    """
    assert micro_batches, "a step without utterances"
    terms: Counter[str] = Counter()

    def evaluate(rows: Rows, batches: Sequence[TrainingBatch]) -> Tensor:
        num_evaluations = len(micro_batches) // len(batches)
        found = _terms_of(loss, rows, batches, num_evaluations)
        terms.update({name: float(value.detach()) / num_evaluations for name, value in found.items()})
        return found[TOTAL] / num_evaluations

    buffers = StepBuffers(model)
    with _fresh_gradients(model):
        if mode == "cached" and len(micro_batches) > 1:
            backward_cached(model, lambda rows: evaluate(rows, micro_batches), micro_batches, buffers, autocast)
        else:
            for batch in micro_batches:
                buffers.rewind()
                torch.autograd.backward(evaluate(ask(model, batch, autocast), [batch]))
                buffers.count()
        sum_gradients(model.parameters())
    buffers.settle()
    return dict(terms)


def _terms_of(
    loss: Loss | Terms, rows: Rows, batches: Sequence[TrainingBatch], num_evaluations: int
) -> Mapping[str, Tensor]:
    """Evaluate a loss on the rows of all workers: its terms, where it names them, and `TOTAL`, their sum."""
    everybody = Answers.of_rows(gather(rows, num_evaluations), batches[0].targets.class_weights)
    value = loss(everybody.output, everybody.targets, everybody.augmented)
    terms = {TOTAL: value} if isinstance(value, Tensor) else {**value, TOTAL: total(dict(value))}
    if not bool(torch.isfinite(terms[TOTAL])):
        raise TrainingError(_complaint(terms, rows, batches))
    return terms


def _complaint(terms: Mapping[str, Tensor], rows: Rows, batches: Sequence[TrainingBatch]) -> str:
    """Name the utterances, of all workers, whose outputs are not finite; all of them where every output is."""
    ids = [name for batch in batches for name in _ids_of(batch)]
    odd = [ids[row] for row in _rows_not_finite(rows)]
    # The loss is the same on every worker, so all of them come here.
    all_odd, everybody = world.gather(odd), world.gather(ids)
    named = all_odd or everybody
    values = ", ".join(f"{name} {float(value.detach()):.4g}" for name, value in terms.items())
    where = "whose outputs are not finite" if all_odd else "all outputs are finite"
    return (
        f"the loss is not finite ({values}) in a batch with {', '.join(named)} ({where}): look at their sound and "
        "labels, or lower the learning rate"
    )


def _ids_of(batch: TrainingBatch) -> Sequence[str]:
    return batch.utterance_ids or [f"row {row}" for row in range(len(batch.targets.labels))]


def _rows_not_finite(rows: Rows) -> list[int]:
    odd_B = torch.zeros(len(next(iter(rows.values()))), dtype=torch.bool)
    for name, tensor in rows.items():
        if name.startswith((OUTPUT, AUGMENTED)):
            odd_BX = ~torch.isfinite(tensor.detach()).flatten(start_dim=1 if tensor.ndim > 1 else 0).cpu()
            if name.endswith(".dimensions"):
                # A column of NaN is a dimension that the model lacks.
                odd_BX &= ~tensor.detach().isnan().all(dim=0).cpu()
            odd_B |= odd_BX.any(dim=1) if odd_BX.ndim > 1 else odd_BX
    return odd_B.nonzero().flatten().tolist()


@contextmanager
def _fresh_gradients(model: nn.Module) -> Iterator[None]:
    """Take away what gradients there are and add them again afterwards: a sum over workers must not count them."""
    if world.size() == 1:
        yield
        return
    before = [(parameter, parameter.grad) for parameter in model.parameters() if parameter.grad is not None]
    for parameter, _ in before:
        parameter.grad = None
    yield
    for parameter, gradient in before:
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient

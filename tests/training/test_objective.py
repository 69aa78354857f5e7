"""The gradient of every family's loss: in one process and in two, accumulated and cached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, distributed

from mmer_ray.errors import TrainingError
from mmer_ray.models.families import FAMILIES, build, loss_of, terms_of
from mmer_ray.models.interface import EmotionModel
from mmer_ray.training.batch import TrainingBatch
from mmer_ray.training.objective import Mode, backward
from tests.training.gloo_workers import run_together
from tests.training.utterance_maker import training_batch

MODES: tuple[Mode, ...] = ("accumulated", "cached")
TOLERANCE = 1e-5
OF_WORKERS = [[[0, 1], [5]], [[2], [3, 4]]]
"""Worker -> its micro-batches -> numbers of their utterances."""
SMALLEST = "audio_classification"


class Result(NamedTuple):
    terms: dict[str, float]
    gradients: dict[str, Tensor]
    buffers: dict[str, Tensor]


def model_for(family: str, mode: Mode = "accumulated") -> EmotionModel:
    """In training mode where both sides run the same micro-batches, in evaluation mode where they are cut otherwise."""
    torch.manual_seed(0)
    return build(family, "tiny").train(mode == "cached")


def gradient_of(model: EmotionModel, batches: Sequence[TrainingBatch], mode: Mode = "accumulated") -> Result:
    terms = backward(model, terms_of(model.family), batches, mode=mode)
    gradients = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
    return Result(terms, gradients, dict(model.named_buffers()))


class OfWorker(NamedTuple):
    """What one of two workers has."""

    results: dict[tuple[str, Mode], Result]
    after_a_second_call: Result
    """Of `SMALLEST`, gradients not cleared before."""
    complaints: list[str]


def of_one_worker(_folder: Path) -> OfWorker:
    rank = distributed.get_rank()
    batches = [training_batch(numbers) for numbers in OF_WORKERS[rank]]
    results = {
        (family, mode): gradient_of(model_for(family, mode), batches, mode) for family in FAMILIES for mode in MODES
    }
    model = model_for(SMALLEST)
    gradient_of(model, batches)
    again = gradient_of(model, batches)
    odd_calls = [
        [spoilt(batches[0], row=1) if rank == 0 else batches[0]],
        batches[: 1 + rank],
        [batches[0] if rank else batches[0]._replace(targets=replace(batches[0].targets, shares=None))],
    ]
    return OfWorker(results, again, [complaint_of(model, some) for some in odd_calls])


def complaint_of(model: EmotionModel, batches: Sequence[TrainingBatch], mode: Mode = "accumulated") -> str:
    with pytest.raises(TrainingError) as caught:
        backward(model, loss_of(model.family), batches, mode=mode)
    return str(caught.value)


def spoilt(batch: TrainingBatch, row: int) -> TrainingBatch:
    """The same batch with a sound that is no number."""
    views = [replace(view, samples=view.samples.clone()) for view in batch.views]
    views[0].samples[row, :10] = torch.nan
    return batch._replace(views=tuple(views))


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[OfWorker]:
    return run_together(of_one_worker, tmp_path_factory.mktemp("workers"))


def assert_equal(found: Result, expected: Result) -> None:
    assert found.terms == pytest.approx(expected.terms, rel=TOLERANCE)
    assert found.gradients.keys() == expected.gradients.keys()
    for name, buffer in expected.buffers.items():
        torch.testing.assert_close(found.buffers[name], buffer, rtol=TOLERANCE, atol=TOLERANCE)
    for name, gradient in expected.gradients.items():
        allowed = TOLERANCE * max(1.0, float(gradient.abs().max()))
        torch.testing.assert_close(found.gradients[name], gradient, rtol=0, atol=allowed, msg=lambda m, n=name: n + m)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", FAMILIES)
def test_two_workers_have_the_loss_gradient_and_buffers_of_one(
    family: str, mode: Mode, together: list[OfWorker]
) -> None:
    first, second = OF_WORKERS
    if mode == "cached":
        numbers = [*first, *second]
    else:
        numbers = [mine + theirs for mine, theirs in zip(first, second, strict=True)]
    alone = gradient_of(model_for(family, mode), [training_batch(some) for some in numbers], mode)
    for worker in together:
        assert_equal(worker.results[family, mode], alone)


def test_several_workers_add_to_the_gradient_that_was_there(together: list[OfWorker]) -> None:
    for worker in together:
        once = worker.results[SMALLEST, "accumulated"]
        twice = {name: 2 * gradient for name, gradient in once.gradients.items()}
        assert_equal(worker.after_a_second_call, once._replace(gradients=twice))


def test_every_worker_names_the_utterance_of_any_worker_that_is_no_number(together: list[OfWorker]) -> None:
    for worker in together:
        assert "utterance 1 (whose outputs are not finite)" in worker.complaints[0]


def test_workers_with_unequal_batches_or_fields_are_told_so_and_do_not_wait(together: list[OfWorker]) -> None:
    for worker in together:
        assert "[1, 2] batches in one step" in worker.complaints[1]
        assert "targets.shares" in worker.complaints[2]


def test_the_terms_add_up_to_the_loss_and_a_plain_loss_comes_back_alone() -> None:
    model, batches = model_for("mmer"), [training_batch([0, 1]), training_batch([2, 3])]
    terms = backward(model, terms_of("mmer"), batches)
    assert terms.keys() == {"category", "supervised", "ctc", "augmentation", "loss"}
    assert sum(terms.values()) == pytest.approx(2 * terms["loss"])
    assert backward(model, loss_of("mmer"), batches) == pytest.approx({"loss": terms["loss"]})


def test_cached_the_contrast_sees_all_micro_batches_and_accumulated_each_alone() -> None:
    model, batches = model_for("mmer"), [training_batch([0, 1]), training_batch([4, 5])]
    at_once = backward(model, terms_of("mmer"), [training_batch([0, 1, 4, 5])])
    assert backward(model, terms_of("mmer"), batches, mode="cached") == pytest.approx(at_once, rel=TOLERANCE)
    each = [backward(model, terms_of("mmer"), [batch]) for batch in batches]
    means = {name: (each[0][name] + each[1][name]) / 2 for name in at_once}
    accumulated = backward(model, terms_of("mmer"), batches, mode="accumulated")
    assert accumulated == pytest.approx(means, rel=TOLERANCE)
    assert accumulated["augmentation"] < 0.9 * at_once["augmentation"]


@pytest.mark.parametrize("mode", MODES)
def test_a_loss_that_is_no_number_names_its_utterances_and_leaves_the_gradient_alone(mode: Mode) -> None:
    model = model_for(SMALLEST)
    batches = [spoilt(training_batch([0, 1, 2]), row=1), training_batch([3, 4])]
    complaint = complaint_of(model, batches, mode)
    assert "utterance 1 (" in complaint
    assert "utterance 2" not in complaint
    assert all(parameter.grad is None for parameter in model.parameters())


def test_where_every_output_is_a_number_all_utterances_are_named() -> None:
    batch = training_batch([0, 1])
    weightless = replace(batch.targets, class_weights=torch.zeros(4))
    complaint = complaint_of(model_for(SMALLEST), [batch._replace(targets=weightless)])
    assert "utterance 0, utterance 1 (all outputs are finite)" in complaint

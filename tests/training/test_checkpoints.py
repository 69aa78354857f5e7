"""States of a training on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mmer_ray.errors import PreflightError
from mmer_ray.training.checkpoints import STATE, Checkpoints
from mmer_ray.training.learner import Learner, backward_of
from mmer_ray.training.recipe import Recipe
from tests.training.tones import same_weights


def loss(model: nn.Module, batch: Tensor) -> Tensor:
    return model(batch).square().mean()


def learner(average_decay: float | None = 0.9) -> Learner[Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Linear(3, 1))
    return Learner(model, loss, Recipe(average_decay=average_decay), backward_of)


def steps(one: Learner[Tensor], num: int) -> list[float]:
    batches = [torch.randn(4, 3, generator=torch.Generator().manual_seed(one.num_steps + k)) for k in range(num)]
    return [one.step([batch], 0.5)["loss"] for batch in batches]


@pytest.mark.parametrize("average_decay", [0.9, None])
def test_a_learner_goes_on_from_a_state_exactly(tmp_path: Path, average_decay: float | None) -> None:
    first, second = learner(average_decay), learner(average_decay)
    steps(first, 3)
    checkpoints = Checkpoints(tmp_path, "tones")
    checkpoints.save(first, extra={"spent_s": 1.5})
    expected = steps(first, 3)
    latest = checkpoints.latest()
    assert latest is not None
    assert checkpoints.restore(second, latest) == {"spent_s": 1.5}
    assert steps(second, 3) == expected
    assert same_weights(first.model, second.model)
    assert same_weights(first.averaged, second.averaged)


def test_the_latest_state_and_those_of_the_best_scores_are_kept(tmp_path: Path) -> None:
    one, checkpoints = learner(), Checkpoints(tmp_path, "tones", num_kept=2)
    for score in (0.5, 0.9, 0.7, 0.9, None, 0.1, None):
        steps(one, 1)
        checkpoints.save(one, score)
    assert [(state.num_steps, state.score) for state in checkpoints.all()] == [(2, 0.9), (4, 0.9), (7, None)]
    best = checkpoints.best()
    assert best is not None
    assert best.num_steps == 2


def test_half_a_state_is_none(tmp_path: Path) -> None:
    one, checkpoints = learner(), Checkpoints(tmp_path, "tones")
    steps(one, 1)
    checkpoints.save(one)
    (tmp_path / "step-00000002.part").mkdir()
    latest = checkpoints.latest()
    assert latest is not None
    assert latest.num_steps == 1
    steps(one, 1)
    checkpoints.save(one)
    assert [folder.name for folder in tmp_path.iterdir()] == ["step-00000002"]


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    one, checkpoints = learner(), Checkpoints(tmp_path, "tones")
    steps(one, 1)
    checkpoints.save(one)
    (tmp_path / "step-00000001" / STATE).write_text("{")
    with pytest.raises(PreflightError, match=r"step-00000001 is no state of a training .*: remove it"):
        checkpoints.latest()

"""The states of an interrupted training: each a folder, written beside its place and then renamed, so that what is
there is whole.

    CHECKPOINTS/step-00000120/weights.safetensors    the model
                             /average.safetensors    the running average of its weights, where there is one
                             /optimiser.pt           moments of AdamW, read with `weights_only`
                             /state.json             number of steps, score, what the training was asked for
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mmer_ray.errors import PreflightError
from mmer_ray.training.learner import Learner
from mmer_ray.training.whole_files import sync

PREFIX, UNFINISHED = "step-", ".part"
WEIGHTS, AVERAGE, OPTIMISER, STATE = "weights.safetensors", "average.safetensors", "optimiser.pt", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """One state on disk."""

    folder: Path
    num_steps: int
    score: float | None
    """What the check at this step found, the higher the better; None: nothing was checked."""


class Checkpoints:
    """The states of one training."""

    def __init__(self, folder: Path, asked: str, num_kept: int = 1) -> None:
        """`asked` names what the training was asked for: states of another one are refused."""
        self._folder = folder
        self._asked = asked
        self._num_kept = num_kept

    def save(self, learner: Learner[Any], score: float | None = None, extra: dict[str, Any] | None = None) -> None:
        """Write the learner's state; older ones go, but for the latest before it and those of the best scores."""
        place = self._folder / f"{PREFIX}{learner.num_steps:08d}"
        if place.exists():
            # A training goes on from the latest of its states: this is it.
            return
        for left in self._folder.glob(f"{PREFIX}*{UNFINISHED}"):
            shutil.rmtree(left)
        unfinished = place.with_name(place.name + UNFINISHED)
        unfinished.mkdir(parents=True)
        state = learner.state_dict()
        save_file(_contiguous(state["model"]), unfinished / WEIGHTS)
        if state["average"] is not None:
            save_file(_contiguous(state["average"]), unfinished / AVERAGE)
        torch.save(state["optimiser"], unfinished / OPTIMISER)
        table = {"asked": self._asked, "num_steps": learner.num_steps, "score": score, "extra": extra or {}}
        (unfinished / STATE).write_text(json.dumps(table), encoding="utf-8")
        for file in unfinished.iterdir():
            sync(file)
        unfinished.rename(place)
        sync(self._folder)
        self._forget()

    def all(self) -> list[Checkpoint]:
        """What is there, the earliest first."""
        found = []
        for folder in sorted(self._folder.glob(f"{PREFIX}*")):
            if not folder.name.endswith(UNFINISHED):
                table = self._table(folder)
                found.append(Checkpoint(folder, table["num_steps"], table["score"]))
        return found

    def latest(self) -> Checkpoint | None:
        """Where to go on from; None: from the start. Raises `PreflightError` where another training was there."""
        found = self.all()
        if found and (asked := self._table(found[-1].folder)["asked"]) != self._asked:
            raise PreflightError(
                f"{self._folder} holds a training that was asked for something else; name a new folder. "
                f"There: {asked}; here: {self._asked}"
            )
        return found[-1] if found else None

    def best(self) -> Checkpoint | None:
        """The state of the best score, the earliest of equal ones; None: no state has one."""
        scored = [one for one in self.all() if one.score is not None]
        return max(scored, key=lambda one: (one.score, -one.num_steps), default=None)

    def restore(self, learner: Learner[Any], checkpoint: Checkpoint) -> dict[str, Any]:
        """Put a learner into a state; returns what was kept beside it."""
        average = checkpoint.folder / AVERAGE
        learner.load_state_dict(
            {
                "model": load_file(checkpoint.folder / WEIGHTS),
                "average": load_file(average) if average.is_file() else None,
                "optimiser": torch.load(checkpoint.folder / OPTIMISER, weights_only=True, map_location="cpu"),
                "num_steps": checkpoint.num_steps,
            }
        )
        extra: dict[str, Any] = self._table(checkpoint.folder)["extra"]
        return extra

    def _table(self, folder: Path) -> dict[str, Any]:
        try:
            table: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PreflightError(f"{folder} is no state of a training ({error}): remove it") from error
        return table

    def _forget(self) -> None:
        found = self.all()
        scores = [(-one.score, one.num_steps, one.folder) for one in found if one.score is not None]
        kept = {found[-1].folder, *(folder for _, _, folder in sorted(scores)[: self._num_kept])}
        for one in found:
            if one.folder not in kept:
                # Renamed first: half of a state must not look like one.
                shutil.rmtree(one.folder.rename(one.folder.with_name(one.folder.name + UNFINISHED)))


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}

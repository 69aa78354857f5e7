"""A registry of trained emotion models: a folder of plain files (`models/registered.py` has its outline).

    models/NAME/
      entry.json           all that is known of it (`entry.py`)
      model/               the checkpoint folder, with its card
      run.json             what its training was asked
      evaluation.json      what its folds gave
      predictions/         the answers of each fold and seed, without transcripts: what later models are compared with

Any number of processes may read while one changes it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mmer_ray.errors import PreflightError
from mmer_ray.models.registered import ENTRY_NAME, MODEL, MODELS
from mmer_ray.training.evaluation.result import EVALUATION_NAME
from mmer_ray.training.registry.entry import RegisteredModel, file_digests
from mmer_ray.training.registry.gate import GATE_NAME
from mmer_ray.training.registry.reading import ACTIVE_NAME, Activation, Active, RegisteredModels
from mmer_ray.training.registry.shared_data import Judged
from mmer_ray.training.run import RUN_NAME
from mmer_ray.training.whole_files import locked, remove_unfinished, whole_folder, write_whole

if TYPE_CHECKING:
    from mmer_ray.training.predictions import Predictions
    from mmer_ray.training.registry.run_folder import FinishedRun

LOCK_NAME, PREDICTIONS = "lock", "predictions"


class Registry(RegisteredModels):
    """The models that passed their gate, by name, and how others are added."""

    @property
    def gate_file(self) -> Path:
        """Where its gate is declared, whether or not it is."""
        return self.folder / GATE_NAME

    def judged(self, name: str) -> Judged:
        """What a model did on strangers. Raises `UsageError` where a file of it cannot be read."""
        from mmer_ray.training.predictions_file import read_predictions

        folder = self.folder / MODELS / name
        predictions = [read_predictions(file) for file in sorted((folder / PREDICTIONS).glob("*.parquet"))]
        return Judged(name, self.evaluation(name), predictions)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Be the only process that changes the registry; waits for whoever is.

        Raises `PreflightError` where it cannot be read or written.
        """
        try:
            (self.folder / MODELS).mkdir(parents=True, exist_ok=True)
            with locked(self.folder / LOCK_NAME):
                remove_unfinished(self.folder)
                remove_unfinished(self.folder / MODELS)
                yield
        except OSError as exc:
            raise PreflightError(f"the registry {self.folder} cannot be changed: {exc}") from exc

    def add(self, entry: RegisteredModel, run: FinishedRun) -> None:
        """Copy a run's model and evidence in, whole or not at all. To be called inside `changing`.

        Raises `PreflightError` where the model changed while it was copied, `OSError` where it cannot be written.
        """
        from mmer_ray.training.predictions_file import write_predictions

        with whole_folder(self.folder / MODELS / entry.name) as folder:
            shutil.copytree(run.model.path, folder / MODEL)
            for name in (RUN_NAME, EVALUATION_NAME):
                shutil.copyfile(run.folder / name, folder / name)
            for number, answers in enumerate(run.predictions):
                write_predictions(folder / PREDICTIONS / f"{number:04d}.parquet", _without_text(answers))
            if file_digests(folder / MODEL) != entry.files:
                raise PreflightError(f"{run.model.path} changed while it was copied: promote it again")
            write_whole(folder / ENTRY_NAME, entry.to_json())

    def activate(self, name: str) -> bool:
        """Make a model the active one; False where it was already. To be called inside `changing`.

        Raises `UsageError` as `read`.
        """
        self.read(name)
        if self.active() == name:
            return False
        now = datetime.now(UTC).isoformat(timespec="seconds")
        held = Active((*self.activations(), Activation(name, now)))
        write_whole(self.folder / ACTIVE_NAME, json.dumps(asdict(held), indent=2) + "\n")
        return True


def _without_text(answers: Predictions) -> Predictions:
    """A registry is read by more people than a corpus: no transcripts go there."""
    return replace(answers, utterances=tuple(replace(one, text=None, sentence=None) for one in answers.utterances))

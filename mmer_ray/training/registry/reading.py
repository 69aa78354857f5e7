"""What a registry holds, read from its files alone. Loads no torch: whoever only looks needs no model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.models.registered import ENTRY_NAME, MODEL, MODELS, registry_folder
from mmer_ray.training.evaluation.result import EVALUATION_NAME, Evaluation, read_evaluation
from mmer_ray.training.registry.entry import RegisteredModel, read_entry

ACTIVE_NAME = "active.json"
ACTIVE_SCHEMA = "mmer.active_model/1"


@dataclass(frozen=True)
class Activation:
    """A model and the time from which it was the active one."""

    name: str
    activated_at: str
    """UTC, ISO 8601."""


@dataclass(frozen=True)
class Active:
    """`active.json`."""

    activations: tuple[Activation, ...]
    """In order of time; the last one holds."""
    schema: str = ACTIVE_SCHEMA


_ACTIVE = TypeAdapter(Active)


class RegisteredModels:
    """The models of a registry, by name. Any number of processes may read while one changes it."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = registry_folder() if folder is None else folder.absolute()

    def names(self) -> list[str]:
        """Of all models, sorted."""
        return sorted(file.parent.name for file in (self.folder / MODELS).glob(f"[!.]*/{ENTRY_NAME}"))

    def models(self) -> list[RegisteredModel]:
        """All of them, the oldest first. Raises `PreflightError` as `read`."""
        return sorted((self.read(name) for name in self.names()), key=lambda one: (one.registered_at, one.name))

    def read(self, name: str) -> RegisteredModel:
        """One model. Raises `UsageError` naming those that are known, `PreflightError` for a damaged entry."""
        if name not in (known := self.names()):
            raise UsageError(f"no registered model is called {name!r}; registered are: {', '.join(known) or 'none'}")
        return read_entry(self.folder / MODELS / name / ENTRY_NAME)

    def find(self, name: str) -> RegisteredModel | None:
        """A model by its name or by its name in a lake (`Emotion.scorer`); None where there is none."""
        if name in self.names():
            return self.read(name)
        return next((one for one in self.models() if one.scorer == name), None)

    def of_digest(self, sha256: str) -> RegisteredModel | None:
        """The model with these bytes (`ResolvedModel.sha256`); None where it is not registered."""
        return next((one for one in self.models() if one.sha256 == sha256), None)

    def model_folder(self, name: str) -> Path:
        """Where a model's checkpoint lies."""
        return self.folder / MODELS / name / MODEL

    def evaluation(self, name: str) -> Evaluation:
        """How a model answered about strangers. Raises `UsageError` where the file cannot be read."""
        return read_evaluation(self.folder / MODELS / name / EVALUATION_NAME)

    def active(self) -> str | None:
        """The model that later ones are measured against; None where there is none yet."""
        activations = self._active().activations
        return activations[-1].name if activations else None

    def activations(self) -> tuple[Activation, ...]:
        """Which model was active from when on, in order of time."""
        return self._active().activations

    def _active(self) -> Active:
        file = self.folder / ACTIVE_NAME
        try:
            found: Active = _ACTIVE.validate_json(file.read_bytes())
        except FileNotFoundError:
            return Active(())
        except ValidationError as exc:
            raise PreflightError(
                f"{file} is no {ACTIVE_SCHEMA}: restore it, or remove it and activate a model"
            ) from exc
        return found

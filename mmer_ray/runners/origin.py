"""What an evaluated model was trained on, where that is known here."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mmer_ray.training.registry.registry import Registry
from mmer_ray.training.run import MODEL, RunFolder
from mmer_ray.training.utterances import Corpus

TRAINED_ON_IT = (
    "This model was trained on this very corpus. Its figures here prove nothing: evaluate the run's folder, whose "
    "folds tell what it does on speakers not heard."
)
NOT_KNOWN = "What the model was trained on is not known here: figures on data that it has heard prove nothing."


class _TrainedOn(NamedTuple):
    """A corpus."""

    name: str
    digest: str


def origin_of(scorer: str, corpus: Corpus, model: str | None = None) -> str:
    """Say whether a model was trained on a corpus: by its entry in the registry, or by the run that its folder lies in.

    `scorer`: its name in a lake (`Emotion.scorer`); `model`: what it was named by, where it was asked. Raises
    `PreflightError` for a damaged entry of the registry, `UsageError` for a damaged `run.json`.
    """
    known = _by_registry(scorer) or (None if model is None else _by_run(Path(model).absolute()))
    if known is None:
        return NOT_KNOWN
    return TRAINED_ON_IT if known.digest == corpus.digest else f"The model was trained on {known.name}."


def _by_registry(scorer: str) -> _TrainedOn | None:
    entry = Registry().find(scorer)
    return None if entry is None else _TrainedOn(entry.data.corpus, entry.data.digest)


def _by_run(folder: Path) -> _TrainedOn | None:
    """By the run around a final model or a fold's; a name that is no folder is another model, wherever it is said."""
    if folder.name != MODEL or not folder.is_dir():
        return None
    run = next((run for run in map(RunFolder, folder.parents) if run.exists), None)
    if run is None:
        return None
    corpus = run.read()["corpus"]
    return _TrainedOn(corpus["name"], corpus["digest"])

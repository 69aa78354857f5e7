"""What a registry knows of a model: `entry.json`. No torch.

The model, its card, its evaluation and its predictions lie beside it (`registry.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mmer_ray.errors import PreflightError
from mmer_ray.models.digests import file_sha256s
from mmer_ray.training.evaluation.result import Measure
from mmer_ray.training.registry.verdict import Verdict

SCHEMA = "mmer.registered_model/1"


@dataclass(frozen=True)
class DataRecord:
    """The labelled speech that a model was evaluated on, fold by fold, and then trained on as a whole."""

    corpus: str
    digest: str
    """`Corpus.digest`."""
    num_utterances: int
    """Tested, each once."""
    num_speakers: int
    labels: Mapping[str, int]
    """Label -> tested utterances."""


@dataclass(frozen=True)
class FoldRecord:
    """Who was tested in a fold: everybody else was trained on or chose."""

    name: str
    speakers: tuple[str, ...]
    num_utterances: int


@dataclass(frozen=True)
class RegisteredModel:
    """One trained model. Nothing of it changes after it was registered."""

    name: str
    scorer: str
    """`Emotion.scorer` of its answers in a lake."""
    family: str
    sha256: str
    """`ResolvedModel.sha256`: over the files that change answers."""
    num_bytes: int
    """Size of these files."""
    files: Mapping[str, str]
    """Every file of the checkpoint folder, its card among them -> SHA-256."""
    config: Mapping[str, Any]
    """Its `config.json`."""
    registered_at: str
    """UTC, ISO 8601."""
    revision: str | None
    """The commit of the code that registered it; that of the training stands in `run`."""
    run: Mapping[str, Any]
    """`run.json` of its training: family, size, recipe, corpus, protocol, seeds, versions."""
    data: DataRecord
    folds: tuple[FoldRecord, ...]
    metrics: Mapping[str, Measure]
    """As of `evaluation.json`."""
    verdict: Verdict
    """What the gate asked and found."""
    schema: str = SCHEMA

    def to_json(self) -> str:
        """The whole of it; `read_entry` gives an equal value."""
        return json.dumps(asdict(self), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def file_digests(folder: Path) -> dict[str, str]:
    """Name of each file of a checkpoint folder, relative to it -> SHA-256. Raises `OSError` where one is unreadable."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return dict(zip((file.relative_to(folder).as_posix() for file in files), file_sha256s(files), strict=True))


_ENTRY = TypeAdapter(RegisteredModel)


def read_entry(file: Path) -> RegisteredModel:
    """Read an `entry.json`. Raises `PreflightError` where it is none of this version; `FileNotFoundError`."""
    try:
        found: RegisteredModel = _ENTRY.validate_json(file.read_bytes())
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise PreflightError(
            f"{file} is no entry of a registry: {place}: {first['msg']}. Restore it, or remove its folder"
        ) from exc
    if found.schema != SCHEMA:
        raise PreflightError(f"{file} is a {found.schema}, not a {SCHEMA}: another version of mmer_ray wrote it")
    return found

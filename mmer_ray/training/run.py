"""A run of `mmer train`: what was asked for, and the folder that holds all of it.

run.json                              what was asked for, on which data, with which versions and revision of the code
seeds/SEED/FOLD/checkpoint/           states to go on from, and the curve
seeds/SEED/FOLD/model/                the fold's model
seeds/SEED/FOLD/development.parquet   its answers about the development set
seeds/SEED/FOLD/test.parquet          and about the test set; written last: a fold that has it is done
final/checkpoint/                     of the final model
model/                                the final model, trained on all speakers
features/                             of a head: what the encoder made of each sound; may be deleted
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mmer_ray.errors import UsageError
from mmer_ray.training.whole_files import write_whole
from mmer_ray.versions import code_revision

if TYPE_CHECKING:
    from mmer_ray.training.corpora.classes import Classes
    from mmer_ray.training.fresh_model import Architecture
    from mmer_ray.training.recipe import Recipe
    from mmer_ray.training.utterances import Corpus, Split

RUN_NAME, SCHEMA = "run.json", "mmer.run/1"
CHECKPOINT, MODEL, TEST, DEVELOPMENT = "checkpoint", "model", "test.parquet", "development.parquet"
LIBRARIES = ("mmer_ray", "torch", "transformers", "ray")
CODE = ("versions", "revision")
"""Keys of `run.json` that may differ where a run goes on: newer code may end what older code began."""


@dataclass(frozen=True)
class Asked:
    """All that decides the models of a run."""

    architecture: Architecture
    recipe: Recipe
    """Its seed is the first of `seeds`; every other seed has the same recipe but for that."""
    data: str
    """The corpus's place, as it was named."""
    kind: str | None = None
    """Which layout the corpus has; None: told by its shape."""
    classes: Classes = "four"
    """Which of its labels count; those of a table of one's own all do."""
    protocol: str = "kfold"
    seeds: tuple[int, ...] = (0,)
    oracle: bool = False
    """Whether checkpoints are chosen on the test set: for showing what that is worth, never as a result."""

    def __post_init__(self) -> None:
        if self.oracle and self.recipe.selection != "best":
            raise UsageError("--oracle chooses among checks on the test set: it needs --set selection=best")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UsageError(f"seeds {list(self.seeds)}: name each one once, and one at least")


class RunFolder:
    """Where everything of a run lies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def fold(self, seed: int, name: str) -> Path:
        """The folder of one fold with one seed; names that differ have folders that differ."""
        return self.folder / "seeds" / str(seed) / quote(name, safe=" ")

    @property
    def final(self) -> Path:
        """The folder of the final model's training."""
        return self.folder / "final"

    @property
    def features(self) -> Path:
        """The folder of what a frozen encoder made of the corpus."""
        return self.folder / "features"

    @property
    def model(self) -> Path:
        """The folder of the final model."""
        return self.folder / MODEL

    @property
    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return (self.folder / RUN_NAME).is_file()

    def read(self) -> Mapping[str, Any]:
        """Read `run.json`. Raises `UsageError` where it is missing or tells of no run."""
        file = self.folder / RUN_NAME
        try:
            found: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if found["schema"] != SCHEMA:
                raise ValueError(f"it is a {found['schema']}, not a {SCHEMA}")
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise UsageError(f"{file} tells of no run ({exc}): name the --into folder of `mmer train`") from exc
        return found

    def begin(self, asked: Asked, corpus: Corpus, splits: Iterable[Split]) -> None:
        """Write down what was asked for. Raises `UsageError` where the folder holds another run, or something else."""
        table = _table(asked, corpus, splits)
        file = self.folder / RUN_NAME
        if self.exists:
            there = self.read()
            if changed := sorted(key for key in table if key not in CODE and table[key] != there.get(key)):
                raise UsageError(f"{self.folder} holds a run with another {', '.join(changed)}: name a new folder")
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise UsageError(f"{self.folder} is not empty and holds no run: name a new folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(table, indent=2) + "\n")


def _table(asked: Asked, corpus: Corpus, splits: Iterable[Split]) -> Mapping[str, Any]:
    table = {
        "schema": SCHEMA,
        **asdict(asked),
        "corpus": {"name": corpus.name, "digest": corpus.digest, "labels": corpus.labels},
        "folds": [split.name for split in splits],
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "revision": code_revision(),
    }
    # As it will be read: tuples are lists there.
    found: Mapping[str, Any] = json.loads(json.dumps(table))
    return found

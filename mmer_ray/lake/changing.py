"""Opening a lake that others rewrite meanwhile: compaction and erasure replace files and delete old ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from mmer_ray.errors import LakeError
from mmer_ray.lake.removal import Removal, read_intent

if TYPE_CHECKING:
    import duckdb

    from mmer_ray.lake.store import Lake

OPENING_TRIES = 10
"""A lake may be rewritten while it is opened; so often in a row it is not."""
PAUSE_S = 0.2


class HasConnection(Protocol):
    """What is opened."""

    @property
    def connection(self) -> duckdb.DuckDBPyConnection: ...


Made = TypeVar("Made", bound=HasConnection | None)


@dataclass(frozen=True)
class State:
    """What tells whether files are rewritten while somebody opens a lake."""

    removal: Removal | None
    """The one that is under way."""
    commits: frozenset[str]
    """The files of `commits`, which are only added to otherwise."""

    @classmethod
    def of(cls, lake: Lake) -> State:
        commits = frozenset(file.path for file in lake.files("commits"))
        return cls(read_intent(lake.address), commits)

    def still_counts(self, now: State) -> bool:
        """Whether nothing but commits came since."""
        return now.removal == self.removal and now.commits >= self.commits


def while_it_changes(lake: Lake, make: Callable[[State], Made]) -> Made:
    """What `make` gives for the state of the lake; once more where files that it read were rewritten meanwhile, so that
    tables may be of different moments, or are gone."""
    before, failed_at = State.of(lake), None
    for tries_left in reversed(range(OPENING_TRIES)):
        try:
            made = make(before)
        except LakeError:
            # A lake that fails twice at the same versions of its tables is damaged.
            versions, now = lake.versions(), State.of(lake)
            if not tries_left or (versions == failed_at and now.removal is None):
                raise
            failed_at = versions
        else:
            now = State.of(lake)
            if before.still_counts(now):
                return made
            if made is not None:
                made.connection.close()
        before = now
        time.sleep(PAUSE_S)
    raise LakeError(f"the lake {lake.address} is being rewritten; try again when that is done")

"""A plan: what a job has to do and what it need not, as the planner found it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mmer_ray.errors import LedgerError
from mmer_ray.lake.columns import values
from mmer_ray.lake.known import known_answers
from mmer_ray.lake.views import connect_internal
from mmer_ray.records import GUESSED_BYTES_PER_S, Task
from mmer_ray.sources.listing import recordings_of
from mmer_ray.tables import LISTED

if TYPE_CHECKING:
    from mmer_ray.lake.store import Lake
    from mmer_ray.stages.keys import Keys

_WORK = [pa.field("attempt", pa.int32()), pa.field("recording_id", pa.string())]
TODO = pa.schema(
    [
        *(*LISTED, *_WORK, pa.field("restart", pa.string())),
        *(pa.field("needs_row", pa.bool_()), pa.field("heard_key", pa.string())),
    ]
)
"""Listed files to be worked on. `recording_id` is null where nobody has read the bytes; `needs_row` is false where the
file's row in the lake will still be right afterwards; `heard_key` is the hearing that is worked on, that of the plan's
keys unless the file's speakers were counted again."""
COPIES = pa.schema([*LISTED, *_WORK, pa.field("is_known", pa.bool_())])
"""Files that get a row and no work: their audio is in the lake (`is_known`), or another file of the plan stands for
it."""


@dataclass(frozen=True)
class Plan:
    """A listing, parted by what has to be done about each file."""

    keys: Keys
    todo: pa.Table
    """Schema `TODO`, the longest first, so that no worker ends on a long one alone."""
    copies: pa.Table = field(default_factory=COPIES.empty_table)
    """Schema `COPIES`."""
    num_listed: int = 0
    num_done: int = 0
    """Files whose answers are in the lake, or will be once those of another file with the same audio are."""
    done_ms: int = 0
    num_known_failures: int = 0
    """Files that failed and would fail again, those that wait among them."""
    num_waiting: int = 0
    """Failures that may pass, but were tried too recently."""
    num_left_out: int = 0
    """Files that there is something to do about, and that `limited` has left to a later job."""
    num_recounted: int = 0
    """Files whose speakers `mmer recluster` counted again, and which these keys hear anew or have heard otherwise."""
    num_erased: int = 0
    """Files that were erased, or whose audio was: they are left alone."""
    takes_erased: bool = False
    """Whether what was erased is among the files to work on."""
    as_of: int | None = None
    """Number of the last commit that the planner saw."""
    num_repeated: int = 0
    """Rows of the listing with the corpus and uri of an earlier one: that one counts."""
    repeated_example: str | None = None
    inactive_corpora: tuple[str, ...] = ()
    """Corpora of the listing that follow another emotion model than the one of `keys`."""
    is_rescore: bool = False
    """Whether scored recordings are asked again: an answer that fails is not written, so that the earlier one stays,
    and audio that the lake has heard under these keys is heard all the same."""
    _opened: dict[str, duckdb.DuckDBPyConnection] = field(default_factory=dict, compare=False, repr=False)

    @property
    def num_copies(self) -> int:
        return int(self.copies.num_rows)

    @property
    def num_planned(self) -> int:
        """Recordings that the job has to account for."""
        return int(self.todo.num_rows) + self.num_copies

    @property
    def is_empty(self) -> bool:
        return self.num_planned == 0

    @property
    def todo_s(self) -> float:
        """Seconds of audio to work on, guessed from file sizes where the length is not known."""
        return float(pc.sum(planned_ms(self.todo)).as_py() or 0.0) / 1000

    def with_todo(self, todo: pa.Table) -> Plan:
        """The same plan with other lengths (`expected_ms`), sorted anew."""
        return replace(self, todo=longest_first(todo))

    def limited(self, num_recordings: int) -> Plan:
        """The same plan with at most so many recordings to work on, and without the copies of those left out."""
        todo = self.todo.slice(0, num_recordings)
        heard = todo.filter(pc.field("heard_key") == self.keys.heard).column("recording_id").combine_chunks()
        stands = pc.is_in(self.copies.column("recording_id"), value_set=heard)
        copies = self.copies.filter(pc.or_(self.copies.column("is_known"), stands))
        num_left_out = self.num_planned - int(todo.num_rows) - int(copies.num_rows)
        return replace(self, todo=todo, copies=copies, num_left_out=self.num_left_out + num_left_out)

    def check(self) -> None:
        """Raise `LedgerError` unless every file of the listing is planned, done, left alone or left out."""
        parts = {
            "planned": self.num_planned,
            "done": self.num_done,
            "known to fail": self.num_known_failures,
            "erased": self.num_erased,
            "left out": self.num_left_out,
            "named again": self.num_repeated,
        }
        if self.num_listed != sum(parts.values()):
            counted = ", ".join(f"{num} {kind}" for kind, num in parts.items())
            raise LedgerError(f"the plan does not sum: {self.num_listed} files listed, but {counted}; report this")

    def tasks(self, lake: Lake, todo: pa.Table) -> list[Task]:
        """The tasks of some rows of `todo`, in their order, with what the lake knows for those that need it."""
        rows = list(zip(*(values(todo, name) for name in ("restart", "recording_id", "heard_key")), strict=True))
        wanted: dict[str, dict[str, str]] = {}
        for restart, name, heard_key in rows:
            if restart != "decode":
                wanted.setdefault(heard_key, {})[name] = restart
        known = {
            heard_key: known_answers(self._connection(lake), heard_key, self.keys.scorer, restarts)
            for heard_key, restarts in wanted.items()
        }
        return [
            Task(recording)
            if restart == "decode"
            else Task(recording, restart, replace(known[heard_key][name], recording=recording))
            for recording, (restart, name, heard_key) in zip(recordings_of(todo), rows, strict=True)
        ]

    def _connection(self, lake: Lake) -> duckdb.DuckDBPyConnection:
        """One moment of the lake for all tasks: opening it takes seconds where it holds a million recordings."""
        if lake.address not in self._opened:
            self._opened[lake.address] = connect_internal(lake)
        return self._opened[lake.address]


def planned_ms(listed: pa.Table) -> pa.ChunkedArray[Any]:
    """Milliseconds that planning counts: `expected_ms`, else a guess from the file's size."""
    guessed = pc.divide(pc.multiply(listed.column("size_bytes"), 1000), GUESSED_BYTES_PER_S)
    return pc.coalesce(listed.column("expected_ms").cast(pa.int64()), guessed)


def longest_first(listed: pa.Table) -> pa.Table:
    """Sorted by `planned_ms`, then by corpus and uri."""
    keyed = listed.append_column("planned_ms", planned_ms(listed))
    ordered = keyed.sort_by([("planned_ms", "descending"), ("corpus", "ascending"), ("uri", "ascending")])
    return ordered.drop_columns("planned_ms")

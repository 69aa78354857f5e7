"""How rows become visible: appended to every table and, last, listed in `commits`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from mmer_ray.failpoint import failpoint
from mmer_ray.lake.batch import Batch, stamped, whole
from mmer_ray.lake.run import commit_row, new_run_id
from mmer_ray.tables import DATA_TABLES, SCHEMAS

if TYPE_CHECKING:
    from mmer_ray.lake.store import Lake


def append_commit(lake: Lake, batch: Batch, run_id: str, scorer: str | None) -> None:
    """Append a commit's rows, table by table, then the row that makes them visible.

    After `StoreError` it may be called again with the same batch: a table that has the rows is passed over.
    """
    for name in DATA_TABLES:
        failpoint(f"before_append_{name}")
        if batch.tables[name].num_rows:
            lake.append(name, batch.tables[name], batch.sequence, run_id)
        failpoint(f"after_append_{name}")
    failpoint("before_append_commits")
    row = commit_row(batch, run_id, scorer)
    lake.append("commits", pa.Table.from_pylist([row], schema=SCHEMAS["commits"]), batch.sequence, run_id)
    failpoint("after_append_commits")


@dataclass(frozen=True, slots=True)
class SingleCommit:
    """A commit of a command that is no scoring job: the lake is locked and made by the caller."""

    sequence: int
    run_id: str
    commit_id: str

    @classmethod
    def begin(cls, lake: Lake) -> SingleCommit:
        run_id = new_run_id(datetime.now(UTC))
        return cls(lake.next_sequence(), run_id, f"{run_id}.00001")

    def write(self, lake: Lake, tables: Mapping[str, pa.Table], stamp: Mapping[str, str] | None = None) -> None:
        """Commit these tables, whole but for `run_id`, `commit_id` and the further columns of `stamp`."""
        full = {**(stamp or {}), "run_id": self.run_id, "commit_id": self.commit_id}
        rows = whole({name: stamped(name, table, full) for name, table in tables.items()})
        append_commit(lake, Batch(self.sequence, self.commit_id, rows), self.run_id, None)

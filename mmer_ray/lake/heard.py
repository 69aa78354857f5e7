"""Audio that was heard already, by the lake or by this run: its answers are not written twice."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow.compute as pc

from mmer_ray.lake.answers import Answers
from mmer_ray.lake.batch import Placed
from mmer_ray.lake.columns import values
from mmer_ray.lake.plan import Plan

KNOWN = """
    SELECT DISTINCT recording_id, missing FROM internal.current JOIN wanted USING (recording_id)
    WHERE status = 'scored' AND size_bytes IN (SELECT size_bytes FROM to_decode)
"""
SUSPECTS = """
    SELECT size_bytes FROM to_decode GROUP BY size_bytes HAVING count(*) > 1
    UNION
    SELECT size_bytes FROM internal.current SEMI JOIN wanted USING (recording_id) WHERE status = 'scored'
        AND size_bytes IN (SELECT size_bytes FROM to_decode)
"""


class HeardAudio:
    """What a planner that could not read the bytes, as on a remote store, leaves to the writer to notice.

    Equal bytes have equal sizes, so only audio of a size that comes twice is remembered. `connection` is one of
    `views.connect_internal` with the table `wanted`. A rescore's recordings come once each, and known ones are wanted.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
        self._missing: dict[str, str] = {}
        self._suspects: set[int] = set()
        if plan.is_rescore:
            return
        to_decode = plan.todo.filter(pc.field("restart") == "decode").select(["size_bytes"])
        connection.register("to_decode", to_decode)
        self._missing = dict(connection.execute(KNOWN).fetchall())
        self._suspects = {size for (size,) in connection.execute(SUSPECTS).fetchall()}
        connection.unregister("to_decode")

    def place(
        self,
        answers: Answers,
        recording_ids: Sequence[str],
        needs_row: Sequence[bool],
        planned: Sequence[str | None],
    ) -> Placed:
        """Decide what of each answer is written; of equal audio the first one's results.

        `planned` has the ids that the planner knew: whose audio it knew and let hear all the same is heard anew.
        """
        recordings = answers.tables["recordings"]
        restarts, statuses, sizes = (values(recordings, name) for name in ("restart", "status", "size_bytes"))
        count = answers.num_recordings
        is_copy, keep_felt = np.zeros(count, dtype=bool), np.ones(count, dtype=bool)
        keep_row = np.array([needs or status == "failed" for needs, status in zip(needs_row, statuses, strict=True)])
        for at, name in enumerate(recording_ids):
            if restarts[at] != "decode":
                continue
            keep_row[at] = True
            if statuses[at] != "scored" or sizes[at] not in self._suspects:
                continue
            if name in self._missing and planned[at] != name:
                is_copy[at], keep_felt[at] = True, self._missing[name] != "nothing"
            self._missing[name] = "nothing"
        return Placed(answers, recording_ids, keep_row.astype(bool), ~is_copy, keep_felt, is_copy)

"""Which emotion model a corpus follows, moved by hand: `mmer models activate`."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from mmer_ray.errors import UsageError
from mmer_ray.lake.commit import SingleCommit
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import connect
from mmer_ray.tables import SCHEMAS

ANSWERED = """
    SELECT DISTINCT shown.corpus, felt.scorer FROM internal.shown AS shown
    JOIN internal.felt AS felt USING (recording_id, heard_key)
    WHERE felt.scorer <> '' ORDER BY ALL
"""


WAITING = """
    SELECT corpus FROM (
        SELECT DISTINCT shown.corpus FROM internal.shown AS shown
        JOIN internal.felt AS felt USING (recording_id, heard_key) WHERE felt.scorer = $scorer
    ) ANTI JOIN (FROM internal.active WHERE scorer = $scorer) AS following USING (corpus)
    ORDER BY corpus
"""


def corpora_to_move(lake: Lake, scorer: str) -> list[str]:
    """Name the corpora that have answers of an emotion model and do not follow it. Writes nothing."""
    with connect(lake) as connection:
        return [name for (name,) in connection.execute(WAITING, {"scorer": scorer}).fetchall()]


def activate(lake: Lake, scorer: str, corpus: str | None = None) -> list[str]:
    """Let a corpus, or every corpus in which it has answers, follow this emotion model; returns their names.

    Raises `UsageError` for a model without answers there, `LakeError` where there is no lake or another job writes it.
    """
    lake.require_existing()
    with lake.lock():
        with connect(lake) as connection:
            answered = connection.execute(ANSWERED).fetchall()
        corpora = _corpora(lake, answered, scorer, corpus)
        lake.create()
        now = datetime.now(UTC)
        rows = [{"corpus": name, "scorer": scorer, "activated_at": now} for name in corpora]
        active = pa.Table.from_pylist(rows, schema=SCHEMAS["active_scorers"])
        SingleCommit.begin(lake).write(lake, {"active_scorers": active})
    return corpora


def _corpora(lake: Lake, answered: list[tuple[str, str]], scorer: str, corpus: str | None) -> list[str]:
    known = sorted({name for name, _ in answered})
    if corpus is not None and corpus not in known:
        raise UsageError(f"{lake.address} has no answers in corpus {corpus!r}; it has: {', '.join(known) or 'none'}")
    found = [name for name, one in answered if one == scorer and corpus in (None, name)]
    if not found:
        there = sorted({one for name, one in answered if corpus in (None, name)})
        where = f"corpus {corpus!r} of {lake.address}" if corpus else lake.address
        raise UsageError(f"{scorer!r} has no answers in {where}; these have: {', '.join(there) or 'none'}")
    return found

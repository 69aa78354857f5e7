"""How long a lake keeps what: `mmer lake retain`.

    [default]                  # corpora without a table of their own
    recordings = "730d"
    [corpus.calls]
    words = "90d"
    emotions = "365d"
    recordings = "730d"

An age is counted from the `day` of the recording. Rows that have reached it are removed for good, as an erasure removes
them (`removing.py`). Results hang on the audio: where several files share it, a table's rows go once the corpora of all
of them let go. With `recordings` goes everything, once no file with that audio is left.

What has gone is put down in `erasures` with the reason `retention`. A file of which everything went is not scored again
as long as its size stays; audio that lost rows of `LASTING` is not worked on again, whatever the profile: its answers
would be made of less than was heard, or be older than they may.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from mmer_ray.errors import UsageError
from mmer_ray.lake.erased import RETENTION, ROWS, WHOLE, decision_row
from mmer_ray.lake.erasure import Erased, carried_out, require_lake, writing_unless
from mmer_ray.lake.removal import Removal
from mmer_ray.lake.views import connect_internal

if TYPE_CHECKING:
    from mmer_ray.lake.store import Lake

TABLES = ("recordings", "utterances", "words", "turns", "pieces", "emotions", "speaker_edits", "annotations")
"""Those that may have an age. `results` and `calls` say what was done, and go with `recordings`."""
LASTING = ("utterances", "words", "turns", "emotions")
IMPLIED = {"utterances": ("words",)}
"""Tables whose rows go with those of another: words are the utterance's text."""
_AGE = re.compile(r"(\d{1,5})d")

HELD = """
    CREATE TEMP TABLE held AS
    SELECT *, corpus IN (SELECT corpus FROM named) AS has_rules FROM (
        SELECT recording_id, corpus, uri, size_bytes, day FROM internal.current
        UNION ALL
        SELECT recording_id, min(corpus), NULL, NULL, max(day) FROM internal.results
        WHERE recording_id NOT IN (SELECT recording_id FROM internal.current) GROUP BY recording_id
    )
"""
"""The files of all audio, and whether their corpus has rules of its own; what a file was before it changed has no
uri."""
EXPIRED = """
    CREATE TEMP TABLE expired AS
    SELECT held.recording_id, held.corpus, held.uri, held.size_bytes, cutoffs.table_name FROM held JOIN cutoffs
    ON cutoffs.corpus = held.corpus OR (cutoffs.corpus IS NULL AND NOT held.has_rules)
    WHERE held.day < cutoffs.day
"""
REACHED = """
    CREATE TEMP TABLE reached AS
    SELECT table_name, recording_id, max(size_bytes) AS size_bytes
    FROM (SELECT recording_id, count(*) AS num_files FROM held GROUP BY recording_id)
    JOIN expired USING (recording_id) GROUP BY table_name, recording_id, num_files HAVING count(*) = num_files
"""
"""The audio of which all files have reached a table's age."""
FILES = """
    SELECT recording_id, corpus, uri, size_bytes, recording_id IN (SELECT recording_id FROM reached
        WHERE table_name = 'recordings')
    FROM expired WHERE table_name = 'recordings' AND uri IS NOT NULL ORDER BY corpus, uri
"""
WHOLE_AUDIO = "SELECT recording_id FROM reached WHERE table_name = 'recordings' ORDER BY recording_id"
OF_TABLE = """
    SELECT recording_id, size_bytes FROM reached
    WHERE table_name = $table AND recording_id IN (SELECT recording_id FROM {source})
        AND recording_id NOT IN (SELECT recording_id FROM reached WHERE table_name = 'recordings')
    ORDER BY recording_id
"""


@dataclass(frozen=True)
class Policy:
    """Table -> days that its rows are kept, by corpus."""

    default: Mapping[str, int] = field(default_factory=dict)
    """For every corpus that `corpora` does not name."""
    corpora: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def read_policy(path: Path) -> Policy:
    """Read a TOML file. Raises `UsageError` for one that is not there, or says what is no rule."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise UsageError(f"the policy {path} cannot be read: {exc}") from exc
    corpora = document.pop("corpus", {})
    default = document.pop("default", {})
    if document:
        raise UsageError(f"the policy {path} has {sorted(document)[0]!r}; it may have [default] and [corpus.NAME]")
    if not isinstance(corpora, dict) or not (corpora or default):
        raise UsageError(f"the policy {path} has no rule; write [default] or [corpus.NAME]")
    rules = {name: _ages(rule, f"{path}: [corpus.{name}]") for name, rule in corpora.items()}
    return Policy(_ages(default, f"{path}: [default]"), rules)


def age_in_days(text: object, place: str) -> int:
    """Days of an age such as `90d`. Raises `UsageError`, which names the place.

    >>> age_in_days("365d", "--older-than")
    365
    """
    found = _AGE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise UsageError(f"{place}: {text!r} is no age; write days, such as 365d")
    return int(found[1])


def require_table(name: str, place: str) -> None:
    """Raise `UsageError` for a table that can have no age of its own."""
    if name in ("results", "calls"):
        raise UsageError(f"{place}: {name} says what was done and goes with recordings; give these an age")
    if name not in TABLES:
        raise UsageError(f"{place}: there is no table {name!r} with an age; tables: {', '.join(TABLES)}")


def _ages(rule: Any, place: str) -> dict[str, int]:
    if not isinstance(rule, dict):
        raise UsageError(f'{place}: give tables and ages, such as words = "90d"')
    for name in rule:
        require_table(name, place)
    return {name: age_in_days(text, f"{place} {name}") for name, text in rule.items()}


def retain(lake: Lake, policy: Policy, *, today: date | None = None, dry_run: bool = False) -> Erased:
    """Remove the rows that have reached their age; nothing happens where there are none, or with `dry_run`.

    Raises `LakeError` where another job writes the lake or it is damaged, `StoreError` where the store fails: the next
    command that writes then finishes it.
    """
    require_lake(lake)
    with writing_unless(dry_run, lake):
        with connect_internal(lake) as connection:
            removal = _reached(connection, lake.key, policy, today or this_day())
        num_recordings = len({*removal.recordings, *(one for ids in removal.rows.values() for one in ids)})
        return carried_out(lake, removal, num_recordings, len(removal.files), dry_run=dry_run)


def this_day() -> date:
    """The day that ages are counted from, in UTC."""
    return datetime.now(UTC).date()


def _reached(connection: duckdb.DuckDBPyConnection, key: bytes, policy: Policy, today: date) -> Removal:
    rules = _cutoffs(policy, today)
    _make_rows(connection, "cutoffs", {"corpus": pa.string(), "table_name": pa.string(), "day": pa.date32()}, rules)
    _make_rows(connection, "named", {"corpus": pa.string()}, [(name,) for name in policy.corpora])
    for statement in (HELD, EXPIRED, REACHED):
        connection.execute(statement)
    files = connection.execute(FILES).fetchall()
    whole = [str(one) for (one,) in connection.execute(WHOLE_AUDIO).fetchall()]
    decisions = [
        decision_row(key, recording if is_whole else None, uri, size, WHOLE, RETENTION, corpus)
        for recording, corpus, uri, size, is_whole in files
    ]
    rows: dict[str, tuple[str, ...]] = {}
    partly: dict[str, int] = {}
    for table in sorted({table for _, table, _ in rules} - {"recordings"}):
        found = connection.execute(OF_TABLE.format(source=f"internal.{table}"), {"table": table}).fetchall()
        rows[table] = tuple(recording for recording, _ in found)
        if table in LASTING:
            partly |= dict(found)
    decisions += [decision_row(key, one, None, size, ROWS, RETENTION, None) for one, size in sorted(partly.items())]
    named = tuple((corpus, uri) for _, corpus, uri, _, _ in files)
    rows = {name: ids for name, ids in rows.items() if ids}
    return Removal(tuple(whole), named, rows=rows, decisions=tuple(decisions))


def _cutoffs(policy: Policy, today: date) -> list[tuple[str | None, str, date]]:
    """(corpus, table, first day that stays); corpus None for those without rules of their own."""
    rules: list[tuple[str | None, Mapping[str, int]]] = [(None, policy.default), *policy.corpora.items()]
    found: list[tuple[str | None, str, date]] = []
    for corpus, ages in rules:
        days = dict(ages)
        for table, others in IMPLIED.items():
            for other in others:
                if table in days:
                    days[other] = min(days[table], days.get(other, days[table]))
        found += [(corpus, table, today - timedelta(days=number)) for table, number in days.items()]
    return found


def _make_rows(
    connection: duckdb.DuckDBPyConnection, name: str, types: Mapping[str, pa.DataType], rows: list[tuple[Any, ...]]
) -> None:
    arrays = [pa.array([row[at] for row in rows], data_type) for at, data_type in enumerate(types.values())]
    connection.register("given_rows", pa.Table.from_arrays(arrays, names=list(types)))
    connection.execute(f"CREATE TEMP TABLE {name} AS FROM given_rows")
    connection.unregister("given_rows")

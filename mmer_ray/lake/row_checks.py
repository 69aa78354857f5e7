"""Whether the rows of a lake agree with each other: counts, keys, children and parents, ledgers. One query each.

DuckDB reads the committed rows and spills what does not fit its memory.
"""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from mmer_ray.lake.finding import Finding
from mmer_ray.lake.ledger import TOLERANCE_S
from mmer_ray.tables import SCHEMAS

MAX_EXAMPLES = 10
"""So many findings of one check are told one by one; the last line counts the others."""
FROM_A_COPY = "restore the lake from a copy, or erase these recordings and score them again"
A_BUG = "report this: it is a bug of mmer; scoring these recordings again into a new lake gives whole ones"

KEYS = {
    "recordings": "commit_id, corpus, uri",
    "results": "commit_id, recording_id, heard_key",
    "utterances": "commit_id, recording_id, heard_key, utterance_idx",
    "words": "commit_id, recording_id, heard_key, utterance_idx, word_idx",
    "turns": "commit_id, recording_id, heard_key, turn_idx",
    "pieces": "commit_id, recording_id, heard_key, window_idx",
    "emotions": "commit_id, recording_id, heard_key, scorer, utterance_idx",
    "calls": "commit_id, recording_id, heard_key, scorer",
    "active_scorers": "commit_id, corpus",
    "corpus_facts": "commit_id, corpus",
    "speaker_edits": "commit_id, edit_id",
    "annotations": "commit_id, recording_id, heard_key, utterance_idx, rater",
}
"""What no two rows of a table share. Of rows of several commits the newest count (`visibility.py`)."""

_HEARING, _UTTERANCE = "recording_id, heard_key", "recording_id, heard_key, utterance_idx"
PARENTS = {
    "utterances": ("results", f"commit_id, {_HEARING}"),
    "words": ("utterances", f"commit_id, {_UTTERANCE}"),
    "turns": ("results", f"commit_id, {_HEARING}"),
    "pieces": ("results", f"commit_id, {_HEARING}"),
    "emotions": ("utterances", _UTTERANCE),
    "calls": ("results", _HEARING),
}
"""Table -> the table of its parents, and the columns that both have. Emotions and measures may be made later than what
was heard, in commits of their own. People's labels have none: they outlive utterances that a policy of ages takes."""

LOST_RESULTS = """
    SELECT part.commit_id AS place, format('{} scored recordings name results that are not there', count(*)) AS what
    FROM internal.current AS part ANTI JOIN internal.heard AS heard
    ON heard.recording_id = part.recording_id AND heard.heard_key = part.heard_key
    WHERE part.status = 'scored' GROUP BY ALL
"""
HEARINGS = """
    SELECT commit_id AS place, format('in {} recordings speech and non-speech differ from the duration, by up to {} ms',
        count(*), max(abs(duration_ms - speech_ms - non_speech_ms))) AS what
    FROM internal.results WHERE abs(duration_ms - speech_ms - non_speech_ms) > 1 GROUP BY ALL
"""
"""One millisecond is rounding (`columns.split_ms`)."""

_ENDED = """
    SELECT *, coalesce(num_copies, num_copied) AS copies FROM internal.runs WHERE status = 'finished'
"""
STORED_LEDGERS = f"""
    SELECT run_id AS place, 'its ledger does not sum' AS what FROM ({_ENDED})
    WHERE num_planned <> num_scored + num_failed OR num_planned <> num_received OR num_unreached <> 0
        OR abs(planned_ms - scored_ms - quarantined_ms) > {TOLERANCE_S * 1000}
        OR abs(scored_ms - speech_ms - non_speech_ms) > {TOLERANCE_S * 1000}
"""
LEDGERS = f"""
    WITH found AS (
        SELECT run_id, count(*) FILTER (status = 'scored') AS scored, count(*) FILTER (status = 'failed') AS failed,
            count(*) FILTER (status = 'scored' AND is_copy) AS copies
        FROM internal.recordings GROUP BY run_id
    ), measured AS (SELECT run_id, count(*) AS num FROM internal.calls GROUP BY run_id
    ), compared AS (
        SELECT ended.run_id, ended.num_scored, ended.num_failed, ended.copies AS num_copies,
            coalesce(found.scored, 0) AS scored, coalesce(found.failed, 0) AS failed,
            coalesce(found.copies, 0) AS copies, coalesce(measured.num, 0) AS measured
        FROM ({_ENDED}) AS ended LEFT JOIN found USING (run_id) LEFT JOIN measured USING (run_id)
    )
    SELECT run_id AS place,
        format('its ledger has {{}} scored ({{}} copies) and {{}} failed, its rows {{}} ({{}}) and {{}}',
        num_scored, num_copies, num_failed, scored, copies, failed) AS what
    FROM compared
    WHERE scored > num_scored OR copies > num_copies OR failed > num_failed OR ($is_complete AND (
        scored + measured < num_scored OR copies < num_copies OR failed < num_failed))
"""
"""Recordings whose emotions or measures alone were made have no row of the run in `recordings`, but one in `calls`."""


@dataclass(frozen=True, slots=True)
class RowCheck:
    """A query whose rows (place, what) are findings."""

    table: str
    query: str
    remedy: str = FROM_A_COPY
    parameters: tuple[str, ...] = ()


def row_checks() -> Iterator[RowCheck]:
    """Every check, the cheap ones first."""
    yield RowCheck("commits", _repeated("commits", "sequence"), A_BUG)
    yield RowCheck("commits", _repeated("commits", "commit_id"), A_BUG)
    yield RowCheck("runs", _repeated("internal.runs", "run_id, status = 'started'"), A_BUG)
    yield RowCheck("runs", STORED_LEDGERS, A_BUG)
    yield RowCheck("runs", LEDGERS, parameters=("is_complete",))
    for name in SCHEMAS:
        if f"num_{name}" in SCHEMAS["commits"].names:
            yield RowCheck(name, _miscounted(name))
    yield RowCheck("recordings", LOST_RESULTS)
    yield RowCheck("results", HEARINGS, A_BUG)
    for name, key in KEYS.items():
        yield RowCheck(name, _repeated(f"internal.{name}", key), A_BUG)
    for name, (parent, key) in PARENTS.items():
        yield RowCheck(name, _orphaned(name, parent, key))


def row_findings(connection: duckdb.DuckDBPyConnection, *, is_complete: bool) -> Iterator[Finding]:
    """What is wrong with the rows. `connection` is one of `views.connect_internal`.

    `is_complete`: no row was ever taken out of this lake, so that every run still has the rows that its ledger counts.
    """
    for check in row_checks():
        parameters = {"is_complete": is_complete} if check.parameters else {}
        try:
            found = connection.execute(_limited(check.query), parameters).fetchall()
        except duckdb.Error as exc:
            what = f"its rows cannot be read: {str(exc).splitlines()[0]}"
            yield Finding(check.table, check.table, what, FROM_A_COPY)
            continue
        for place, what, _ in found:
            yield Finding(check.table, str(place), what, check.remedy)
        num_more = found[0][2] - len(found) if found else 0
        if num_more:
            yield Finding(check.table, check.table, f"and {num_more} more of the same", check.remedy)


def _limited(query: str) -> str:
    return f"SELECT place, what, count(*) OVER () AS num FROM ({query}) ORDER BY place, what LIMIT {MAX_EXAMPLES}"


def _miscounted(name: str) -> str:
    """Commits that name another number of rows than there are; version 1 did not count every table."""
    return f"""
        SELECT commits.commit_id AS place,
            format('the commit has {{}} rows of {name}, {{}} were written', coalesce(num, 0), num_{name}) AS what
        FROM commits LEFT JOIN (SELECT commit_id, count(*) AS num FROM internal.{name} GROUP BY commit_id) AS found
        ON found.commit_id = commits.commit_id
        WHERE num_{name} <> coalesce(num, 0)
    """


def _repeated(source: str, key: str) -> str:
    """Keys that several rows have, counted by the key's first column."""
    place = key.partition(",")[0]
    return f"""
        SELECT place, format('{{}} keys ({key.replace("'", "''")}) come twice or more often', count(*)) AS what
        FROM (SELECT {place} AS place FROM {source} GROUP BY {key} HAVING count(*) > 1) GROUP BY place
    """


def _orphaned(name: str, parent: str, key: str) -> str:
    return f"""
        SELECT commit_id AS place, format('{{}} rows of {name} have no row in {parent}', count(*)) AS what
        FROM internal.{name} ANTI JOIN internal.{parent} USING ({key}) GROUP BY commit_id
    """

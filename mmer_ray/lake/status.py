"""A lake as a whole: its runs, its ledger, what failed and what the corpora follow."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from mmer_ray.lake.ledger import Ledger, lake_ledger
from mmer_ray.lake.values import rows_of
from mmer_ray.tables import Row


@dataclass(frozen=True, slots=True)
class FailureCount:
    """How often a code occurs among the recordings' newest rows."""

    error_code: str
    error_stage: str
    num_recordings: int
    claimed_s: float
    example_uri: str


@dataclass(frozen=True, slots=True)
class LakeStatus:
    """What `mmer status` prints."""

    ledger: Ledger
    runs: list[Row]
    """Newest first; a killed run stays `started`."""
    failures: list[FailureCount]
    """Most frequent first."""
    num_utterances: int
    """Of distinct audio: what two corpora share counts once."""
    active_scorers: dict[str, str]
    """Corpus -> the emotion model that its views and summaries follow."""
    dropped_words: dict[str, int]
    """Reason -> words that the recognizer read and did not believe, counted as `num_utterances` is."""

    @property
    def active_scorer(self) -> str | None:
        """The one model, or all of them, that the corpora follow; None before the first answer."""
        return ", ".join(sorted(set(self.active_scorers.values()))) or None


def status_of(connection: duckdb.DuckDBPyConnection) -> LakeStatus:
    """The status of the lake whose views `connection` has."""
    failures = """
        SELECT error_code, error_stage, count(*) AS num_recordings,
               coalesce(sum(expected_ms), 0) / 1000 AS claimed_s, min(uri) AS example_uri
        FROM recordings WHERE status = 'failed'
        GROUP BY ALL ORDER BY num_recordings DESC, error_code, error_stage
    """
    (counted,) = rows_of(
        connection,
        "SELECT count(*) AS num_utterances FROM internal.utterances AS said SEMI JOIN internal.shown AS shown "
        "ON said.recording_id = shown.recording_id AND said.commit_id = shown.heard_commit",
        {},
    )
    active = "SELECT DISTINCT corpus, active_scorer FROM internal.shown WHERE active_scorer IS NOT NULL ORDER BY ALL"
    dropped = """
        SELECT reason, sum(num_words)::BIGINT AS num_words FROM (
            SELECT unnest(map_keys(dropped_words)) AS reason, unnest(map_values(dropped_words)) AS num_words
            FROM internal.results AS heard SEMI JOIN internal.shown AS shown
            ON heard.recording_id = shown.recording_id AND heard.commit_id = shown.heard_commit
        ) GROUP BY reason ORDER BY reason
    """
    return LakeStatus(
        ledger=lake_ledger(connection.cursor()),
        runs=rows_of(connection, "SELECT * FROM runs ORDER BY started_at DESC, run_id", {}),
        failures=[FailureCount(**row) for row in rows_of(connection, failures, {})],
        num_utterances=counted["num_utterances"],
        active_scorers={row["corpus"]: row["active_scorer"] for row in rows_of(connection, active, {})},
        dropped_words={row["reason"]: row["num_words"] for row in rows_of(connection, dropped, {})},
    )

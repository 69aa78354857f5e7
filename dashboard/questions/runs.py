"""What the page on runs asks: which there were, what became of the recordings, and whether answers drift."""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence

from dashboard.filters import Filters
from dashboard.question import Question, Value
from dashboard.questions.chosen import places
from mmer_ray.lake.drift import answers_by_run, runs_with_answers

_COLUMNS = (
    "run_id, status, profile, started_at, written_at, wall_s, stage_s, gpu_s, num_planned, num_known, num_scored, "
    "num_copies, num_failed, num_unreached, num_erased, num_utterances, planned_ms, scored_ms, quarantined_ms, "
    "erased_ms, unreached_ms, speech_ms, non_speech_ms, git_revision, versions, model_digests, options"
)


def runs(filters: Filters, corpora: Sequence[str], *, theirs: Sequence[str] | None, limit: int) -> Question:
    """The newest runs, newest first. `theirs`: the corpora that the viewer may see, chosen or not; None: every one.

    Who may not is shown a run only where all recordings that it counts are of their corpora, and none of them was
    scored again since: its sums would tell of others. With corpora or days chosen these are the runs that recordings of
    theirs come from as they stand now.
    """
    condition, values = "true", _values(limit=limit)
    if theirs is not None:
        condition += """ AND run_id IN (
            SELECT rows.run_id FROM (
                SELECT run_id, count(*) AS num_rows, bool_and(list_contains($theirs, corpus)) AS is_own
                FROM recordings GROUP BY run_id
            ) AS rows JOIN runs AS counted USING (run_id)
            WHERE is_own AND num_rows = coalesce(counted.num_scored, 0) + coalesce(counted.num_failed, 0)
        )"""
        values["theirs"] = tuple(theirs)
    if filters.corpora or filters.first_day or filters.last_day:
        place = places(filters, corpora)
        condition += f" AND run_id IN (SELECT run_id FROM recordings WHERE {place.sql})"
        values |= place.values
    return Question.of(
        f"SELECT {_COLUMNS} FROM runs WHERE {condition} ORDER BY started_at DESC, run_id DESC LIMIT $limit", **values
    )


def commits(run_ids: Sequence[str]) -> Question:
    """`run_id`, `committed_at`, `num_recordings` of each commit of these runs."""
    return Question.of(
        """
        SELECT run_id, committed_at, coalesce(num_recordings, 0) AS num_recordings FROM commits
        WHERE list_contains($runs, run_id) ORDER BY sequence
        """,
        runs=tuple(run_ids),
    )


def ledger(filters: Filters, corpora: Sequence[str]) -> Question:
    """One row: what became of the files of these corpora and days, each as it stands now."""
    place = places(filters, corpora)
    return Question.of(
        f"""
        SELECT count(*) AS num_files,
            count(*) FILTER (status = 'scored') AS num_scored,
            count(*) FILTER (status = 'scored' AND is_copy) AS num_copies,
            count(*) FILTER (status = 'failed') AS num_failed,
            coalesce(sum(duration_ms) FILTER (status = 'scored'), 0)::BIGINT AS scored_ms,
            coalesce(sum(expected_ms) FILTER (status = 'failed'), 0)::BIGINT AS quarantined_ms,
            coalesce(sum(speech_ms) FILTER (status = 'scored'), 0)::BIGINT AS speech_ms,
            coalesce(sum(non_speech_ms) FILTER (status = 'scored'), 0)::BIGINT AS non_speech_ms
        FROM recordings WHERE {place.sql}
        """,
        **place.values,
    )


def failed_files(filters: Filters, corpora: Sequence[str], limit: int) -> Question:
    """`corpus`, `recording_id`, `uri`, `day`, `error_code`, `error_stage`, `error_message`, `attempts`, `run_id`: the
    files that failed, those of the newest runs first."""
    place = places(filters, corpora)
    return Question.of(
        f"""
        SELECT corpus, recording_id, uri, day, error_code, error_stage, error_message, attempts, run_id FROM recordings
        WHERE status = 'failed' AND {place.sql} ORDER BY run_id DESC, error_code, uri LIMIT $limit
        """,
        limit=limit,
        **place.values,
    )


def answering_runs(filters: Filters, corpora: Sequence[str], scorer: str, limit: int) -> Question:
    """`run_id`: the newest runs with answers of a model about these corpora and days, newest first."""
    place = places(filters, corpora)
    return Question.of(runs_with_answers(place.sql), scorer=scorer, limit=limit, **place.values)


def answers(filters: Filters, corpora: Sequence[str], scorer: str, run_ids: Sequence[str]) -> Question:
    """The rows of `lake.drift.answers_by_run` of these runs."""
    place = places(filters, corpora)
    return Question.of(answers_by_run(place.sql), scorer=scorer, runs=tuple(run_ids), **place.values)


def _values(**values: Value) -> dict[str, Value]:
    return values

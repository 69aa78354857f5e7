"""What the overview asks: how much there is, how it was felt, and what is missing."""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence

from dashboard.filters import UNKNOWN_ROLE, Filters
from dashboard.question import Question
from dashboard.questions.chosen import QUARTER, places, utterances
from mmer_ray.lake.overview import NEGATIVE


def felt(filters: Filters, corpora: Sequence[str]) -> Question:
    """What was felt, summed up: `day`, `role`, `label` (null: no answer), `num_utterances`, `speech_ms`, and of valence
    and confidence how many (`num_...`) and their sum (`..._sum`). `felt.py` makes the page's figures of it: so words
    are looked for in the lake once."""
    chosen = utterances(filters, corpora)
    return Question.of(
        f"""
        SELECT day, coalesce(role, '{UNKNOWN_ROLE}') AS role, label, {_SUMS_OF_UTTERANCES}
        FROM serving_utterances WHERE {chosen.sql} GROUP BY ALL ORDER BY ALL
        """
        if filters.needs_utterances
        else f"""
        SELECT day, coalesce(role, '{UNKNOWN_ROLE}') AS role, label, {_SUMS_OF_DAYS}
        FROM day_rollup WHERE {chosen.sql} GROUP BY ALL ORDER BY ALL
        """,
        **chosen.values,
    )


_SUMS_OF_DAYS = ", ".join(
    f"sum({name})::BIGINT AS {name}" for name in ("num_utterances", "speech_ms", "num_valence", "num_confidence")
)
_SUMS_OF_DAYS += ", sum(valence_sum) AS valence_sum, sum(confidence_sum) AS confidence_sum"
_SUMS_OF_UTTERANCES = (
    "count(*) AS num_utterances, sum(end_ms - start_ms)::BIGINT AS speech_ms, count(valence) AS num_valence, "
    "count(confidence) AS num_confidence, coalesce(sum(valence), 0) AS valence_sum, "
    "coalesce(sum(confidence), 0) AS confidence_sum"
)


def held(filters: Filters, corpora: Sequence[str]) -> Question:
    """One row, by corpus and day alone: `num_files`, `num_failed`, `num_recordings`, `duration_ms`, and `num_days` from
    the first day with any to the last (null without any)."""
    place = places(filters, corpora)
    return Question.of(
        f"""
        SELECT coalesce(sum(num_files), 0)::BIGINT AS num_files, coalesce(sum(num_failed), 0)::BIGINT AS num_failed,
            coalesce(sum(num_calls), 0)::BIGINT AS num_recordings, coalesce(sum(duration_ms), 0)::BIGINT AS duration_ms,
            max(day) - min(day) + 1 AS num_days
        FROM day_calls WHERE {place.sql}
        """,
        **place.values,
    )


def valence_by_quarter(filters: Filters, corpora: Sequence[str]) -> Question:
    """One row: `q1` .. `q4`, the mean valence in each quarter of a recording's length: the mean over recordings of each
    one's mean, as the measures of calls have it."""
    if not filters.chooses_utterances:
        place = places(filters, corpora)
        means = ", ".join(f"avg(valence_q{quarter}) AS q{quarter}" for quarter in range(1, 5))
        return Question.of(f"SELECT {means} FROM calls WHERE {place.sql}", **place.values)
    chosen = utterances(filters, corpora)
    means = ", ".join(f"avg(valence) FILTER (quarter = {quarter}) AS q{quarter}" for quarter in range(1, 5))
    return Question.of(
        f"""
        WITH said AS (
            SELECT corpus, recording_id, start_ms, valence FROM serving_utterances
            WHERE valence IS NOT NULL AND {chosen.sql}
        ), by_recording AS (
            SELECT corpus, recording_id, {QUARTER} AS quarter, avg(valence) AS valence
            FROM said JOIN {_HEARD} USING (corpus, recording_id) GROUP BY ALL
        )
        SELECT {means} FROM by_recording
        """,
        **chosen.values,
    )


_HEARD = "(SELECT corpus, recording_id, duration_ms FROM results) AS heard"


def negative_by_quarter(filters: Filters, corpora: Sequence[str]) -> Question:
    """`quarter` (1..4) and `share`: of the seconds with an answer that begin in that quarter of their recording, how
    many are negative. For models without a valence."""
    chosen = utterances(filters, corpora)
    return Question.of(
        f"""
        WITH said AS (
            SELECT corpus, recording_id, start_ms, end_ms, label FROM serving_utterances
            WHERE label IS NOT NULL AND {chosen.sql}
        )
        SELECT {QUARTER} AS quarter,
            sum(CASE WHEN list_contains($negative, label) THEN end_ms - start_ms ELSE 0 END)
                / sum(end_ms - start_ms) AS share
        FROM said JOIN {_HEARD} USING (corpus, recording_id)
        GROUP BY quarter ORDER BY quarter
        """,
        negative=NEGATIVE,
        **chosen.values,
    )


def without_answer(filters: Filters, corpora: Sequence[str]) -> Question:
    """`reason` and `num_utterances`: why utterances of these corpora and days have no emotion."""
    place = places(filters, corpora)
    return Question.of(
        f"""
        SELECT coalesce(skip_reason, CASE WHEN scorer IS NULL THEN 'not_scored' ELSE 'unknown' END) AS reason,
            count(*) AS num_utterances
        FROM serving_utterances WHERE label IS NULL AND {place.sql} GROUP BY ALL ORDER BY num_utterances DESC, reason
        """,
        **place.values,
    )


def failures(filters: Filters, corpora: Sequence[str]) -> Question:
    """`error_code`, `error_stage`, `num_recordings`, `claimed_s`: most frequent first."""
    place = places(filters, corpora)
    return Question.of(
        f"""
        SELECT error_code, error_stage, count(*) AS num_recordings, sum(expected_ms) / 1000 AS claimed_s
        FROM recordings WHERE status = 'failed' AND {place.sql}
        GROUP BY ALL ORDER BY num_recordings DESC, error_code, error_stage
        """,
        **place.values,
    )


def by_corpus(filters: Filters, corpora: Sequence[str]) -> Question:
    """`corpus`, `num_recordings`, `duration_ms`, `num_failed`, `first_day`, `last_day`, `scorer`."""
    place = places(filters, corpora)
    return Question.of(
        f"""
        SELECT held.*, active_scorers.scorer FROM (
            SELECT corpus, sum(num_calls)::BIGINT AS num_recordings, sum(duration_ms)::BIGINT AS duration_ms,
                sum(num_failed)::BIGINT AS num_failed, min(day) AS first_day, max(day) AS last_day
            FROM day_calls WHERE {place.sql} GROUP BY corpus
        ) AS held LEFT JOIN active_scorers USING (corpus) ORDER BY corpus
        """,
        **place.values,
    )

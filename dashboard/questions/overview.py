"""What the overview asks: how much there is, how it was felt, and what is missing."""

# The statements are put together from constants.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from dashboard.filters import Filters
from dashboard.palette import NEGATIVE
from dashboard.question import Question
from dashboard.questions.chosen import Chosen, places, utterances


class Step(StrEnum):
    """How days are put together over time."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


MAX_DAYS, MAX_WEEKS = 62, 430
"""Longer spans, in days, are shown by week, and by month."""


def step_for(num_days: int) -> Step:
    """Bars few enough to tell apart."""
    if num_days <= MAX_DAYS:
        return Step.DAY
    return Step.WEEK if num_days <= MAX_WEEKS else Step.MONTH


_SUMS = """
            count(*) AS num_utterances, sum(end_ms - start_ms) AS speech_ms,
            count(valence) AS num_valence, coalesce(sum(valence), 0) AS valence_sum,
            count(confidence) AS num_confidence, coalesce(sum(confidence), 0) AS confidence_sum
"""


def _days(filters: Filters, chosen: Chosen) -> str:
    """The chosen utterances summed up by day, role and label: the stored sums, or, where these cannot tell, the
    utterances themselves."""
    if not filters.needs_utterances:
        return f"SELECT * FROM day_rollup WHERE {chosen.sql}"
    return f"SELECT corpus, day, role, label, {_SUMS} FROM serving_utterances WHERE {chosen.sql} GROUP BY ALL"


def totals(filters: Filters, corpora: Sequence[str]) -> Question:
    """One row: recordings, their hours and failures by corpus and day; utterances, their seconds, answers, negative
    seconds, mean valence and mean confidence by all filters. Sums of nothing are 0, means of nothing null."""
    chosen, place = utterances(filters, corpora), places(filters, corpora)
    return Question.of(
        f"""
        WITH days AS ({_days(filters, chosen)}),
        felt AS (
            SELECT coalesce(sum(num_utterances), 0)::BIGINT AS num_utterances,
                coalesce(sum(num_utterances) FILTER (label IS NOT NULL), 0)::BIGINT AS num_answered,
                coalesce(sum(speech_ms), 0)::BIGINT AS speech_ms,
                coalesce(sum(speech_ms) FILTER (label IS NOT NULL), 0)::BIGINT AS answered_ms,
                coalesce(sum(speech_ms) FILTER (list_contains($negative, label)), 0)::BIGINT AS negative_ms,
                sum(valence_sum) / nullif(sum(num_valence), 0) AS valence,
                sum(confidence_sum) / nullif(sum(num_confidence), 0) AS confidence
            FROM days
        ), held AS (
            SELECT coalesce(sum(num_files), 0)::BIGINT AS num_files,
                coalesce(sum(num_failed), 0)::BIGINT AS num_failed,
                coalesce(sum(num_calls), 0)::BIGINT AS num_recordings,
                coalesce(sum(duration_ms), 0)::BIGINT AS duration_ms
            FROM day_calls WHERE {place.sql}
        )
        SELECT * FROM felt, held
        """,
        negative=NEGATIVE,
        **place.values,
        **{name: value for name, value in chosen.values.items() if name not in place.values},
    )


def mix_over_time(filters: Filters, corpora: Sequence[str], step: Step) -> Question:
    """`begins` (date), `label` (null: no answer), `speech_ms`, `num_utterances`, `valence` (mean, of that label)."""
    chosen = utterances(filters, corpora)
    return Question.of(
        f"""
        WITH days AS ({_days(filters, chosen)})
        SELECT date_trunc('{step.value}', day)::DATE AS begins, label, sum(speech_ms)::BIGINT AS speech_ms,
            sum(num_utterances)::BIGINT AS num_utterances, sum(valence_sum) / nullif(sum(num_valence), 0) AS valence
        FROM days WHERE day IS NOT NULL GROUP BY ALL ORDER BY ALL
        """,
        **chosen.values,
    )


def by_role(filters: Filters, corpora: Sequence[str]) -> Question:
    """`role`, `label` (null: no answer), `speech_ms`."""
    chosen = utterances(filters, corpora)
    return Question.of(
        f"""
        WITH days AS ({_days(filters, chosen)})
        SELECT coalesce(role, 'unknown') AS role, label, sum(speech_ms)::BIGINT AS speech_ms
        FROM days GROUP BY ALL ORDER BY ALL
        """,
        **chosen.values,
    )


def valence_by_quarter(filters: Filters, corpora: Sequence[str]) -> Question:
    """One row: `q1` .. `q4`, the mean valence of recordings in each quarter of their length, and `num_recordings`."""
    place = places(filters, corpora)
    return Question.of(
        f"""
        SELECT avg(valence_q1) AS q1, avg(valence_q2) AS q2, avg(valence_q3) AS q3, avg(valence_q4) AS q4,
            count(*) AS num_recordings
        FROM calls WHERE {place.sql}
        """,
        **place.values,
    )


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
        SELECT least(4, 1 + 4 * start_ms // greatest(duration_ms, 1)) AS quarter,
            sum(CASE WHEN list_contains($negative, label) THEN end_ms - start_ms ELSE 0 END)
                / sum(end_ms - start_ms) AS share
        FROM said JOIN (SELECT corpus, recording_id, duration_ms FROM results) AS heard USING (corpus, recording_id)
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


def days_held(filters: Filters, corpora: Sequence[str]) -> Question:
    """One row: `num_days`, from the first day with recordings to the last; null without any."""
    place = places(filters, corpora)
    return Question.of(
        f"SELECT max(day) - min(day) + 1 AS num_days FROM day_calls WHERE {place.sql}",
        **place.values,
    )

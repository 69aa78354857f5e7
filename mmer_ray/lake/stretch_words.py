"""The words that a lake found in stretches of its recordings, by the times of the words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from mmer_ray.lake.queries import LakeReader
from mmer_ray.tables import Row
from mmer_ray.training.utterances import Utterance

WORDS = """
    WITH told AS (
        SELECT DISTINCT ON (recording_id, heard_key, utterance_idx, word_idx) recording_id, heard_key, utterance_idx,
            word_idx, channel, word, utterances.start_ms AS start_ms, utterances.end_ms AS end_ms,
            (words.start_ms + coalesce(words.end_ms, words.start_ms)) / 2 AS own_middle_ms
        FROM utterances LEFT JOIN words USING (corpus, recording_id, heard_key, utterance_idx)
        WHERE list_contains($recordings, recording_id) AND ($corpus IS NULL OR corpus = $corpus)
            AND coalesce(text, '') <> ''
        ORDER BY recording_id, heard_key, utterance_idx, word_idx, corpus
    )
    SELECT recording_id, heard_key, channel, word, start_ms, end_ms, coalesce(
        last_value(own_middle_ms IGNORE NULLS) OVER (said ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
        first_value(own_middle_ms IGNORE NULLS) OVER (said ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
    ) AS middle_ms
    FROM told WINDOW said AS (PARTITION BY recording_id, heard_key, utterance_idx ORDER BY word_idx)
    ORDER BY recording_id, heard_key, utterance_idx, word_idx
"""
"""A word without times, such as a number in digits, lies where the timed word before it does, else the one after it. An
utterance whose words are not there has one row without a word."""


class Stretch(NamedTuple):
    """Where an utterance of a corpus lies in a lake."""

    utterance: Utterance
    recording_id: str
    heard_key: str
    channel: int | None
    """None: all."""


def words_in(reader: LakeReader, stretches: Sequence[Stretch], corpus: str | None) -> dict[str, str] | None:
    """Utterance id -> the words whose middle lies in its stretch, in order of time.

    None where an utterance of the lake that overlaps a stretch has no times of its words.
    """
    recordings = sorted({one.recording_id for one in stretches})
    words: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in reader.rows(WORDS, {"recordings": recordings, "corpus": corpus}):
        words[row["recording_id"], row["heard_key"]].append(row)
    found = {}
    for one in stretches:
        near = [row for row in words[one.recording_id, one.heard_key] if _overlaps(one, row)]
        if any(row["middle_ms"] is None for row in near):
            return None
        inside = sorted((row for row in near if _holds(one, row["middle_ms"])), key=lambda row: float(row["middle_ms"]))
        found[one.utterance.utterance_id] = " ".join(row["word"] for row in inside)
    return found


def _overlaps(stretch: Stretch, row: Row) -> bool:
    sound = stretch.utterance.sound
    is_before_end = sound.end_ms is None or bool(row["start_ms"] < sound.end_ms)
    return is_before_end and row["end_ms"] > sound.start_ms and stretch.channel in (None, row["channel"])


def _holds(stretch: Stretch, middle_ms: float) -> bool:
    sound = stretch.utterance.sound
    return sound.start_ms <= middle_ms and (sound.end_ms is None or middle_ms < sound.end_ms)

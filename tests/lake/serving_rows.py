"""What dashboards' tables must say, computed from the other views by statements of this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmer_ray.lake.queries import LakeReader, open_lake
from mmer_ray.tables import SCHEMAS

OF_EMOTIONS = SCHEMAS["serving_utterances"].names[SCHEMAS["serving_utterances"].names.index("scorer") : -1]
OF_UTTERANCES = [name for name in SCHEMAS["serving_utterances"].names[:-1] if name not in OF_EMOTIONS]

UTTERANCES = f"""
    SELECT {", ".join(f"said.{name}" for name in OF_UTTERANCES)}, {", ".join(f"felt.{name}" for name in OF_EMOTIONS)}
    FROM utterances AS said LEFT JOIN active_emotions AS felt USING (corpus, recording_id, utterance_idx)
    ORDER BY ALL
"""
DAYS = """
    SELECT corpus, month, day, role, scorer, label, count(*) AS num_utterances, sum(end_ms - start_ms) AS speech_ms,
        coalesce(sum(num_words), 0) AS num_words, coalesce(sum(overlap_ms), 0) AS overlap_ms,
        count(valence) AS num_valence, round(coalesce(sum(valence), 0), 3) AS valence_sum,
        count(arousal) AS num_arousal, round(coalesce(sum(arousal), 0), 3) AS arousal_sum,
        count(dominance) AS num_dominance, round(coalesce(sum(dominance), 0), 3) AS dominance_sum,
        count(confidence) AS num_confidence, round(coalesce(sum(confidence), 0), 3) AS confidence_sum
    FROM utterances AS said LEFT JOIN active_emotions AS felt USING (corpus, month, day, recording_id, utterance_idx)
    GROUP BY ALL ORDER BY ALL
"""
CALLS = """
    SELECT corpus, month, day, coalesce(num_calls, 0) AS num_calls, coalesce(num_files, 0) AS num_files,
        coalesce(num_failed, 0) AS num_failed
    FROM (SELECT corpus, month, day, count(*) AS num_calls FROM results GROUP BY ALL)
    FULL JOIN (
        SELECT corpus, month, day, count(*) AS num_files, count(*) FILTER (status = 'failed') AS num_failed
        FROM recordings GROUP BY ALL
    ) USING (corpus, month, day)
    ORDER BY ALL
"""


def served(reader: LakeReader) -> dict[str, list[dict[str, Any]]]:
    """The rows of the dashboards' views."""
    queries = {
        "serving_utterances": "FROM serving_utterances ORDER BY ALL",
        "day_rollup": "FROM day_rollup ORDER BY ALL",
        "day_calls": "SELECT * EXCLUDE duration_ms FROM day_calls ORDER BY ALL",
    }
    return {name: reader.sql(query).to_pylist() for name, query in queries.items()}


def computed(reader: LakeReader) -> dict[str, list[dict[str, Any]]]:
    """The same from the other views."""
    queries = {"serving_utterances": UTTERANCES, "day_rollup": DAYS, "day_calls": CALLS}
    return {name: reader.sql(query).to_pylist() for name, query in queries.items()}


def require_true(address: str | Path) -> None:
    """Fail where a dashboard would read anything else than the lake says."""
    with open_lake(address) as reader:
        found, expected = served(reader), computed(reader)
    for name, rows in expected.items():
        assert found[name] == rows, name


def num_stored(address: str | Path) -> tuple[int, int]:
    """Recordings whose stored rows are read, and those whose rows are computed anew."""
    with open_lake(address) as reader:
        counts = "SELECT (SELECT count(*) FROM internal.built), (SELECT count(*) FROM internal.changed) AS changed"
        ((built, changed),) = [tuple(row.values()) for row in reader.sql(counts).to_pylist()]
        return built, changed

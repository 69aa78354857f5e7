"""How fast does a dashboard get its answers, before and after `mmer lake compact`, and from files as others leave them?

Makes a lake with a year of calls in three corpora, a commit for each night, written straight through the store, and
asks ten questions of a dashboard through `LakeReader.sql`: over the lake as the nights left it, and once it is
compacted. The same questions go to DuckDB over one Parquet file per task of 20 calls, and over one JSON file per call
as WhisperX writes them; of these only `--json-calls` calls are written, and the times are scaled to all of them.

    python benchmarks/lake_queries.py [--utterances 5000000] [--rounds 5]
    python benchmarks/lake_queries.py --utterances 200000 --json-calls 200

Prints medians of warm runs in milliseconds; opening the lake is timed apart. The lake has no words, turns and pieces:
no question asks for them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mmer_ray.lake.batch import Batch, whole
from mmer_ray.lake.commit import append_commit
from mmer_ray.lake.compaction import compact
from mmer_ray.lake.queries import LakeReader, open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.tables import CLASSES, SCHEMAS

FIRST_DAY, NUM_DAYS = date(2025, 12, 1), 365
CORPORA = ("billing", "sales", "support")
ROLES = ("agent", "customer")
UTTERANCES_PER_CALL = 25
CALLS_PER_TASK = 20
RUN_ID, SCORER = "20251201T000000-000000", "frozen_encoder-12345678"
PROBABILITIES = [f"p_{name}" for name in (*CLASSES, "other")]

Ask = Callable[[str, Mapping[str, Any]], Any]

QUERIES = {
    "KPI tiles of the year": """
        SELECT sum(num_utterances), sum(speech_ms), sum(valence_sum) / sum(num_valence),
            sum(num_utterances) FILTER (label = 'angry') / sum(num_utterances),
            (SELECT sum(num_calls) FROM day_calls) FROM day_rollup
    """,
    "emotions per day, 90 days": """
        SELECT day, label, sum(num_utterances) FROM day_rollup WHERE day >= $days_90 GROUP BY ALL ORDER BY ALL
    """,
    "one recording by id": """
        SELECT utterance_idx, role, start_ms, end_ms, text, label, valence FROM serving_utterances
        WHERE recording_id = $recording ORDER BY utterance_idx
    """,
    "worst 50 calls of 7 days": """
        SELECT recording_id, uri, worst_window_valence FROM calls JOIN recordings USING (corpus, recording_id)
        WHERE corpus = 'sales' AND calls.day >= $days_7 ORDER BY worst_window_valence, recording_id LIMIT 50
    """,
    "by role and corpus, year": """
        SELECT corpus, role, label, sum(num_utterances), sum(speech_ms), sum(valence_sum) / sum(num_valence)
        FROM day_rollup GROUP BY ALL ORDER BY ALL
    """,
    "text contains, 30 days": """
        SELECT recording_id, start_ms, text FROM serving_utterances
        WHERE day >= $days_30 AND contains(text, 'refund') ORDER BY day DESC, recording_id, start_ms LIMIT 100
    """,
    "valence x arousal, all": """
        SELECT floor(valence * 20)::INT AS x, floor(arousal * 20)::INT AS y, count(*) FROM serving_utterances
        GROUP BY ALL ORDER BY ALL
    """,
    "angriest customers, 30 days": """
        SELECT recording_id, utterance_idx, text, p_angry FROM serving_utterances
        WHERE day >= $days_30 AND role = 'customer' AND p_angry > 0.5 AND snr_db > 10
        ORDER BY p_angry DESC, recording_id, utterance_idx LIMIT 100
    """,
    "calls of a day with shares": """
        SELECT recording_id, count(*), sum(end_ms - start_ms), avg(valence),
            count(*) FILTER (label = 'angry') / count(*) AS angry FROM serving_utterances
        WHERE corpus = 'support' AND day = $days_7 GROUP BY ALL ORDER BY angry DESC, recording_id
    """,
    "count of utterances": "SELECT count(*) FROM serving_utterances",
}
RIVAL_VIEWS = (
    """CREATE VIEW day_rollup AS SELECT corpus, day, role, label, count(*) AS num_utterances,
        sum(end_ms - start_ms) AS speech_ms, count(valence) AS num_valence, sum(valence) AS valence_sum
        FROM serving_utterances GROUP BY ALL""",
    """CREATE VIEW day_calls AS SELECT corpus, day, count(DISTINCT recording_id) AS num_calls
        FROM serving_utterances GROUP BY ALL""",
    """CREATE VIEW calls AS SELECT corpus, day, recording_id, min(valence) AS worst_window_valence
        FROM serving_utterances GROUP BY ALL""",
    "CREATE VIEW recordings AS SELECT DISTINCT corpus, recording_id, recording_id AS uri FROM serving_utterances",
)
"""The files of others have rows of utterances alone."""


class Year:
    """The calls of a year, night after night, the same for a seed."""

    def __init__(self, num_utterances: int) -> None:
        self.num_calls = max(num_utterances // UTTERANCES_PER_CALL, NUM_DAYS)
        self._chance = np.random.default_rng(20_251_201)
        vocabulary = ["".join(self._chance.choice(list("aeioulnrst"), 5)) for _ in range(2_000)]
        phrases = [" ".join(self._chance.choice(vocabulary, 4)) for _ in range(20_000)]
        phrases[::1_000] = ["please refund my order"] * 20
        self._phrases = pa.array(phrases)

    def nights(self) -> Iterator[dict[str, pa.Table]]:
        """The tables of each night, without its commit."""
        bounds = np.linspace(0, self.num_calls, NUM_DAYS + 1).astype(int)
        for number in range(NUM_DAYS):
            yield self._night(FIRST_DAY + timedelta(number), int(bounds[number + 1] - bounds[number]))

    def _night(self, day: date, num_calls: int) -> dict[str, pa.Table]:
        chance = self._chance
        ids = sorted(chance.bytes(16).hex() for _ in range(num_calls))
        corpora = chance.choice(CORPORA, num_calls)
        calls = {
            "recording_id": pa.array(ids),
            "corpus": pa.array(corpora.tolist()),
            "month": pa.repeat(f"{day:%Y-%m}", num_calls),
            "day": pa.repeat(pa.scalar(day), num_calls),
            "heard_key": pa.repeat("heard", num_calls),
            "uri": pa.array([f"/calls/{day}/{name}.opus" for name in ids]),
            "status": pa.repeat("scored", num_calls),
            "is_copy": pa.repeat(pa.scalar(False), num_calls),
            "attempts": pa.repeat(pa.scalar(1, pa.int32()), num_calls),
            "duration_ms": pa.array(chance.integers(60_000, 600_000, num_calls), pa.int32()),
            "num_utterances": pa.array(np.full(num_calls, UTTERANCES_PER_CALL), pa.int32()),
            "scorer": pa.repeat(SCORER, num_calls),
            "has_emotions": pa.repeat(pa.scalar(True), num_calls),
            "channel_roles": pa.array([list(ROLES)] * num_calls, pa.list_(pa.string())),
            "worst_window_valence": _scores(chance.uniform(-1, 0, num_calls)),
        }
        calls["speech_ms"] = pc.divide(calls["duration_ms"], 2)
        calls["non_speech_ms"] = pc.subtract(calls["duration_ms"], calls["speech_ms"])
        said = self._said(num_calls)
        owner = pa.array(np.repeat(np.arange(num_calls), UTTERANCES_PER_CALL))
        said |= {name: calls[name].take(owner) for name in ("recording_id", "corpus", "month", "day", "heard_key")}
        said |= {"scorer": pa.repeat(SCORER, len(owner))}
        rows = {"recordings": calls, "results": calls, "calls": calls, "utterances": said, "emotions": said}
        return {name: _table(name, columns) for name, columns in rows.items()}

    def _said(self, num_calls: int) -> dict[str, pa.Array]:
        chance, count = self._chance, num_calls * UTTERANCES_PER_CALL
        index = np.tile(np.arange(UTTERANCES_PER_CALL), num_calls)
        start_ms = index * 8_000 + chance.integers(0, 2_000, count)
        picks = [self._phrases.take(pa.array(chance.integers(0, len(self._phrases), count))) for _ in range(3)]
        raw = chance.random((count, len(PROBABILITIES)), dtype=np.float32) ** 4
        shares = raw / raw.sum(axis=1, keepdims=True)
        labels = pa.array([*CLASSES, "other"]).take(pa.array(shares.argmax(axis=1)))
        return {
            "utterance_idx": pa.array(index, pa.int32()),
            "channel": pa.array(index % 2, pa.int32()),
            "speaker": pa.array(["S1", "S2"]).take(pa.array(index % 2)),
            "speaker_is_channel": pa.repeat(pa.scalar(True), count),
            "start_ms": pa.array(start_ms, pa.int32()),
            "end_ms": pa.array(start_ms + chance.integers(500, 6_000, count), pa.int32()),
            "text": pc.binary_join_element_wise(*picks, " "),
            "language": pa.repeat("en", count),
            "num_words": pa.repeat(pa.scalar(12, pa.int32()), count),
            "overlap_ms": pa.repeat(pa.scalar(0, pa.int32()), count),
            "asr_logprob": _scores(-chance.random(count)),
            "snr_db": _scores(chance.uniform(0, 40, count)),
            "label": labels,
            "confidence": _scores(shares.max(axis=1)),
            "valence": _scores(chance.uniform(-1, 1, count)),
            "arousal": _scores(chance.uniform(-1, 1, count)),
            "dominance": _scores(chance.uniform(-1, 1, count)),
            **{name: _scores(shares[:, at]) for at, name in enumerate(PROBABILITIES)},
        }


def make_lake(address: Path, year: Year) -> None:
    """A commit for each night; the first one activates the scorer."""
    lake = Lake(address)
    lake.create()
    for sequence, tables in enumerate(year.nights(), start=1):
        commit_id = f"{RUN_ID}.{sequence:05d}"
        if sequence == 1:
            active = {"corpus": pa.array(list(CORPORA)), "scorer": pa.repeat(SCORER, len(CORPORA))}
            tables["active_scorers"] = _table("active_scorers", active)
        stamped = {name: _with(table, {"run_id": RUN_ID, "commit_id": commit_id}) for name, table in tables.items()}
        append_commit(lake, Batch(sequence, commit_id, whole(stamped)), RUN_ID, SCORER)


def make_files(folder: Path, year: Year, num_json: int) -> int:
    """A Parquet file per task, and a JSON file for each of the first `num_json` calls, spread over the year; returns
    how many JSON files there are."""
    left_out = ("build_id", "role", "skip_reason", "speaker_name")
    names = [name for name in SCHEMAS["serving_utterances"].names if name not in left_out]
    per_night, written = max(num_json // NUM_DAYS, 1), 0
    for kind in ("parquet", "json"):
        (folder / kind).mkdir(parents=True)
    for night, tables in enumerate(year.nights()):
        said, felt = tables["utterances"], tables["emotions"]
        wide = pa.table({name: (said if name in said.column_names else felt).column(name) for name in names})
        wide = wide.append_column("role", pa.array(list(ROLES)).take(wide.column("channel").combine_chunks()))
        rows = CALLS_PER_TASK * UTTERANCES_PER_CALL
        for at in range(0, wide.num_rows, rows):
            pq.write_table(
                wide.slice(at, rows), folder / "parquet" / f"{night:03d}-{at:07d}.parquet", compression="zstd"
            )
        for at in range(
            0, min(per_night, wide.num_rows // UTTERANCES_PER_CALL) * UTTERANCES_PER_CALL, UTTERANCES_PER_CALL
        ):
            segments = wide.slice(at, UTTERANCES_PER_CALL).to_pylist()
            (folder / "json" / f"{segments[0]['recording_id']}.json").write_text(
                json.dumps({"segments": segments, "language": "en"}, default=date.isoformat)
            )
            written += 1
    return written


def rival(rows: str) -> duckdb.DuckDBPyConnection:
    """DuckDB over files of utterances."""
    connection = duckdb.connect()
    connection.execute(f"CREATE VIEW serving_utterances AS {rows}")
    for statement in RIVAL_VIEWS:
        connection.execute(statement)
    return connection


def times_ms(ask: Ask, parameters: Mapping[str, Any], rounds: int) -> dict[str, float]:
    """Median of warm runs of each question, after one that counts for nothing."""
    found = {}
    for name, query in QUERIES.items():
        own = {key: value for key, value in parameters.items() if f"${key}" in query}
        spans = []
        for _ in range(rounds + 1):
            begun = time.perf_counter()
            ask(query, own)
            spans.append((time.perf_counter() - begun) * 1000)
        found[name] = statistics.median(spans[1:])
    return found


def asked_of_lake(address: Path, parameters: Mapping[str, Any], rounds: int) -> tuple[float, dict[str, float]]:
    """Seconds to open the lake, and the times of the questions."""
    begun = time.perf_counter()
    with open_lake(address) as reader:
        open_s = time.perf_counter() - begun
        return open_s, times_ms(reader.sql, parameters, rounds)


def asked_of_files(rows: str, parameters: Mapping[str, Any], rounds: int) -> dict[str, float]:
    with rival(rows) as connection:
        return times_ms(lambda query, own: connection.sql(query, params=dict(own)).to_arrow_table(), parameters, rounds)


def answers(reader: LakeReader, parameters: Mapping[str, Any]) -> list[Any]:
    """What the questions are answered with, to see that compaction changes nothing."""
    return [
        reader.sql(query, {key: value for key, value in parameters.items() if f"${key}" in query}).to_pylist()
        for query in QUERIES.values()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json-calls", type=int, default=2_000, help="Calls of which a JSON file is written.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        year = Year(options.utterances)
        begun = time.perf_counter()
        make_lake(folder / "lake", year)
        print(
            f"{year.num_calls:,} calls, {year.num_calls * UTTERANCES_PER_CALL:,} utterances, {NUM_DAYS} commits, "
            f"{os.cpu_count()} cores; lake made in {time.perf_counter() - begun:.0f} s",
            flush=True,
        )
        parameters = _parameters(folder / "lake")
        before_open_s, before = asked_of_lake(folder / "lake", parameters, options.rounds)
        with open_lake(folder / "lake") as reader:
            expected = answers(reader, parameters)
        begun = time.perf_counter()
        done = compact(Lake(folder / "lake"))
        print(
            f"{done.num_files:,} files joined to {len(done.parts)} in {time.perf_counter() - begun:.0f} s", flush=True
        )
        after_open_s, after = asked_of_lake(folder / "lake", parameters, options.rounds)
        with open_lake(folder / "lake") as reader:
            _require_equal(expected, answers(reader, parameters))
        num_json = make_files(folder, Year(options.utterances), options.json_calls)
        parquet = asked_of_files(f"FROM read_parquet('{folder}/parquet/*.parquet')", parameters, options.rounds)
        json_rows = f"SELECT unnest(segments, recursive := true) FROM read_json('{folder}/json/*.json')"
        scale = year.num_calls / num_json
        of_json = {name: ms * scale for name, ms in asked_of_files(json_rows, parameters, 1).items()}
    print(
        f"opening: {before_open_s:.2f} s before compaction, {after_open_s:.2f} s after; JSON: times of {num_json:,} "
        f"files x {scale:.0f}; ms, median of {options.rounds} warm runs (JSON: 1)"
    )
    columns = {"before": before, "compacted": after, "parquet per task": parquet, "JSON per call": of_json}
    print(f"{'':30}" + "".join(f"{column:>18}" for column in columns))
    for query in QUERIES:
        print(f"{query:30}" + "".join(f"{times[query]:>18,.0f}" for times in columns.values()))


def _parameters(address: Path) -> dict[str, Any]:
    last, middle = (FIRST_DAY + timedelta(num) for num in (NUM_DAYS - 1, NUM_DAYS // 2))
    with open_lake(address) as reader:
        query = "SELECT min(recording_id) AS name FROM recordings WHERE day = $day"
        found = reader.sql(query, {"day": middle}).to_pylist()
    return {"recording": found[0]["name"], **{f"days_{num}": last - timedelta(num - 1) for num in (7, 30, 90)}}


def _require_equal(expected: list[Any], found: list[Any]) -> None:
    for name, before, after in zip(QUERIES, expected, found, strict=True):
        rounded = [[_rounded(row) for row in rows] for rows in (before, after)]
        assert rounded[0] == rounded[1], f"{name}: compaction changed the answer"


def _rounded(row: Mapping[str, Any]) -> list[Any]:
    return [round(value, 6) if isinstance(value, float) else value for value in row.values()]


def _scores(values: np.ndarray) -> pa.Array:
    """As the lake keeps them: rounded to 1e-3, float32."""
    return pa.array(np.round(values.astype(np.float64), 3).astype(np.float32))


def _table(name: str, columns: Mapping[str, pa.Array]) -> pa.Table:
    """The lake's table; columns that are not given are null."""
    num_rows = len(next(iter(columns.values())))
    given = [
        columns[field.name].cast(field.type) if field.name in columns else pa.nulls(num_rows, field.type)
        for field in SCHEMAS[name]
    ]
    return pa.Table.from_arrays(given, schema=SCHEMAS[name])


def _with(table: pa.Table, constants: Mapping[str, str]) -> pa.Table:
    for name, value in constants.items():
        if name in table.column_names:
            at = table.column_names.index(name)
            table = table.set_column(at, table.schema.field(name), pa.repeat(value, table.num_rows))
    return table


if __name__ == "__main__":
    main()

"""What a reader that lives long pays to see one commit more, against opening the lake again.

    python benchmarks/lake_refresh.py --recordings 200000 --commits 50

makes a lake of so many recordings in so many commits in a temporary folder, opens it, and then adds small commits.
After each the open reader is refreshed and a new one is opened. Medians of wall and CPU seconds; both must see alike.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from mmer_ray.lake.commit import SingleCommit
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.store import Lake
from mmer_ray.tables import SCHEMAS

UTTERANCES = 2
"""Of each recording: a reader remembers nothing of them."""
Made = TypeVar("Made")


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        per_commit = options.recordings // options.commits
        with lake.lock():
            lake.create()
            for number in range(options.commits):
                commit(lake, number * per_commit, per_commit)
            activate(lake)
        reader, wall_s, cpu_s = timed(lambda: LakeReader(Lake(lake.address, to_read=True)))
        print(
            f"{options.recordings:,} recordings in {options.commits} commits; "
            f"first open {wall_s:.2f} s, CPU {cpu_s:.2f} s"
        )
        refreshed, opened, asked = [], [], []
        for number in range(options.repeats):
            with lake.lock():
                commit(lake, options.recordings + number * options.small, options.small)
            _, *times = timed(reader.refresh)
            refreshed.append(times)
            asked.append(timed(lambda: count(reader))[1:])
            new, *times = timed(lambda: LakeReader(Lake(lake.address, to_read=True)))
            opened.append(times)
            assert count(reader) == count(new) == options.recordings + (number + 1) * options.small
            new.close()
        _, *idle = timed(reader.refresh)
        for name, some in (
            ("refresh", refreshed),
            ("first query after it", asked),
            ("open", opened),
            ("nothing new", [idle]),
        ):
            wall_s, cpu_s = (statistics.median(one[at] for one in some) for at in (0, 1))
            print(f"{name}: {wall_s * 1000:.0f} ms, CPU {cpu_s * 1000:.0f} ms (median of {len(some)})")


def timed(work: Callable[[], Made]) -> tuple[Made, float, float]:
    """What it gives, wall and CPU seconds."""
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    made = work()
    return made, time.perf_counter() - begun_s, time.process_time() - begun_cpu_s


def count(reader: LakeReader) -> int:
    rows = reader.sql("SELECT count(*) AS num, sum(duration_ms) AS ms FROM recordings WHERE status = 'scored'")
    return int(rows.column("num")[0].as_py())


def commit(lake: Lake, first: int, number: int) -> None:
    """A commit of recordings, each with results, two utterances, their emotions and measures."""
    ids = [f"{index:032x}" for index in range(first, first + number)]
    said = [one for one in ids for _ in range(UTTERANCES)]
    places = {"corpus": "calls", "month": "2026-11", "day": date(2026, 11, 20), "heard_key": "h" * 16}
    turn = list(range(UTTERANCES)) * number
    felt = {"scorer": "mmer-1", "label": "neutral", "p_neutral": 0.9}
    tables = {
        "recordings": filled(
            "recordings",
            number,
            {"recording_id": ids, "uri": [f"/calls/2026/11/20/{one}.wav" for one in ids]},
            places | {"status": "scored", "size_bytes": 480_000, "modified": "1" * 19, "attempts": 1, "is_copy": False},
        ),
        "results": filled(
            "results", number, {"recording_id": ids}, places | {"duration_ms": 30_000, "num_speakers": 2}
        ),
        "utterances": filled(
            "utterances", len(said), {"recording_id": said, "utterance_idx": turn}, places | {"text": "good morning"}
        ),
        "emotions": filled("emotions", len(said), {"recording_id": said, "utterance_idx": turn}, places | felt),
        "calls": filled(
            "calls",
            number,
            {"recording_id": ids},
            places | {"scorer": "mmer-1", "emotion_key": "e" * 16, "link_key": "l" * 16, "has_emotions": True},
        ),
    }
    SingleCommit.begin(lake).write(lake, tables)


def activate(lake: Lake) -> None:
    row = {"corpus": "calls", "scorer": "mmer-1", "activated_at": datetime.now(UTC)}
    SingleCommit.begin(lake).write(
        lake, {"active_scorers": pa.Table.from_pylist([row], schema=SCHEMAS["active_scorers"])}
    )


def filled(name: str, num_rows: int, columns: dict[str, list[Any]], constants: dict[str, Any]) -> pa.Table:
    """A table of the lake; columns that are not given are null."""
    schema = SCHEMAS[name]
    arrays = [
        pa.array(columns[field.name], field.type)
        if field.name in columns
        else pa.repeat(pa.scalar(constants.get(field.name), field.type), num_rows)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=200_000)
    parser.add_argument("--commits", type=int, default=50)
    parser.add_argument("--small", type=int, default=10, help="recordings of a commit that is added")
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""What does a nightly job cost that finds nothing to do, or little, in a large archive?

Makes `--recordings` files (hard links) in folders, a lake in which each is scored (written directly through the
store), and a Parquet manifest that names them all and `--new` files more. Then lists and plans that manifest as a job
does, in a process of its own. Prints a JSON line: seconds, peak resident memory, the plan.

    python benchmarks/nightly_noop.py [--recordings 1000000] [--new 0]
    python benchmarks/nightly_noop.py --recordings 100000 --new 1000
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmer_ray.lake.planner import plan_job
from mmer_ray.lake.store import Lake
from mmer_ray.sources.sources import list_sources
from mmer_ray.stages.keys import Keys
from mmer_ray.tables import SCHEMAS

KEYS = Keys(
    "decode", "diarize", "transcribe", "join", "emotion", "link",
    scorer="mmer-12345678", limits="limits", channel_roles=(),
)  # fmt: skip
COMMIT_ROWS = 50_000
"""Recordings in one commit: of a lake that was compacted."""
FOLDER_FILES = 1_000
LINKS = 20_000
"""Names of one file: fewer than any file system allows. Their sizes and times are equal, as those of a fixed-rate
recorder would be; the planner does not read them, since each is known by its name."""
FIRST_SIZE, FIRST_NEW_SIZE = 1_000_000, 10_000_000


def name_of(number: int) -> str:
    """Path of a file, relative to the manifest."""
    return f"calls/{number // FOLDER_FILES:05d}/recording-{number:09d}.wav"


def make_files(archive: Path, num_known: int, num_new: int) -> None:
    """Sparse files: known ones share sizes, each new one has its own, so that none may be a copy."""
    for number in range(num_known + num_new):
        path = archive / name_of(number)
        if number % FOLDER_FILES == 0 or number == num_known:
            path.parent.mkdir(parents=True, exist_ok=True)
        if number >= num_known:
            path.touch()
            os.truncate(path, FIRST_NEW_SIZE + number)
        elif number % LINKS == 0:
            original = path
            original.touch()
            os.truncate(original, FIRST_SIZE + number // LINKS)
        else:
            os.link(original, path)


def known_columns(archive: Path, numbers: np.ndarray) -> dict[str, pa.Array]:
    """What the lake knows of these files."""
    paths = [archive / name_of(n) for n in numbers.tolist()]
    first = [archive / name_of(n // LINKS * LINKS) for n in numbers.tolist()]
    status = {path: path.stat() for path in dict.fromkeys(first)}
    count = len(numbers)
    return {
        "corpus": pa.repeat("calls", count),
        "uri": pa.array([str(path) for path in paths]),
        "size_bytes": pa.array([status[path].st_size for path in first], pa.int64()),
        "modified": pa.array([str(status[path].st_mtime_ns) for path in first]),
        "day": pa.repeat(pa.scalar(date(2026, 11, 20)), count),
        "month": pa.repeat("2026-11", count),
        "metadata": pa.array(
            [[("queue", f"queue-{n % 7}")] for n in numbers.tolist()], SCHEMAS["recordings"].field("metadata").type
        ),
        "recording_id": pa.array([f"{n * 2654435761 % 2**32:08x}{n:024x}" for n in numbers.tolist()]),
        "status": pa.repeat("scored", count),
        "attempts": pa.repeat(pa.scalar(1, pa.int32()), count),
        "is_copy": pa.repeat(pa.scalar(False), count),
        "duration_ms": pa.array(60_000 + numbers % 100_000, pa.int32()),
        "has_emotions": pa.repeat(pa.scalar(True), count),
        "channel_roles": pa.array([[]] * count, pa.list_(pa.string())),
    }


def make_lake(address: Path, archive: Path, num_recordings: int) -> None:
    """A lake in which each of these files has its row, its result and its call."""
    lake = Lake(address)
    lake.create()
    for sequence, start in enumerate(range(0, num_recordings, COMMIT_ROWS), start=1):
        numbers = np.arange(start, min(start + COMMIT_ROWS, num_recordings), dtype=np.int64)
        commit_id = f"20261120T000000-000000.{sequence:05d}"
        constants = {
            "decode_key": KEYS.decode, "limits_key": KEYS.limits, "heard_key": KEYS.heard, "scorer": KEYS.scorer,
            "emotion_key": KEYS.emotion, "link_key": KEYS.link, "run_id": commit_id[:-6], "commit_id": commit_id,
        }  # fmt: skip
        known = known_columns(archive, numbers)
        known |= {name: pa.repeat(value, len(numbers)) for name, value in constants.items()}
        for name in ("results", "calls", "recordings"):
            columns = [
                known[field.name] if field.name in known else pa.nulls(len(numbers), field.type)
                for field in SCHEMAS[name]
            ]
            lake.append(name, pa.Table.from_arrays(columns, schema=SCHEMAS[name]), sequence, commit_id[:-6])
        counts = {f"num_{name}": len(numbers) for name in ("recordings", "results", "calls")}
        names = {"commit_id": commit_id, "run_id": commit_id[:-6], "scorer": KEYS.scorer}
        row = {"sequence": sequence, **names, "committed_at": datetime.now(UTC), **counts}
        lake.append("commits", pa.Table.from_pylist([row], schema=SCHEMAS["commits"]), sequence, commit_id[:-6])


def make_manifest(path: Path, num_rows: int) -> None:
    with pq.ParquetWriter(path, pa.schema([("uri", pa.string()), ("queue", pa.string())])) as writer:
        for start in range(0, num_rows, COMMIT_ROWS):
            numbers = range(start, min(start + COMMIT_ROWS, num_rows))
            columns = {"uri": [name_of(n) for n in numbers], "queue": [f"queue-{n % 7}" for n in numbers]}
            writer.write_table(pa.table(columns))


def plan(lake: Path, manifest: Path) -> None:
    """The measured process."""
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    listing_s = 0.0

    def listed() -> Iterator[pa.RecordBatch]:
        nonlocal listing_s
        batches = list_sources([str(manifest)], "calls").batches()
        while True:
            begun_s = time.perf_counter()
            batch = next(batches, None)
            listing_s += time.perf_counter() - begun_s
            if batch is None:
                return
            yield batch

    made = plan_job(listed(), Lake(lake), KEYS)
    row = {
        "wall_s": round(time.perf_counter() - start_s, 1),
        "listing_s": round(listing_s, 1),
        "cpu_s": round(time.process_time() - start_cpu_s, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // 10**6,
        "num_listed": made.num_listed,
        "num_done": made.num_done,
        "num_todo": made.todo.num_rows,
        "done_h": round(made.done_ms / 3.6e6),
    }
    print(json.dumps(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=1_000_000)
    parser.add_argument("--new", type=int, default=0)
    parser.add_argument("--plan", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plan:
        plan(*options.plan)
        return
    with tempfile.TemporaryDirectory() as folder:
        lake, archive = Path(folder, "lake"), Path(folder, "archive")
        make_files(archive, options.recordings, options.new)
        make_lake(lake, archive, options.recordings)
        make_manifest(archive / "manifest.parquet", options.recordings + options.new)
        command = [sys.executable, __file__, "--plan", str(lake), str(archive / "manifest.parquet")]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        print(answer, end="")
        made = json.loads(answer)
        assert (made["num_done"], made["num_todo"]) == (options.recordings, options.new)


if __name__ == "__main__":
    main()

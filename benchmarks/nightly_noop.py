"""What does a nightly job cost that finds nothing to do, or little, in a large archive?

Makes a lake of `--recordings` scored recordings directly through the store, then plans a Parquet manifest that lists
them all and `--new` more, in a process of its own. Prints a JSON line: seconds, peak resident memory, the plan.

    python benchmarks/nightly_noop.py [--recordings 1000000] [--new 0]
    python benchmarks/nightly_noop.py --recordings 100000 --new 1000
"""

from __future__ import annotations

import argparse
import json
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
from mmer_ray.stages.keys import Keys
from mmer_ray.tables import LISTED, SCHEMAS

KEYS = Keys("decode", "diarize", "transcribe", "join", "emotion", "link", scorer="mmer-12345678", limits="limits")
COMMIT_ROWS = 50_000
"""Recordings in one commit: of a lake that was compacted."""
BATCH_ROWS = 65_536


def listed(numbers: np.ndarray) -> pa.Table:
    """Files as a source lists them."""
    count = len(numbers)
    columns = {
        "corpus": pa.repeat("calls", count),
        "uri": pa.array([f"/archive/calls/2026/{n % 12 + 1:02d}/recording-{n:09d}.wav" for n in numbers.tolist()]),
        "root": pa.repeat("/archive/calls", count),
        "size_bytes": pa.array(1_000_000 + numbers * 7 % 5_000_000, pa.int64()),
        "modified": pa.array([str(1_700_000_000_000_000_000 + n) for n in numbers.tolist()]),
        "day": pa.repeat(pa.scalar(date(2026, 11, 20)), count),
        "expected_ms": pa.nulls(count, pa.int32()),
        "metadata": pa.array([[("queue", f"queue-{n % 7}")] for n in numbers.tolist()], LISTED.field("metadata").type),
    }
    return pa.Table.from_arrays([columns[name] for name in LISTED.names], schema=LISTED)


def make_lake(address: Path, num_recordings: int) -> None:
    """A lake in which each of these files has its row, its result and its call."""
    lake = Lake(address)
    lake.create()
    for sequence, start in enumerate(range(0, num_recordings, COMMIT_ROWS), start=1):
        numbers = np.arange(start, min(start + COMMIT_ROWS, num_recordings), dtype=np.int64)
        commit_id = f"20261120T000000-000000.{sequence:05d}"
        source = dict(zip(LISTED.names, listed(numbers).columns, strict=True))
        known = source | {
            "recording_id": pa.array([f"{n * 2654435761 % 2**32:08x}{n:024x}" for n in numbers.tolist()]),
            "month": pa.repeat("2026-11", len(numbers)),
            "status": pa.repeat("scored", len(numbers)),
            "attempts": pa.repeat(pa.scalar(1, pa.int32()), len(numbers)),
            "is_copy": pa.repeat(pa.scalar(False), len(numbers)),
            "duration_ms": pa.array(60_000 + numbers % 100_000, pa.int32()),
            "has_emotions": pa.repeat(pa.scalar(True), len(numbers)),
            "channel_roles": pa.array([[]] * len(numbers), pa.list_(pa.string())),
        }
        constants = {
            "decode_key": KEYS.decode, "limits_key": KEYS.limits, "heard_key": KEYS.heard, "scorer": KEYS.scorer,
            "emotion_key": KEYS.emotion, "link_key": KEYS.link, "run_id": commit_id[:-6], "commit_id": commit_id,
        }  # fmt: skip
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


def make_manifest(path: Path, num_recordings: int) -> None:
    with pq.ParquetWriter(path, LISTED) as writer:
        for start in range(0, num_recordings, BATCH_ROWS):
            numbers = np.arange(start, min(start + BATCH_ROWS, num_recordings), dtype=np.int64)
            writer.write_table(listed(numbers))


def batches(manifest: Path) -> Iterator[pa.RecordBatch]:
    """The manifest as the listing gives it: the sizes and times stand in it, so that no file is asked."""
    with pq.ParquetFile(manifest) as file:
        for batch in file.iter_batches(BATCH_ROWS):
            yield batch.cast(LISTED)


def plan(lake: Path, manifest: Path) -> None:
    """The measured process."""
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    made = plan_job(batches(manifest), Lake(lake), KEYS)
    row = {
        "wall_s": round(time.perf_counter() - start_s, 1),
        "cpu_s": round(time.process_time() - start_cpu_s, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
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
        lake, manifest = Path(folder, "lake"), Path(folder, "manifest.parquet")
        make_lake(lake, options.recordings)
        make_manifest(manifest, options.recordings + options.new)
        command = [sys.executable, __file__, "--plan", str(lake), str(manifest)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        print(answer, end="")
        made = json.loads(answer)
        assert (made["num_done"], made["num_todo"]) == (options.recordings, options.new)


if __name__ == "__main__":
    main()

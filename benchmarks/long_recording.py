"""One recording of hours: how much memory the whole tree of processes takes, and whether it keeps its speakers.

A clip of real speech is tiled to a FLAC file of `--hours` (mono, 16 kHz), which `mmer score --runner inprocess` scores
with the default profile in a process of its own. Every second the proportional set sizes (PSS: shared pages are counted
once) of that process and all below it are summed; printed are the most in each tenth of the run and over all, seconds
of CPU and wall, the speakers found, and what the lake takes on disk.

    python benchmarks/long_recording.py CLIP.wav [--hours 10] [--set stage.key=value ...]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile
from process_memory import Watched
from speech_data import SPEECH, need

from mmer_ray.lake.queries import open_lake

SAMPLE_EVERY_S = 1.0


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, nargs="?", default=SPEECH / "two_speakers.wav")
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--folder", type=Path, help="keep file and lake in this folder")
    arguments = parser.parse_args()
    need(arguments.clip)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        recording = tiled(arguments.clip, arguments.hours, folder / "long.flac")
        settings = [word for setting in arguments.settings for word in ("--set", setting)]
        command = ["score", str(recording), "--lake", str(folder / "lake"), "--runner", "inprocess", "--quiet"]
        begun = time.monotonic()
        peaks = watched([sys.executable, "-m", "mmer_ray", *command, *settings])
        report(folder / "lake", peaks, time.monotonic() - begun)


def tiled(clip: Path, hours: float, target: Path) -> Path:
    """Repeat a clip to a file of so many hours."""
    samples, rate_hz = soundfile.read(clip, dtype="int16")
    repeats = round(hours * 3600 * rate_hz / len(samples))
    with soundfile.SoundFile(target, "w", rate_hz, 1, format="FLAC", subtype="PCM_16") as file:
        for _ in range(repeats):
            file.write(samples)
    return target


def watched(command: list[str]) -> list[float]:
    """Run a command to its end: megabytes of its tree, a number a second. Raises `SystemExit` where it fails."""
    process = subprocess.Popen(command)
    tree = Watched(process.pid, SAMPLE_EVERY_S)
    process.wait()
    tree.end()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return [num_bytes / 1e6 for num_bytes in tree.readings]


def report(lake: Path, readings: list[float], wall_s: float) -> None:
    """Print what it took and what was found."""
    size = max(1, -(-len(readings) // 10))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open_lake(lake) as reader:
        columns = "duration_ms / 1000 AS duration_s, status, num_speakers, speech_ms / 1000 AS speech_s"
        (row,) = reader.sql(f"SELECT {columns} FROM recordings").to_pylist()
        turns = reader.sql("SELECT speaker, sum(end_ms - start_ms) / 1000 AS s FROM turns GROUP BY ALL ORDER BY ALL")
        stages = reader.sql("SELECT stage_s FROM runs WHERE status = 'finished'").to_pylist()
    tables = {
        table.name: sum(file.stat().st_size for file in table.rglob("*.parquet"))
        for table in sorted(lake.iterdir())
        if table.is_dir()
    }
    print(
        json.dumps(
            {
                **row,
                "peak_mb": round(max(readings)),
                "peak_mb_by_tenth": [round(max(readings[at : at + size])) for at in range(0, len(readings), size)],
                "wall_s": round(wall_s),
                "cpu_s": round(used.ru_utime + used.ru_stime),
                "stage_s": [dict(one["stage_s"]) for one in stages],
                "seconds_by_speaker": {one["speaker"]: one["s"] for one in turns.to_pylist()},
                "bytes_by_table": tables,
            },
            default=float,
        )
    )


if __name__ == "__main__":
    main()

"""What does Ray cost and gain on 200 short clips?

The rival is the plain loop in one process over the same clips, same profile, same machine, in turn. Prints a JSON line
per round, then medians: clips per second once warm (first result to last, so start-up is left out), the seconds before
the first result (start-up is all there is), and the ratio of the two runners with its spread over rounds.

    python benchmarks/runner_overhead.py [--rounds 3] [--clips 200]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from mmer_ray.demo.truth import CALLS
from mmer_ray.lake.answers import Answers
from mmer_ray.profiles import Profile, load_profile
from mmer_ray.records import Task
from mmer_ray.runners.todo import Todo
from mmer_ray.sources.listing import recordings_of
from mmer_ray.sources.sources import list_sources
from mmer_ray.stages.keys import Keys, keys_of

CLIP_S = (1.5, 6.0)


def cut_clips(folder: Path, num_clips: int) -> None:
    """Cut the demo calls into clips of 1.5 to 6 s, 16-bit WAV, at random but the same on each call."""
    rng = np.random.default_rng(0)
    calls = [soundfile.read(path, dtype="int16", always_2d=True) for path in sorted(CALLS.glob("*.opus"))]
    for index in range(num_clips):
        samples, rate_hz = calls[index % len(calls)]
        length = int(rng.uniform(*CLIP_S) * rate_hz)
        start = int(rng.integers(0, len(samples) - length))
        soundfile.write(folder / f"clip-{index:04d}.wav", samples[start : start + length, 0], rate_hz)


def measure(runner: str, folder: str) -> dict[str, float]:
    """Score the folder in this process; the runner's own start counts."""
    started = time.perf_counter()
    profile = load_profile("synthetic")
    keys = keys_of(profile)
    batches = list_sources([folder], "benchmark").batches()
    tasks = [Task(recording) for batch in batches for recording in recordings_of(batch)]
    todo = Todo([task.recording.planned_s for task in tasks], lambda rows: tasks[rows])
    arrivals: list[float] = []
    with answers_of(runner, profile, keys, todo) as answers:
        for some in answers:
            arrivals += [time.perf_counter() - started] * some.num_recordings
    assert len(arrivals) == len(tasks), f"{runner}: {len(arrivals)} of {len(tasks)} clips arrived"
    warm = [arrival for arrival in arrivals if arrival > arrivals[0]]
    return {
        "first_result_s": arrivals[0],
        "warm_clips_per_s": len(warm) / (arrivals[-1] - arrivals[0]),
        "total_s": arrivals[-1],
    }


@contextmanager
def answers_of(runner: str, profile: Profile, keys: Keys, todo: Todo) -> Iterator[Iterator[Answers]]:
    # Imported here: in process nobody must pay for importing Ray.
    if runner == "ray":
        from mmer_ray.runners.cluster import cluster

        with cluster():
            from mmer_ray.runners import batch

            yield batch.score(todo, profile, keys)
        return
    from mmer_ray.pipelines.corpus import Pipeline
    from mmer_ray.runners import inprocess

    with Pipeline(profile) as pipeline:
        yield inprocess.score(pipeline, todo, keys, threading.Event())


def in_new_process(runner: str, folder: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--only", runner, "--folder", folder]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--only", choices=["ray", "inprocess"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.folder)))
        return
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        cut_clips(Path(folder), arguments.clips)
        for index in range(arguments.rounds):
            figures = {runner: in_new_process(runner, folder) for runner in ("inprocess", "ray")}
            ratio = figures["ray"]["warm_clips_per_s"] / figures["inprocess"]["warm_clips_per_s"]
            rounds.append({**figures, "ratio": ratio})
            print(json.dumps({"round": index, **rounds[-1]}), flush=True)
    ratios = [one["ratio"] for one in rounds]
    spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
    print(f"ray / in process, warm clips per second: {statistics.median(ratios):.2f} ({spread})")
    for runner in ("inprocess", "ray"):
        for figure in ("first_result_s", "warm_clips_per_s", "total_s"):
            print(f"{runner:10} {figure:17} {statistics.median(one[runner][figure] for one in rounds):8.2f}")


if __name__ == "__main__":
    main()

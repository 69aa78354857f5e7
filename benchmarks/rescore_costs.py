"""How much faster is `mmer rescore --emotion` than scoring everything, with the profile `embedded`?

    python benchmarks/rescore_costs.py [--variants 4] [--profile embedded]

Cuts the demo calls into recordings that differ in their bytes (`--variants` of each), scores them by `mmer score` in
process, then asks a copy of the emotion model under another name by `mmer rescore`, in the same run. Both are whole
commands: start of the interpreter, planning, loading of models, decoding and commits are in their wall time. Prints
wall and CPU seconds of each, the seconds of their stages as the runs keep them, and the factors. The files of all
tables that a rescore does not write are compared byte by byte.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import soundfile

from mmer_ray.demo.truth import CALLS
from mmer_ray.lake.lock import LOCK_NAME
from mmer_ray.lake.queries import open_lake
from mmer_ray.profiles import SHIPPED_EMOTION, load_profile

ASSETS = CALLS.parents[1] / "assets"
SHIFT_S = 0.37
"""A variant begins so much later than the one before it."""
WRITTEN = {"emotions", "calls", "runs", "commits", "checksums"}


@dataclass(frozen=True)
class Measured:
    wall_s: float
    cpu_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", type=int, default=4, help="recordings that are made of each demo call")
    parser.add_argument("--profile", default="embedded")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        audio_s = write_variants(folder / "audio", options.variants)
        model, lake = renamed_model(folder, options.profile), folder / "lake"
        runner = ("--runner", "inprocess", "--quiet", "--lake", str(lake))
        full = measured("score", str(folder / "audio"), "--profile", options.profile, *runner)
        before = files_of(lake)
        again = measured("rescore", "--emotion", str(model), *runner)
        after = files_of(lake)
        stages = [stages_of(lake, at) for at in (0, 1)]
    changed = sorted(path for path, content in before.items() if after.get(path) != content)
    assert not changed, f"files of the lake were changed: {', '.join(changed)}"
    assert {path.split("/")[0] for path in after.keys() - before.keys()} == WRITTEN
    stage_s = [sum(one.values()) for one in stages]
    for title, cost, one in (("score", full, stages[0]), ("rescore", again, stages[1])):
        row = {"wall_s": round(cost.wall_s, 1), "cpu_s": round(cost.cpu_s, 1), "stages": one}
        print(json.dumps({"command": title, "audio_s": round(audio_s), **row}))
    print(
        f"rescore is {full.wall_s / again.wall_s:.1f} times as fast by wall, {full.cpu_s / again.cpu_s:.1f} by CPU, "
        f"{stage_s[0] / stage_s[1]:.1f} by the seconds of stages; no file of another table changed"
    )


def write_variants(folder: Path, num_variants: int) -> float:
    """Write the recordings; returns how many seconds they have in all."""
    folder.mkdir()
    total_s = 0.0
    for call in sorted(CALLS.glob("*.opus")):
        samples, rate_hz = soundfile.read(call, dtype="int16", always_2d=True)
        for number in range(num_variants):
            cut = samples[round(number * SHIFT_S * rate_hz) :]
            soundfile.write(folder / f"{call.stem}-{number}.flac", cut, rate_hz)
            total_s += len(cut) / rate_hz
    return total_s


def renamed_model(folder: Path, profile: str) -> Path:
    """The profile's emotion model with other bytes: another model to the planner, the same work."""
    named = load_profile(profile).emotion.model
    source = ASSETS / ("frozen_encoder" if named == SHIPPED_EMOTION else "mmer")
    model = folder / source.name
    shutil.copytree(source, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config, indent=7))
    return model


def measured(*words: str) -> Measured:
    """Run a command of `mmer` to its end."""
    begun, before = perf_counter(), _children_cpu_s()
    subprocess.run([sys.executable, "-m", "mmer_ray", *words], check=True, stdout=sys.stderr, env=os.environ)
    return Measured(perf_counter() - begun, _children_cpu_s() - before)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def stages_of(lake: Path, run: int) -> dict[str, float]:
    """The seconds of a run's stages; runs count from the first."""
    with open_lake(lake) as reader:
        rows = reader.sql("SELECT stage_s FROM runs ORDER BY started_at").to_pylist()
    return {name: round(seconds, 2) for name, seconds in rows[run]["stage_s"]}


def files_of(lake: Path) -> dict[str, bytes]:
    """All files but the lock, in which each writer leaves its number."""
    files = [path for path in lake.rglob("*") if path.is_file() and path.name != LOCK_NAME]
    return {str(path.relative_to(lake)): path.read_bytes() for path in files}


if __name__ == "__main__":
    main()

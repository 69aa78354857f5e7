"""What is the work on a known recording worth: a full score, a new emotion model, new role names?

    python benchmarks/restart_costs.py

Scores the demo calls in process, once in full, then with a copy of the emotion model under another name, then with
roles. Prints the seconds of the stages, as the run's record has them, and the wall time of each job with its start;
the loading of models is in the wall time, not in the stages.

2026-11-25, 2 cores shared with other work (load 4): stages of the full score 164 s, emotion only 30 s (0.18), measures
only 0.00 s; wall time 82 s, 15 s and 1 s.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmer_ray.demo.truth import CALLS
from mmer_ray.lake.queries import open_lake
from mmer_ray.profiles import load_profile
from mmer_ray.runners import job
from mmer_ray.runners.job import JobOptions

MODEL = CALLS.parents[1] / "assets" / "mmer"


def renamed_model(folder: Path) -> Path:
    """The embedded emotion model with other bytes: another model to the planner, the same work."""
    model = folder / "mmer"
    shutil.copytree(MODEL, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config, indent=7))
    return model


def measure(name: str, lake: Path, settings: Sequence[str]) -> float:
    """Run a job; prints what it took and returns the seconds of its stages."""
    options = JobOptions((str(CALLS),), str(lake), load_profile("synthetic", ["run.runner=inprocess", *settings]))
    restarts = dict(job.prepare(options).restarts)
    report = job.run(options)
    with open_lake(lake) as reader:
        stages = dict(reader.sql("SELECT stage_s FROM runs ORDER BY written_at").to_pylist()[-1]["stage_s"])
    stages_s = sum(stages.values())
    row = {"job": name, "restarts": restarts, "scored": report.num_scored, "wall_s": round(report.wall_s, 1)}
    print(json.dumps({**row, "stages_s": round(stages_s, 2), **stages}), flush=True)
    return stages_s


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake, emotion = Path(folder) / "lake", f"emotion.model={renamed_model(Path(folder))}"
        full_s = measure("full", lake, [])
        emotion_s = measure("emotion only", lake, [emotion])
        link_s = measure("measures only", lake, [emotion, 'link.channel_roles=["agent", "customer"]'])
    print(f"emotion only: {emotion_s / full_s:.2f} of a full score; measures only: {link_s / full_s:.3f}")


if __name__ == "__main__":
    main()

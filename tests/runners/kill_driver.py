"""A job on the cluster at RAY_ADDRESS, its members without weights: the driver that the kill matrix kills.

    python -m tests.runners.kill_driver AUDIO LAKE

Prints how many recordings are answered, a line each time.
"""

from __future__ import annotations

import sys

from mmer_ray.profiles import load_profile
from mmer_ray.runners import batch, job
from mmer_ray.runners.job import JobOptions
from mmer_ray.runners.tally import Progress
from tests.runners.drill import PlainShard

SETTINGS = (
    "run.runner=ray",
    "run.max_actors=2",
    # One actor on each node of one CPU, and some left for Ray Data.
    "run.cpus_per_actor=0.6",
    # Some 15 shards, and commits while they come in.
    "run.shard_s=6",
    "run.first_commit_s=0.3",
    "run.commit_every_s=0.3",
)


def main() -> None:
    audio, lake = sys.argv[1:]
    batch.ScoreShard = PlainShard  # type: ignore[misc]
    job.run(JobOptions((audio,), lake, load_profile("synthetic", SETTINGS)), on_progress=_tell)


def _tell(progress: Progress) -> None:
    print(progress.num_done, flush=True)


if __name__ == "__main__":
    main()

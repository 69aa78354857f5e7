"""Which runner a job takes and how long it will last, before anything is spent."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mmer_ray.profiles import Profile
from mmer_ray.records import Restart
from mmer_ray.runner import Runner

CLUSTER_START_S = 20.0
"""How much later than in process the first result comes, on two cores (`benchmarks/runner_overhead.py`: 30.8 s against
10.3 s): Ray's start, and two actors that import and load at once."""
ACTOR_EFFICIENCY = 0.8
"""Share of an actor's own speed that is left when one runs on every core."""
SHARE: dict[Restart, float] = {"decode": 1.0, "emotion": 0.33, "link": 0.0}
"""Of the work on a whole recording, what is left from each restart point (`benchmarks/restart_costs.py`)."""


@dataclass(frozen=True)
class Estimate:
    """How a job would run."""

    runner: Runner
    """Where: never `auto`."""
    reason: str
    """One sentence on the choice of the runner."""
    wall_s: tuple[float, float]
    """Low and high guess of the seconds until the job ends."""


def estimate(profile: Profile, num_recordings: int, work_s: float) -> Estimate:
    """Choose the runner and guess the wall time from the profile's `speed_x`; computes nothing, starts nothing.

    `work_s`: seconds of audio, weighted with `SHARE`. In process runs one actor's worth; Ray runs one per core, or as
    many as the profile says, after `CLUSTER_START_S`. A recording is never split over actors, so one recording gains
    nothing from a cluster.
    """
    inprocess_s = work_s / profile.run.speed_x
    actors = min(profile.run.max_actors or os.cpu_count() or 1, max(1, num_recordings))
    efficiency = 1.0 if actors == 1 else ACTOR_EFFICIENCY
    ray_s = CLUSTER_START_S + inprocess_s / (actors * efficiency)
    if profile.run.runner != "auto":
        runner, reason = profile.run.runner, "asked for"
    elif os.environ.get("RAY_ADDRESS", "").strip():
        runner, reason = Runner.RAY, "RAY_ADDRESS names a cluster"
    elif ray_s < inprocess_s:
        runner, reason = Runner.RAY, f"about {ray_s:.0f} s on {actors} actors, {inprocess_s:.0f} s in one process"
    else:
        runner, reason = Runner.INPROCESS, f"about {inprocess_s:.0f} s here; a cluster would need {ray_s:.0f} s"
    middle_s = ray_s if runner == Runner.RAY else inprocess_s
    # Machines differ: half and twice the speed that was measured is as exact as a guess from afar can be.
    return Estimate(runner, reason, (middle_s / 2, middle_s * 2))

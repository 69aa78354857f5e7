"""Which runner a job takes and how long it will last, before anything is spent."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

from mmer_ray.audio.decode import Decoder
from mmer_ray.profiles import Profile
from mmer_ray.records import Recording

MAX_PROBED = 2_000
"""Headers read before a job starts, a few milliseconds each; the rest is estimated from sizes."""
CLUSTER_START_S = 20.0
"""How much later than in process the first result comes, on two cores (`benchmarks/runner_overhead.py`: 30.8 s against
10.3 s): Ray's start, and two actors that import and load at once."""
ACTOR_EFFICIENCY = 0.8
"""Share of an actor's own speed that is left when one runs on every core."""

MIN_BYTES_PER_S = 400
"""The thriftiest speech codecs take more, 600 bytes a second (AMR at 4.75 kbit/s): a header that claims more seconds
than this allows is forged, or the sound is near silence, which costs little. Neither may steer a job."""

RunnerName = Literal["inprocess", "ray"]


@dataclass(frozen=True)
class Estimate:
    """How a job would run."""

    runner: RunnerName
    reason: str
    """One sentence on the choice of the runner."""
    wall_s: tuple[float, float]
    """Low and high guess of the seconds until the job ends."""


def with_durations(
    recordings: Sequence[Recording], decoder: Decoder, max_file_bytes: int, num_threads: int = 1
) -> tuple[Recording, ...]:
    """Fill in `expected_s`: from the header for the first `MAX_PROBED` recordings, else from the size.

    No claim counts for more than the file's size allows, and a file above `max_file_bytes` for nothing: it is refused.
    The bytes per second of the probed recordings with the same
    file ending stand in for the others. `num_threads` headers are read at a time: as many as the decoder has children.
    """
    first = recordings[:MAX_PROBED]
    with ThreadPoolExecutor(num_threads) as pool:
        claimed = pool.map(lambda one: _probed_s(one, decoder, max_file_bytes), first)
        probed = [replace(one, expected_s=claimed_s) for one, claimed_s in zip(first, claimed, strict=True)]
    totals: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for recording in probed:
        if recording.expected_s:
            total = totals[_ending(recording)]
            total[0] += recording.expected_s
            total[1] += recording.size_bytes
    others = recordings[MAX_PROBED:]
    return (*probed, *(replace(recording, expected_s=_from_size(recording, totals)) for recording in others))


def _probed_s(recording: Recording, decoder: Decoder, max_file_bytes: int) -> float | None:
    if recording.size_bytes > max_file_bytes:
        return 0.0
    claimed_s = decoder.probe(recording)
    return None if claimed_s is None else min(claimed_s, recording.size_bytes / MIN_BYTES_PER_S)


def _from_size(recording: Recording, totals: dict[str, list[float]]) -> float | None:
    seconds, num_bytes = totals.get(_ending(recording), (0.0, 0.0))
    return recording.size_bytes * seconds / num_bytes if num_bytes else None


def _ending(recording: Recording) -> str:
    return PurePosixPath(recording.uri).suffix.lower()


def estimate(profile: Profile, num_recordings: int, audio_s: float) -> Estimate:
    """Choose the runner and guess the wall time from the profile's `speed_x`; computes nothing, starts nothing.

    In process runs one actor's worth; Ray runs `num_actors` of them after `CLUSTER_START_S`. A recording is never
    split over actors, so one recording gains nothing from a cluster.
    """
    inprocess_s = audio_s / profile.run.speed_x
    actors = min(profile.run.actors or os.cpu_count() or 1, max(1, num_recordings))
    efficiency = 1.0 if actors == 1 else ACTOR_EFFICIENCY
    ray_s = CLUSTER_START_S + inprocess_s / (actors * efficiency)
    runner: RunnerName
    if profile.run.runner != "auto":
        runner, reason = profile.run.runner, "asked for"
    elif "RAY_ADDRESS" in os.environ:
        runner, reason = "ray", "RAY_ADDRESS names a cluster"
    elif ray_s < inprocess_s:
        runner, reason = "ray", f"about {ray_s:.0f} s on {actors} actors, {inprocess_s:.0f} s in one process"
    else:
        runner, reason = "inprocess", f"about {inprocess_s:.0f} s here; a cluster would need {ray_s:.0f} s"
    middle_s = ray_s if runner == "ray" else inprocess_s
    # Machines differ: half and twice the speed that was measured is as exact as a guess from afar can be.
    return Estimate(runner, reason, (middle_s / 2, middle_s * 2))

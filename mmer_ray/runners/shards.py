"""Cutting a job into shards: one shard is one Ray task."""

from __future__ import annotations

from collections.abc import Sequence

from mmer_ray.records import Recording

SHARDS_PER_ACTOR = 4
"""Enough that the last shard to finish leaves the other actors idle for a small share of the job only."""
MIN_SHARD_S = 20.0
"""A task costs Ray about 12 ms of wall time here; less audio than this would make that a visible share."""


def cut_shards(recordings: Sequence[Recording], *, num_actors: int, max_shard_s: float) -> list[tuple[Recording, ...]]:
    """Cut recordings into shards of about equal audio, longest recordings first.

    A shard holds at most `max_shard_s` seconds, or one longer recording; every actor gets `SHARDS_PER_ACTOR` shards
    where the job is large enough. Each recording is in exactly one shard.
    """
    total_s = sum(recording.planned_s for recording in recordings)
    target_s = min(max_shard_s, max(MIN_SHARD_S, total_s / (num_actors * SHARDS_PER_ACTOR)))
    shards: list[tuple[Recording, ...]] = []
    shard: list[Recording] = []
    shard_s = 0.0
    for recording in sorted(recordings, key=lambda recording: (-recording.planned_s, recording.uri)):
        if shard and shard_s + recording.planned_s > target_s:
            shards.append(tuple(shard))
            shard, shard_s = [], 0.0
        shard.append(recording)
        shard_s += recording.planned_s
    return [*shards, tuple(shard)] if shard else shards

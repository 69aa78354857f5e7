"""Cutting a job into shards: one shard is one Ray task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

SHARDS_PER_ACTOR = 4
"""Enough that the last shard to finish leaves the other actors idle for a small share of the job only."""
MIN_SHARD_S = 20.0
"""A task costs Ray about 12 ms of wall time here; less audio than this would make that a visible share."""


def cut_shards(planned_s: Sequence[float], *, num_actors: int, max_shard_s: float) -> Iterator[slice]:
    """Cut recordings of `planned_s` seconds each, in their order, into shards of about equal audio.

    A shard holds at most `max_shard_s` seconds, or one longer recording; every actor gets `SHARDS_PER_ACTOR` shards
    where the job is large enough. Each recording is in exactly one shard; a shard is a slice of positions.
    """
    target_s = min(max_shard_s, max(MIN_SHARD_S, sum(planned_s) / (num_actors * SHARDS_PER_ACTOR)))
    begin, shard_s = 0, 0.0
    for position, seconds in enumerate(planned_s):
        if position > begin and shard_s + seconds > target_s:
            yield slice(begin, position)
            begin, shard_s = position, 0.0
        shard_s += seconds
    if begin < len(planned_s):
        yield slice(begin, len(planned_s))

"""Cutting a job into shards: one shard is one Ray task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

SHARE_OF_REST = 2
"""A shard holds an actor's share of what is left, divided by this: guided self-scheduling (Polychronopoulos and Kuck,
1987). The shards that finish last are small, so that no actor is idle for long while another ends."""
MIN_SHARD_S = 20.0
"""A task costs Ray about 12 ms of wall time here; less audio than this would make that a visible share."""


def cut_shards(planned_s: Sequence[float], *, num_actors: int, max_shard_s: float) -> Iterator[slice]:
    """Cut recordings of `planned_s` seconds each, in their order, into shards that get smaller towards the end.

    A shard holds at most `max_shard_s` seconds, or one longer recording. Each recording is in exactly one shard; a
    shard is a slice of positions.
    """
    left_s = sum(planned_s)
    begin, shard_s = 0, 0.0
    for position, seconds in enumerate(planned_s):
        target_s = min(max_shard_s, max(MIN_SHARD_S, left_s / (num_actors * SHARE_OF_REST)))
        if position > begin and shard_s + seconds > target_s:
            yield slice(begin, position)
            left_s -= shard_s
            begin, shard_s = position, 0.0
        shard_s += seconds
    if begin < len(planned_s):
        yield slice(begin, len(planned_s))

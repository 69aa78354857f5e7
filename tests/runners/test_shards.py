"""Cutting a job into shards."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mmer_ray.runners.shards import cut_shards

durations = st.lists(st.floats(0.1, 40_000), max_size=80)


@given(durations, st.integers(1, 8))
def test_every_recording_is_in_exactly_one_shard(planned_s: list[float], num_actors: int) -> None:
    shards = list(cut_shards(planned_s, num_actors=num_actors, max_shard_s=1_800))
    positions = [position for shard in shards for position in range(shard.start, shard.stop)]
    assert positions == list(range(len(planned_s)))
    assert all(shard.stop > shard.start for shard in shards)


@given(durations, st.integers(1, 8))
def test_only_a_single_long_recording_exceeds_the_shard_limit(planned_s: list[float], num_actors: int) -> None:
    for shard in cut_shards(planned_s, num_actors=num_actors, max_shard_s=1_800):
        assert shard.stop - shard.start == 1 or sum(planned_s[shard]) <= 1_800


def test_a_small_job_still_gives_every_actor_work() -> None:
    assert len(list(cut_shards([3.0] * 200, num_actors=2, max_shard_s=1_800))) >= 8


def test_shards_get_smaller_towards_the_end_so_that_no_actor_waits_long_for_the_last() -> None:
    sizes_s = [3.0 * (shard.stop - shard.start) for shard in cut_shards([3.0] * 9_000, num_actors=2, max_shard_s=1_800)]
    assert sizes_s[0] == 1_800
    assert all(later <= earlier for earlier, later in pairwise(sizes_s))
    assert max(sizes_s[-3:]) <= 21
    assert len(sizes_s) < 9_000 * 3 / 1_800 + 25, "small shards only at the end"

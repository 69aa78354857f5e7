"""Cutting a job into shards."""

from hypothesis import given
from hypothesis import strategies as st

from mmer_ray.records import Recording
from mmer_ray.runners.shards import cut_shards

durations = st.lists(st.one_of(st.none(), st.floats(0.1, 40_000)), max_size=80)


def recordings(expected: list[float | None]) -> list[Recording]:
    return [Recording(uri=f"/calls/{index}.wav", expected_s=seconds) for index, seconds in enumerate(expected)]


@given(durations, st.integers(1, 8))
def test_every_recording_is_in_exactly_one_shard(expected: list[float | None], num_actors: int) -> None:
    planned = recordings(expected)
    shards = cut_shards(planned, num_actors=num_actors, max_shard_s=1_800)
    assert sorted(recording.uri for shard in shards for recording in shard) == sorted(r.uri for r in planned)
    assert all(shards)


@given(durations, st.integers(1, 8))
def test_only_a_single_long_recording_exceeds_the_shard_limit(expected: list[float | None], num_actors: int) -> None:
    for shard in cut_shards(recordings(expected), num_actors=num_actors, max_shard_s=1_800):
        assert len(shard) == 1 or sum(recording.planned_s for recording in shard) <= 1_800


@given(durations)
def test_the_longest_recordings_come_first(expected: list[float | None]) -> None:
    order = [r.planned_s for shard in cut_shards(recordings(expected), num_actors=2, max_shard_s=600) for r in shard]
    assert order == sorted(order, reverse=True)


def test_a_small_job_still_gives_every_actor_work() -> None:
    shards = cut_shards(recordings([3.0] * 200), num_actors=2, max_shard_s=1_800)
    assert len(shards) >= 8

"""What Ray Data is asked for; no cluster is needed to see it."""

from __future__ import annotations

import warnings
from typing import Any

import pyarrow as pa
import pytest
from ray.data import ActorPoolStrategy

from mmer_ray.profiles import RunOptions
from mmer_ray.runners.ray_pool import Pool, map_shards, num_actors, pool_of


class Recorder:
    """Stands for a dataset: keeps the arguments."""

    def map_batches(self, fn: Any, **arguments: Any) -> dict[str, Any]:
        return {"fn": fn, **arguments}


def test_the_actors_arguments_reach_ray_data() -> None:
    asked = map_shards(Recorder(), Recorder, ("profile", "keys"), Pool(1, 8, 4, 0.5, 0.25))
    assert asked["fn"] is Recorder
    assert asked["fn_constructor_args"] == ("profile", "keys")
    assert (asked["num_cpus"], asked["num_gpus"]) == (0.5, 0.25)
    assert asked["compute"] == ActorPoolStrategy(
        min_size=1, max_size=8, initial_size=4, max_tasks_in_flight_per_actor=2
    )


def test_ray_data_takes_the_arguments_also_with_gpus_and_without_a_warning(ray_cluster: None) -> None:
    import ray.data

    dataset = ray.data.from_arrow(pa.table({"shard": ["a"]}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        map_shards(dataset, Recorder, (), Pool(1, 2, 1, 0.5, 0.5))


@pytest.mark.parametrize(
    ("options", "resources", "expected"),
    [
        ({}, {"CPU": 8.0, "GPU": 2.0}, 8),
        ({"gpus_per_actor": 0.5}, {"CPU": 64.0, "GPU": 2.0}, 4),
        ({"gpus_per_actor": 1}, {"CPU": 64.0}, 1),
        ({"max_actors": 3}, {"CPU": 64.0}, 3),
    ],
)
def test_one_actor_per_core_or_per_gpu_share_unless_the_profile_says(
    options: dict[str, Any], resources: dict[str, float], expected: int
) -> None:
    assert num_actors(RunOptions(**options), resources) == expected


def test_a_cluster_that_starts_with_no_gpu_gets_more_actors_as_its_gpus_come() -> None:
    pool = pool_of(RunOptions(gpus_per_actor=1), {"CPU": 4.0}, None, num_shards=100)
    assert (pool.min_size, pool.max_size, pool.initial_size) == (1, None, 1)


def test_a_pool_may_grow_to_what_the_autoscaler_may_reach() -> None:
    pool = pool_of(RunOptions(gpus_per_actor=1), {"CPU": 4.0}, {"CPU": 96.0, "GPU": 8.0}, num_shards=100)
    assert (pool.min_size, pool.max_size, pool.initial_size) == (1, 8, 1)


def test_a_pool_stays_between_the_profiles_bounds() -> None:
    options = RunOptions(min_actors=2, max_actors=6)
    pool = pool_of(options, {"CPU": 64.0}, None, num_shards=100)
    assert (pool.min_size, pool.max_size, pool.initial_size) == (2, 6, 6)


def test_no_more_actors_are_started_than_there_are_shards() -> None:
    pool = pool_of(RunOptions(min_actors=8), {"CPU": 64.0}, None, num_shards=3)
    assert (pool.min_size, pool.max_size, pool.initial_size) == (3, 3, 3)

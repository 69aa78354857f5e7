"""The pool of model actors: the one file that knows Ray Data's actor arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import ray.data

from mmer_ray.profiles import RunOptions

TASKS_IN_FLIGHT = 2
"""The next shard waits beside the actor: with one in flight it idles while the driver thinks, a seventh of the
throughput (`benchmarks/runner_overhead.py`). The pool grows while its actors have this many."""

Block = Callable[..., Any]


class MapsBatches(Protocol):
    """What is needed of `ray.data.Dataset`."""

    def map_batches(self, fn: Block, **arguments: Any) -> Any: ...


@dataclass(frozen=True)
class Pool:
    """How many actors, and what each of them takes."""

    min_size: int
    max_size: int | None
    """None: as many as the cluster has room for, however large it grows."""
    initial_size: int
    num_cpus: float
    num_gpus: float


def largest_resources() -> Mapping[str, float] | None:
    """What the connected cluster's autoscaler may reach; None where it has none, or does not say."""
    # Ray Data asks in the same way for its own shuffles; there is no public way in 2.60.
    largest: Mapping[str, float] | None = ray._private.state.state.get_max_resources_from_cluster_config()
    return largest


def num_actors(options: RunOptions, resources: Mapping[str, float]) -> int:
    """Actors that a profile asks for, or that the resources have room for: one per GPU share, or per CPU core."""
    if options.max_actors:
        return options.max_actors
    if options.gpus_per_actor:
        return max(1, int(resources.get("GPU", 0) / options.gpus_per_actor))
    return max(1, int(resources.get("CPU", 1)))


def pool_of(
    options: RunOptions, now: Mapping[str, float], largest: Mapping[str, float] | None, num_shards: int
) -> Pool:
    """The pool for a profile on a cluster.

    `now` are the resources that the cluster has, `largest` those that its autoscaler may reach; None where it has none
    or does not say. A pool starts with an actor for each slot that there is, and takes the others as they come.
    """
    # Ray bounds a pool by its GPUs. Counting those of now would keep a cluster that starts with none at one actor.
    is_open = bool(options.gpus_per_actor) and not options.max_actors and largest is None
    # Ray Data warns of a pool that has more actors than tasks.
    min_size = max(1, min(options.min_actors, num_shards))
    max_size = None if is_open else max(min_size, min(num_actors(options, largest or now), num_shards))
    there = max(min_size, min(num_actors(options, now), num_shards))
    initial = there if max_size is None else min(there, max_size)
    return Pool(min_size, max_size, initial, options.cpus_per_actor, options.gpus_per_actor)


def map_shards(dataset: MapsBatches, actor: type, arguments: Iterable[Any], pool: Pool) -> Any:
    """Let a pool of `actor`s, each made with `arguments`, map every block of the dataset; Arrow in, Arrow out.

    An actor that dies is started again and its task repeated, without end: Ray Data 2.60 sets `max_restarts` and
    `max_task_retries` to -1 itself, and has no argument for them that it will keep (`ray_remote_args` goes in 2.64).
    `attempts.Attempts` ends each recording that kills its actor.
    """
    return dataset.map_batches(
        actor,
        fn_constructor_args=tuple(arguments),
        # A task is one row whatever the size, but Ray Data refuses GPUs without one.
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(
            min_size=pool.min_size,
            max_size=pool.max_size,
            initial_size=pool.initial_size,
            max_tasks_in_flight_per_actor=TASKS_IN_FLIGHT,
        ),
        num_cpus=pool.num_cpus,
        num_gpus=pool.num_gpus,
    )


def dataset_of(shards: pa.Table) -> MapsBatches:
    """A dataset with one block, that is one task, for each row."""
    # `from_arrow` would ask a worker of its own for the blocks' metadata: 5 s of CPU before the first actor starts.
    dataset: MapsBatches = ray.data.from_items(shards.to_pylist(), override_num_blocks=shards.num_rows)
    return dataset

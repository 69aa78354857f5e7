"""Two simulated Ray nodes in a process of their own, for drills that kill one of them.

    python -m tests.runners.kill_cluster

Prints a line once both are up: `nodes`, the address and the process id of the second node's raylet. For each line that
it reads it puts a new node in the place of a dead second one and prints such a line again. It ends with its input.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

WORD = "nodes"
NUM_CPUS = 1
NUM_STARTS = 4
"""Ray gives up a node's start after 30 s; on a busy machine a later one succeeds."""
JOIN_S = 300.0
"""Longest wait for a node that has started to join, and for a dead one to be noticed."""


def main() -> None:
    from mmer_ray.runners.cluster import keep_ray_quiet

    keep_ray_quiet()
    from ray.cluster_utils import Cluster

    nodes = Cluster()
    _add(nodes, include_dashboard=False)
    second = _add(nodes)
    _tell(nodes, second)
    for _ in sys.stdin:
        if _raylet(second).poll() is not None:
            nodes.remove_node(second, allow_graceful=False)
            second = _add(nodes)
        _tell(nodes, second)
    nodes.shutdown()


def _add(nodes: Any, **arguments: Any) -> Any:
    wanted = {"num_cpus": NUM_CPUS, "wait": False, **arguments}
    for _ in range(NUM_STARTS - 1):
        # Ray raises no narrower one.
        with suppress(Exception):
            return _alive(nodes, nodes.add_node(**wanted))
    return _alive(nodes, nodes.add_node(**wanted))


def _alive(nodes: Any, node: Any) -> Any:
    nodes.wait_for_nodes(JOIN_S)
    return node


def _tell(nodes: Any, second: Any) -> None:
    print(WORD, nodes.address, _raylet(second).pid, flush=True)


def _raylet(node: Any) -> Any:
    (raylet,) = node.all_processes["raylet"]
    return raylet.process


if __name__ == "__main__":
    main()

"""Two simulated Ray nodes in a process of their own, for drills that kill one of them.

    python -m tests.runners.kill_cluster

Prints a line once both are up: `nodes`, the address and the process id of the second node's raylet. For each line that
it reads it puts a new node in the place of a dead second one and prints such a line again. It ends with its input.
"""

from __future__ import annotations

import sys
from typing import Any

WORD = "nodes"
NUM_CPUS = 1


def main() -> None:
    from mmer_ray.runners.cluster import keep_ray_quiet

    keep_ray_quiet()
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": NUM_CPUS, "include_dashboard": False})
    second = nodes.add_node(num_cpus=NUM_CPUS)
    _tell(nodes, second)
    for _ in sys.stdin:
        if _raylet(second).poll() is not None:
            nodes.remove_node(second, allow_graceful=False)
            second = nodes.add_node(num_cpus=NUM_CPUS)
        _tell(nodes, second)
    nodes.shutdown()


def _tell(nodes: Any, second: Any) -> None:
    print(WORD, nodes.address, _raylet(second).pid, flush=True)


def _raylet(node: Any) -> Any:
    (raylet,) = node.all_processes["raylet"]
    return raylet.process


if __name__ == "__main__":
    main()

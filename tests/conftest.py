"""What all tests share: one Ray cluster per session, and no way to the network."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["PYANNOTE_METRICS_ENABLED"] = "false"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Before torch is loaded. Its threads spin while they wait for each other: on shared cores a tiny model's training step
# then takes seven times its own CPU seconds (`tests/models/test_bridge_tokens.py`: 97 s against 14 s on two cores).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    # Workers share the cores.
    threads = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))

# Machines here are shared: how long an example takes says nothing.
settings.register_profile("shared-machine", deadline=None, derandomize=True)
settings.load_profile("shared-machine")


RAY_FIXTURES = {"ray_cluster", "ray_nodes"}
"""What starts Ray."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In parallel (`make test`), one worker runs all that needs Ray, and each file stays with one worker: clusters are
    started and models are loaded once."""
    for item in items:
        uses_ray = not RAY_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        item.add_marker(pytest.mark.xdist_group("ray" if uses_ray else item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session", autouse=True)
def state_of_no_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What commands remember for the next one is not kept in the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A private local cluster, started once."""
    from mmer_ray.runners.cluster import cluster

    with cluster():
        yield

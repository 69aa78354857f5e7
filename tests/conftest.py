"""What all tests share: one Ray cluster per session, and no way to the network."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["PYANNOTE_METRICS_ENABLED"] = "false"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A private local cluster, started once."""
    from mmer_ray.runners.batch import cluster

    with cluster():
        yield

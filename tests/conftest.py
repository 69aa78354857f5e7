"""What all tests share: one Ray cluster and one S3 server per session, and no way to the network."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["PYANNOTE_METRICS_ENABLED"] = "false"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Ray's workers would step back behind all other programs, and wait for minutes where a machine is shared.
os.environ.setdefault("RAY_worker_niceness", "0")
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


# Before xdist reads the marks: its plugin is registered after this file, and the last one is asked first.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In parallel (`make test`), one worker runs all that needs Ray, and each file stays with one worker: clusters are
    started and models are loaded once."""
    for item in items:
        uses_ray = not RAY_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        item.add_marker(pytest.mark.xdist_group("ray" if uses_ray else item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session", autouse=True)
def state_of_no_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What commands remember for the next one is not kept in the home of whoever runs the tests, nor are models that
    somebody registered there met by them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("MMER_REGISTRY", str(tmp_path_factory.mktemp("registry")))
        yield


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A private local cluster, started once."""
    from mmer_ray.runners.cluster import cluster
    from mmer_ray.runners.endpoint import PROXY_SETUP

    with pytest.MonkeyPatch.context() as patch:
        # Serve's proxy has the environment that the cluster was started with.
        patch.setenv(*PROXY_SETUP)
        with cluster():
            yield


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of a server on loopback that speaks S3."""
    from tests.s3_server import s3_serving

    with s3_serving() as address:
        yield address


@pytest.fixture
def s3_environment(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The server is the store that the environment names; its address. What another test has opened is forgotten."""
    from s3fs import S3FileSystem

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()
    yield s3_server
    S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket(s3_environment: str) -> str:
    """The name of a bucket of the test's own."""
    import boto3

    name = f"bucket-{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name

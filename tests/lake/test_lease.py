"""The lease of a lake on an object store, against a server that keeps to conditional PUTs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import boto3
import pyarrow as pa
import pytest

from mmer_ray.errors import LakeError, PreflightError, StoreError
from mmer_ray.lake import lease as lease_module
from mmer_ray.lake.exclusive import may_be_written
from mmer_ray.lake.lease import LEASE_NAME, Lease, leased
from mmer_ray.lake.store import Lake
from mmer_ray.lake.table_log import FENCING
from mmer_ray.tables import SCHEMAS
from tests.fault_proxy import FaultProxy

HOLD = """
import sys
from mmer_ray.lake.lease import leased
with leased(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""
WAIT_S = 120.0


@pytest.fixture
def address(bucket: str) -> str:
    return f"s3://{bucket}/night/lake"


def state(address: str) -> dict[str, Any]:
    """What `writer.lease` says."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    body = boto3.client("s3").get_object(Bucket=bucket, Key=f"{key}/{LEASE_NAME}")["Body"].read()
    found: dict[str, Any] = json.loads(body)
    return found


def write_state(address: str, **changes: Any) -> None:
    """Let somebody else have written the lease."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    text = json.dumps(state(address) | changes)
    boto3.client("s3").put_object(Bucket=bucket, Key=f"{key}/{LEASE_NAME}", Body=text.encode())


def written_at(address: str) -> datetime:
    """When the lease was written last, in whole seconds."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    found: datetime = boto3.client("s3").head_object(Bucket=bucket, Key=f"{key}/{LEASE_NAME}")["LastModified"]
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


@contextmanager
def held_by_a_process(address: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_a_lease_is_seen_while_it_is_held_and_free_once_it_is_released(address: str) -> None:
    assert not may_be_written(address)
    with leased(address) as held:
        assert (held.fencing, held.took_over) == (1, False)
        assert may_be_written(address)
        held.check()
        with pytest.raises(LakeError, match=rf"written by {held.holder}.* number 1, ends in \d+ s"), leased(address):
            pass
    assert not may_be_written(address)
    assert state(address)["released"]


def test_the_fencing_number_grows_with_every_holder(address: str) -> None:
    for number in (1, 2, 3):
        with leased(address) as held:
            assert (held.fencing, held.took_over) == (number, False)
    assert state(address)["fencing"] == 3


def test_the_lease_of_a_killed_holder_is_taken_over_after_its_end_and_not_before(address: str) -> None:
    with held_by_a_process(address) as child:
        child.kill()
        child.wait()
    with pytest.raises(LakeError, match=f" {child.pid} .*wait for the job"), leased(address):
        pass
    # As if it had asked for less: this machine may be too slow for a test that measures time.
    write_state(address, lease_s=1.0)
    wait_until(lambda: not may_be_written(address))
    with leased(address) as held:
        assert (held.fencing, held.took_over) == (2, True)


def test_a_holder_renews_its_lease(address: str) -> None:
    with leased(address, lease_s=1.5):
        first = written_at(address)
        wait_until(lambda: written_at(address) > first)


def test_a_holder_that_lost_its_lease_is_told_by_whom(address: str) -> None:
    with leased(address) as held:
        write_state(address, holder="other host", fencing=2)
        held._renew()
        with pytest.raises(LakeError, match="was lost to other host"):
            held.check()
    assert state(address)["holder"] == "other host", "what is not held is not released"


def test_a_holder_that_was_stopped_goes_on_where_nobody_took_its_lease(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with leased(address) as held:
        monkeypatch.setattr(held, "_valid_until_s", 0.0)
        held.check()
        monkeypatch.setattr(held, "_valid_until_s", 0.0)
        write_state(address, holder="other host", fencing=2)
        with pytest.raises(LakeError, match="was lost to other host"):
            held.check()


def test_a_lease_that_cannot_be_renewed_in_time_is_an_error_that_may_pass(
    address: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = FaultProxy(s3_server)
    monkeypatch.setitem(lease_module.CONNECTION, "retries", {"total_max_attempts": 1})
    with proxy.running() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with leased(address) as held:
            proxy.refused = 1.0
            monkeypatch.setattr(held, "_valid_until_s", 0.0)
            with pytest.raises(StoreError, match="cannot be renewed"):
                held.check()
            proxy.refused = 0.0
            held.check()


@pytest.mark.slow
def test_an_answer_that_got_lost_is_not_taken_for_another_holder(
    address: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = FaultProxy(s3_server)
    draw, lost = proxy.draw, iter([True])

    def lose_an_answer(method: str, path: str) -> str:
        fault = draw(method, path)
        return "unanswered" if method == "PUT" and next(lost, False) else fault

    monkeypatch.setattr(proxy, "draw", lose_an_answer)
    with proxy.running() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with leased(address) as held:
            assert held.fencing == 1
            lost = iter([True])
            held._renew()
            held.check()
        assert proxy.counted()["PUT"] == 6, "taken twice, tried without a right to, renewed twice, released"
        assert state(address)["released"]


def test_a_store_that_ignores_conditions_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = Lease(address)
    put = lease._client.put_object
    monkeypatch.setattr(
        lease._client, "put_object", lambda **given: put(**{n: v for n, v in given.items() if "If" not in n})
    )
    with pytest.raises(LakeError, match="does not keep to conditional writes"):
        lease.take()


def test_what_is_no_lease_is_named_with_the_remedy(address: str) -> None:
    with leased(address):
        pass
    write_state(address, fencing="many")
    with pytest.raises(LakeError, match=r"writer\.lease cannot be read.*delete it"), leased(address):
        pass


def test_a_bucket_that_is_not_there_is_a_preflight_error(s3_environment: str) -> None:
    with pytest.raises(PreflightError, match="no such bucket: 'nobody-has-it'"), leased("s3://nobody-has-it/lake"):
        pass


def one_run_row() -> pa.Table:
    return pa.Table.from_pylist([{"run_id": "a", "status": "started"}], schema=SCHEMAS["runs"])


def test_each_append_carries_the_fencing_number_and_a_lost_lease_stops_the_writer(address: str) -> None:
    lake = Lake(address)
    with lake.lock():
        lake.create()
        assert lake.append("runs", one_run_row(), 1, "a")
        assert lake.newest("runs").transaction_version(FENCING) == 1
        write_state(address, holder="other host", fencing=2)
        lake._access._writing._renew()  # type: ignore[union-attr]
        with pytest.raises(LakeError, match="was lost to other host"):
            lake.append("runs", one_run_row(), 2, "a")
    assert len(lake.files("runs")) == 1


def test_a_writer_that_does_not_know_yet_is_refused_by_the_table(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was suspended after it had looked at its lease; the next holder has not written a row yet."""
    old, new = Lake(address), Lake(address)
    with old.lock():
        old.create()
        monkeypatch.setattr(old._access._writing, "check", lambda: None)
        make_it_look_old(address)
        with new.lock():
            with pytest.raises(LakeError, match="changed under lease 2, this job has lease 1"):
                old.append("runs", one_run_row(), 1, "a")
            assert new.append("runs", one_run_row(), 1, "b")


@pytest.mark.slow
def test_an_append_that_was_under_way_when_the_lease_was_taken_over_fails(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past all its looks: only the table's log can refuse it."""
    old, new = Lake(address), Lake(address)
    with old.lock():
        old.create()
        monkeypatch.setattr(old._access._writing, "check", lambda: None)
        table = old.newest("runs")
        make_it_look_old(address)
        with new.lock():
            monkeypatch.setattr(old, "newest", lambda name: table)
            with pytest.raises(StoreError, match="cannot be written"):
                old._append("runs", one_run_row(), 1, "a")
    assert new.files("runs") == []


def make_it_look_old(address: str) -> None:
    """Let the lease be as if its holder had not renewed it."""
    write_state(address, lease_s=-10.0)

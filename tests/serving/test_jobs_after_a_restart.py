"""A job outlives the gateway that had begun it, and two gateways never work on the same one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving import job_runner, job_table
from mmer_ray.serving.access import Caller
from mmer_ray.serving.errors_middleware import internal
from mmer_ray.serving.job_document import JobError
from mmer_ray.serving.job_table import JobStatus, JobTable, NewJob
from mmer_ray.serving.state_database import StateDatabase
from tests.serving.cheap_scorers import CheapScorers
from tests.serving.http_server import serving
from tests.serving.job_gateway import JobGateway

CALLER = Caller("dialler", "0123456789abcdef")
START_S = 60.0


@contextmanager
def running(gateway: JobGateway) -> Iterator[JobGateway]:
    """The gateway behind a server, ended as `mmer serve` ends it."""
    with serving(gateway.app()) as gateway.address:
        yield gateway
    gateway.database.close()


def test_a_job_of_a_gateway_that_was_killed_is_begun_again_by_the_next(tmp_path: Path) -> None:
    state = tmp_path / "state"
    key = JobGateway(state).keys.add("dialler")
    claim_s = 1.0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    child = subprocess.Popen([sys.executable, "-m", "tests.serving.job_gateway", str(state), str(port), str(claim_s)])
    try:
        remote = JobGateway(state, address=f"http://127.0.0.1:{port}", key=key)
        _until_answering(remote.address, child)
        job_id = remote.submitted()
        remote.job_once(job_id, "running")
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with running(JobGateway(state, key=key)) as gateway:
        job = gateway.job_once(job_id, "succeeded")
    assert job["attempts"] == 2
    assert gateway.num_sounds() == 0


def test_a_job_that_runs_when_the_gateway_ends_is_queued_as_if_it_had_not_begun(tmp_path: Path) -> None:
    first = JobGateway(tmp_path, scorers=CheapScorers(delay_s=1_000.0))
    first.key = first.keys.add("dialler")
    with running(first):
        job_id = first.submitted()
        first.job_once(job_id, "running")
    assert first.scorers.num_cancelled == 1
    with running(JobGateway(tmp_path, key=first.key)) as second:
        assert second.job_once(job_id, "succeeded")["attempts"] == 1


def test_two_gateways_with_one_state_work_on_each_job_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_runner, "POLL_S", 0.02)
    gateways = [JobGateway(tmp_path, ServeOptions(max_running_jobs=3), CheapScorers(delay_s=0.03)) for _ in range(2)]
    key = gateways[0].keys.add("dialler")
    gateways[0].key = gateways[1].key = key
    with running(gateways[0]), running(gateways[1]):
        ids = [gateways[number % 2].submitted(0.5 + number / 10) for number in range(20)]
        for job_id in ids:
            assert gateways[0].job_once(job_id, "succeeded")["attempts"] == 1
    asked = [gateway.scorers.num_asked for gateway in gateways]
    assert sum(asked) == 20
    assert min(asked) > 0, asked


@pytest.fixture
def table(tmp_path: Path) -> Iterator[JobTable]:
    database = StateDatabase(tmp_path)
    yield JobTable(database, ServeOptions())
    database.close()


def _queue(table: JobTable, job_id: str = "job_1") -> None:
    asyncio.run(table.submit(CALLER, NewJob(job_id, b"{}", f"{job_id}.sound", 10)))


def _status(table: JobTable, job_id: str = "job_1") -> JobStatus:
    found = asyncio.run(table.find(CALLER.key_id, job_id))
    assert found is not None
    return found[0].status


def test_a_claim_that_is_renewed_is_nobody_elses_and_one_that_ran_out_is(
    table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_table, "CLAIM_S", 0.2)
    _queue(table)
    claim = asyncio.run(table.claim())
    assert claim is not None
    for _ in range(3):
        time.sleep(0.1)
        assert asyncio.run(table.renew(claim))
        assert asyncio.run(table.claim()) is None
    time.sleep(0.25)
    other = asyncio.run(table.claim())
    assert other is not None
    assert other.job.attempts == 2
    # What the slow one found out comes too late.
    assert not asyncio.run(table.renew(claim))
    assert not asyncio.run(table.succeed(claim, b'{"of": "the slow one"}'))
    assert not asyncio.run(table.fail(claim, internal()))
    assert not asyncio.run(table.give_back(claim))
    assert asyncio.run(table.succeed(other, b'{"of": "the other"}'))
    found = asyncio.run(table.find(CALLER.key_id, "job_1"))
    assert found is not None
    assert json.loads(found[1] or b"") == {"of": "the other"}


def test_a_job_that_was_lost_three_times_is_not_tried_again(table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_table, "CLAIM_S", 0.01)
    _queue(table)
    for _ in range(3):
        assert asyncio.run(table.claim()) is not None
        time.sleep(0.03)
    assert asyncio.run(table.claim()) is None
    assert asyncio.run(table.tidy()) == []
    found = asyncio.run(table.find(CALLER.key_id, "job_1"))
    assert found is not None
    assert found[0].status is JobStatus.FAILED
    assert found[0].error is not None
    assert found[0].error["code"] == "worker_crash"
    assert set(found[0].error) == set(JobError.model_fields)


def test_a_job_that_was_cancelled_or_deleted_takes_no_result(table: JobTable) -> None:
    for job_id in ("job_1", "job_2"):
        _queue(table, job_id)
    claims = [asyncio.run(table.claim()), asyncio.run(table.claim())]
    asyncio.run(table.cancel(CALLER.key_id, "job_1"))
    asyncio.run(table.delete(CALLER.key_id, "job_2"))
    for claim in claims:
        assert claim is not None
        assert not asyncio.run(table.renew(claim))
        assert not asyncio.run(table.succeed(claim, b"{}"))
    assert _status(table) is JobStatus.CANCELLED
    assert asyncio.run(table.find(CALLER.key_id, "job_2")) is None


def test_a_job_waits_for_its_next_attempt(table: JobTable) -> None:
    _queue(table)
    claim = asyncio.run(table.claim())
    assert claim is not None
    assert asyncio.run(table.give_back(claim, delay_s=0.2))
    assert asyncio.run(table.claim()) is None
    time.sleep(0.25)
    again = asyncio.run(table.claim())
    assert again is not None
    assert again.job.attempts == 2


def test_sounds_that_belong_to_nothing_are_removed_once_they_are_old(tmp_path: Path) -> None:
    gateway = JobGateway(tmp_path, scorers=CheapScorers(is_ready=False))
    gateway.key = gateway.keys.add("dialler")
    old, new = gateway.jobs.folder / "old.sound", gateway.jobs.folder / "new.sound"
    with running(gateway):
        gateway.submitted()
        (needed,) = gateway.jobs.folder.iterdir()
        for file in (old, new):
            file.write_bytes(b"left")
        for file in (old, needed):
            os.utime(file, (0, 0))
        asyncio.run(gateway.jobs.tidy())
    assert not old.exists()
    assert new.exists()
    assert needed.exists()


def test_a_sound_that_goes_meanwhile_keeps_no_other_from_being_removed(tmp_path: Path) -> None:
    gateway = JobGateway(tmp_path)
    gone, old = gateway.jobs.folder / "gone.sound", gateway.jobs.folder / "old.sound"
    # It is listed and cannot be looked at, as one that was removed in between.
    gone.symlink_to(tmp_path / "nowhere")
    old.write_bytes(b"left")
    os.utime(old, (0, 0))
    asyncio.run(gateway.jobs.tidy())
    gateway.database.close()
    assert not old.exists()


def _until_answering(address: str, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        assert child.poll() is None, "the gateway ended at its start"
        assert time.monotonic() < deadline, "the gateway does not start"
        try:
            httpx.get(f"{address}/healthz")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return

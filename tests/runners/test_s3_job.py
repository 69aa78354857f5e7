"""A whole job from and to a bucket: listing, reading, scoring and writing, with members that need no weights."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import boto3
import numpy as np
import pytest

from mmer_ray.pipelines.engine import Engine
from tests.bad_audio.containers import wav16
from tests.bad_audio.signals import voice
from tests.fault_proxy import FaultProxy
from tests.lake.makers import contents
from tests.lake.test_s3_lake import objects
from tests.runners.drill import score_with_members

PITCHES_HZ = {"a.wav": 90.0, "b.wav": 125.0, "c.wav": 180.0}
CALLS = {name: wav16(np.tile(voice(pitch_hz=pitch_hz), 4)) for name, pitch_hz in PITCHES_HZ.items()}
OF_PLACE = ("uri", "root", "modified", "month", "day")
"""Columns that say where a file lies and when it was put there."""


@pytest.fixture(autouse=True)
def plain_members(monkeypatch: pytest.MonkeyPatch) -> None:
    # Undone after the test; `score_with_members` sets its own.
    monkeypatch.setattr(Engine, "load", Engine.load)


@pytest.fixture
def source(bucket: str) -> str:
    for name, data in CALLS.items():
        boto3.client("s3").put_object(Bucket=bucket, Key=f"calls/{name}", Body=data)
    return f"s3://{bucket}/calls/"


def rows(lake: str) -> dict[str, list[tuple[object, ...]]]:
    return {
        name: sorted(tuple(str(value) for key, value in row.items() if key not in OF_PLACE) for row in table)
        for name, table in contents(lake).items()
    }


def test_calls_of_a_bucket_give_the_rows_of_files_and_score_once(source: str, bucket: str, tmp_path: Path) -> None:
    lake = f"s3://{bucket}/lake"
    report = score_with_members(source, lake)
    assert (report.num_scored, report.num_failed) == (3, 0)
    (tmp_path / "calls").mkdir()
    for name, data in CALLS.items():
        (tmp_path / "calls" / name).write_bytes(data)
    score_with_members(str(tmp_path / "calls"), str(tmp_path / "lake"))
    assert rows(lake) == rows(str(tmp_path / "lake"))
    assert len(rows(lake)["utterances"]) >= 3
    before = objects(lake)
    again = score_with_members(source, lake)
    assert (again.run_id, again.num_scored, again.num_skipped) == (None, 0, 3)
    assert objects(lake) == before


def test_through_faults_of_the_store_the_rows_are_the_same(
    source: str, bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_with_members(source, f"s3://{bucket}/quiet")
    proxy = FaultProxy(s3_server, seed=3, refused=0.1, stalled=0.02, reset=0.03, unanswered=0.03, truncated=0.03)
    with proxy.running() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        # In a process of its own: deltalake reads a table's history with the interpreter's lock held (1.6.6).
        child = multiprocessing.get_context("spawn").Process(
            target=score_with_members, args=(source, f"s3://{bucket}/lake")
        )
        child.start()
        child.join()
    assert child.exitcode == 0
    assert sum(proxy.faults.values()) > 10
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    assert rows(f"s3://{bucket}/lake") == rows(f"s3://{bucket}/quiet")

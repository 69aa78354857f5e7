"""Commands on a lake below s3://, with nothing but the usual environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from mmer_ray.lake.lease import leased
from tests.cli.makers import Ended

Mmer = Callable[..., Ended]
CALMEST = "SELECT uri FROM recordings ORDER BY duration_ms DESC LIMIT 1"


@pytest.fixture
def address(bucket: str, lake: Path) -> str:
    """The lake of the other tests, copied into a bucket."""
    client = boto3.client("s3")
    for path in lake.rglob("*"):
        if path.is_file():
            client.put_object(Bucket=bucket, Key=f"night/{path.relative_to(lake)}", Body=path.read_bytes())
    return f"s3://{bucket}/night"


def test_query_show_and_export_print_what_they_print_of_a_folder(mmer: Mmer, lake: Path, address: str) -> None:
    for arguments in (
        ("query", CALMEST, "--format", "csv"),
        ("show", "call.opus"),
        ("export", "call.opus", "--format", "srt"),
    ):
        ended, expected = mmer(*arguments, "--lake", address), mmer(*arguments, "--lake", lake)
        assert (ended.code, ended.out) == (0, expected.out)


@pytest.mark.slow
def test_status_shows_the_ledger_and_whether_somebody_writes(mmer: Mmer, address: str) -> None:
    assert "5 recordings: 4 scored, 1 failed" in mmer("status", "--lake", address).out
    with leased(address):
        assert json.loads(mmer("status", "--lake", address, "--json").out)["runs"][0]["status"] == "finished"


@pytest.mark.slow
def test_a_lake_that_another_job_writes_is_not_changed(mmer: Mmer, address: str) -> None:
    with leased(address) as held:
        ended = mmer("models", "activate", "mmer-1", "--lake", address)
    assert ended.code == 4
    assert f"is being written by {held.holder}" in ended.err
    assert mmer("models", "activate", "mmer-1", "--lake", address).code == 0


def test_a_missing_bucket_and_missing_credentials_end_with_4_and_the_remedy(
    mmer: Mmer, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audio").mkdir()
    ended = mmer("query", CALMEST, "--lake", "s3://nobody-has-it/lake")
    assert ended.code == 4
    assert "no such bucket: 'nobody-has-it'; make it" in ended.err
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    for command in (("query", CALMEST), ("score", str(tmp_path / "audio"), "--profile", "synthetic")):
        ended = mmer(*command, "--lake", address)
        assert ended.code == 4
        assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE" in ended.err

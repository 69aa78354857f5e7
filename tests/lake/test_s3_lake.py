"""Lakes below s3://: written, killed, read and rewritten, against a server on loopback."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import boto3
import pyarrow as pa
import pytest

from mmer_ray.errors import LakeError, PreflightError, StoreError, UsageError
from mmer_ray.failpoint import EXIT_STATUS
from mmer_ray.lake.lease import LEASE_NAME
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.rewrite import forget_earlier, replace_rows
from mmer_ray.lake.store import Lake
from tests.fault_proxy import FaultProxy
from tests.lake.drill import die_at, run_job
from tests.lake.makers import audio_file, contents, job, listing, recording_at
from tests.slow import slow_but

WORDS_OF = "SELECT count(*) AS n FROM words WHERE recording_id = $id"
KPI = "SELECT corpus, count(*) AS n, avg(valence) AS valence FROM active_emotions GROUP BY corpus"
POINTS = ("after_lease_taken", "after_run_start", "after_append_words", "before_append_commits", "before_lease_release")
"""Where the job dies, the lease of which runs out unless it died before it had it. The writer's own points, all of
them, are tried on a disk (`test_writer.py`)."""
SOONEST = "before_append_commits"
"""The one of each run of the tests; the others are slow."""


@cache
def empty_lake(server: str) -> str:
    """A bucket on this server with an empty lake: to make one takes a thousand requests, to copy one a hundred."""
    name = f"empty-{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    lake = Lake(f"s3://{name}/night/lake")
    with lake.lock():
        lake.create()
    return name


@pytest.fixture
def address(bucket: str, s3_environment: str) -> str:
    """A lake without rows."""
    source, store = empty_lake(s3_environment), boto3.client("s3")
    pages = store.get_paginator("list_objects_v2").paginate(Bucket=source)
    for key in [item["Key"] for page in pages for item in page["Contents"]]:
        if not key.endswith(LEASE_NAME):
            store.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": source, "Key": key})
    return f"s3://{bucket}/night/lake"


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    for name in "abcdef":
        audio_file(tmp_path / "audio", f"{name}.wav")
    return tmp_path / "audio"


@pytest.fixture
def nothing_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB keeps nothing of a file whose time it takes for unknown: each query asks the store."""
    monkeypatch.setattr("mmer_ray.lake.files._ANY_TIME", datetime(1970, 1, 1, tzinfo=UTC))


def objects(address: str) -> dict[str, str]:
    """Key -> etag of all objects of a lake but its lease, which every job signs."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{key}/")
    found = [item for page in pages for item in page.get("Contents", ())]
    return {item["Key"]: item["ETag"] for item in found if not item["Key"].endswith(LEASE_NAME)}


@pytest.mark.slow
def test_a_lake_in_a_bucket_shows_the_rows_of_one_in_a_folder(address: str, audio: Path, tmp_path: Path) -> None:
    job(Lake(address), listing(audio), recordings_per_commit=2)
    job(Lake(tmp_path / "lake"), listing(audio), recordings_per_commit=2)
    assert contents(address) == contents(tmp_path / "lake")
    with open_lake(address) as reader:
        assert reader.status().ledger.num_scored == 6
        assert len(reader.conversation("a.wav").utterances) > 0


@pytest.mark.slow
def test_the_same_job_again_writes_nothing(address: str, audio: Path) -> None:
    job(Lake(address), listing(audio), recordings_per_commit=3)
    before = objects(address)
    plan, _ = job(Lake(address), listing(audio))
    assert plan.is_empty
    assert objects(address) == before


@pytest.mark.slow
def test_corpora_with_odd_names_are_written_and_read(address: str, audio: Path) -> None:
    corpora = ["a b", "ü/%=x'*[1]?", "../up"]
    job(Lake(address), [recording_at(audio / "a.wav", audio, corpus) for corpus in corpora])
    assert sorted(row["corpus"] for row in contents(address)["recordings"]) == sorted(corpora)


@pytest.mark.parametrize("point", slow_but(POINTS, [SOONEST]))
def test_a_job_that_was_killed_goes_on_to_the_rows_of_one_that_was_not(
    point: str, address: str, audio: Path, tmp_path: Path
) -> None:
    spawn = multiprocessing.get_context("spawn")
    child = spawn.Process(target=die_at, args=(point, address, audio, 1.0))
    child.start()
    child.join()
    assert child.exitcode == EXIT_STATUS
    wait_for_the_lease(address)
    run_job(address, audio)
    run_job(tmp_path / "lake", audio)
    assert contents(address) == contents(tmp_path / "lake")


def wait_for_the_lease(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with Lake(address).lock():
                return
        except LakeError:
            time.sleep(0.2)
    raise AssertionError("the lease of a killed job never ended")


@pytest.mark.slow
def test_through_faults_of_the_store_a_job_gives_the_same_rows(
    address: str, audio: Path, tmp_path: Path, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = FaultProxy(
        s3_server, seed=7, refused=0.1, stalled=0.02, stall_s=0.2, reset=0.03, unanswered=0.03, truncated=0.03
    )
    with proxy.running() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        # In a process of its own: deltalake reads a table's history with the interpreter's lock held (1.6.6).
        child = multiprocessing.get_context("spawn").Process(target=run_job, args=(address, audio))
        child.start()
        child.join()
        assert child.exitcode == 0
        through_faults = contents(address)
    run_job(tmp_path / "lake", audio)
    assert through_faults == contents(tmp_path / "lake")
    assert set(proxy.faults) == {"refused", "stalled", "reset", "unanswered", "truncated"}
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    assert contents(address) == through_faults


def test_of_two_drivers_at_once_one_is_refused_and_nothing_is_lost(address: str, audio: Path) -> None:
    ready = threading.Barrier(2)
    ended: list[str] = []

    def drive(names: str) -> None:
        recordings = [one for one in listing(audio) if Path(one.uri).stem in names]
        lake = Lake(address)
        ready.wait()
        try:
            with lake.lock():
                job(lake, recordings)
                ready.wait()
            ended.append("done")
        except LakeError as error:
            ended.append(str(error))
            ready.wait()

    drivers = [threading.Thread(target=drive, args=(names,)) for names in ("abc", "def")]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert "done" in ended
    (refused,) = [one for one in ended if one != "done"]
    assert "being written by" in refused or "at this moment" in refused
    job(Lake(address), listing(audio))
    assert {Path(row["uri"]).stem for row in contents(address)["recordings"]} == set("abcdef")
    assert len(contents(address)["recordings"]) == 6


QUERIES = (
    "FROM read_parquet('s3://{bucket}/other/x.parquet')",
    "FROM read_parquet('s3://{bucket}/night/lake/words/**/*.parquet')",
    "FROM read_text('s3://{bucket}/night/lake/lake.json')",
    "FROM glob('s3://{bucket}/*')",
    "FROM read_text('/etc/hostname')",
    "COPY (SELECT 1) TO 's3://{bucket}/out.parquet'",
    "SET enable_external_access = true",
)


def test_a_query_reaches_nothing_but_the_lakes_tables(bucket: str, address: str, audio: Path) -> None:
    job(Lake(address), listing(audio)[:1])
    before = objects(address)
    with open_lake(address) as reader:
        for query in QUERIES:
            with pytest.raises(UsageError, match=r"cannot be answered|read-only"):
                reader.sql(query.format(bucket=bucket))
    assert objects(address) == before


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_cached")
def test_a_file_that_went_while_a_reader_was_open_is_a_damaged_lake(address: str, audio: Path) -> None:
    job(Lake(address), listing(audio)[:1])
    with open_lake(address) as reader:
        (file,) = Lake(address, to_read=True).files("words")
        bucket, _, key = file.path.removeprefix("s3://").partition("/")
        boto3.client("s3").delete_object(Bucket=bucket, Key=key)
        with pytest.raises(LakeError, match="damaged"):
            reader.sql("FROM words")


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_cached")
def test_a_store_that_does_not_answer_a_query_is_named_with_the_remedy(
    address: str, audio: Path, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job(Lake(address), listing(audio)[:1])
    monkeypatch.setattr("mmer_ray.lake.files.CONNECTION", {"retries": {"total_max_attempts": 1}})
    monkeypatch.setattr("mmer_ray.lake.files.NUM_ROUNDS", 1)
    proxy = FaultProxy(s3_server)
    with proxy.running() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with open_lake(address) as reader:
            proxy.refused = 1.0
            with pytest.raises(LakeError, match=r"cannot be read: .*reduce your request rate.*check AWS_ENDPOINT_URL"):
                reader.sql("FROM words")


@pytest.mark.slow
def test_a_query_asks_for_few_ranges_and_lists_nothing(
    address: str, audio: Path, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job(Lake(address), listing(audio), recordings_per_commit=6)
    proxy = FaultProxy(s3_server)
    with proxy.running() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with open_lake(address) as reader:
            proxy.requests.clear()
            reader.sql(KPI)
    assert not [path for method, path in proxy.requests if "list-type" in path]
    assert proxy.counted()["GET"] <= 12


@pytest.mark.slow
def test_rows_are_replaced_and_what_was_there_is_forgotten(address: str, audio: Path) -> None:
    lake = Lake(address)
    job(lake, listing(audio), recordings_per_commit=2)
    before = contents(address)
    with open_lake(address) as reader:
        words = reader.sql("FROM internal.words ORDER BY recording_id, utterance_idx, word_idx")
    partition = {"corpus": "calls", "month": "2026-11"}
    with lake.lock():
        replace_rows(lake, "words", pa.RecordBatchReader.from_batches(words.schema, words.to_batches()), "r", partition)
        assert len(lake.files("words")) == 1
        assert len(parquet_files(address, "words")) == 4
        assert forget_earlier(lake, "words") == 3
    assert len(parquet_files(address, "words")) == 1
    log = [key for key in objects(address) if "/words/_delta_log/" in key]
    assert len({key.rpartition("/")[2].partition(".")[0] for key in log} - {"_last_checkpoint"}) == 1
    assert contents(address) == before
    job(Lake(address), [recording_at(audio / "a.wav", audio, "again")])
    assert len(contents(address)["recordings"]) == 7


def parquet_files(address: str, name: str) -> list[str]:
    return [key for key in objects(address) if f"/lake/{name}/" in key and "/_delta_log/" not in key]


def test_a_prefix_that_holds_other_things_is_no_lake(bucket: str) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key="night/lake/holiday.jpg", Body=b"x")
    with pytest.raises(LakeError, match="not empty and not a lake"):
        Lake(f"s3://{bucket}/night/lake")
    assert not Lake(f"s3://{bucket}/night/la").exists


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_ACCESS_KEY_ID": None}, "no credentials for bucket .*set AWS_ACCESS_KEY_ID"),
        ({"AWS_PROFILE": "nobody"}, "no credentials for bucket .*nobody"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "did not answer.*AWS_ENDPOINT_URL"),
    ],
)
def test_a_store_that_cannot_be_used_is_a_preflight_error(
    variables: dict[str, str | None], said: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmer_ray.lake.files.CONNECTION", {"retries": {"total_max_attempts": 1}})
    monkeypatch.setattr("mmer_ray.lake.files.NUM_ROUNDS", 1)
    for name, value in variables.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(PreflightError, match=said):
        Lake(f"s3://{bucket}/lake")


def test_a_bucket_that_is_not_there_is_a_preflight_error(s3_environment: str) -> None:
    with pytest.raises(PreflightError, match="no such bucket: 'nobody-has-it'"):
        Lake("s3://nobody-has-it/lake")


@pytest.mark.slow
def test_a_store_that_stays_away_is_a_store_error(
    address: str, audio: Path, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = FaultProxy(s3_server)
    monkeypatch.setattr("mmer_ray.lake.store_errors.WAITS_S", (0.0,))
    with proxy.running() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        lake = Lake(address)
        lake.storage_options |= {"max_retries": "1", "retry_timeout": "1s"}
        with pytest.raises(StoreError, match="cannot be written"), lake.lock():  # noqa: PT012
            lake.newest("runs")
            proxy.refused = 1.0
            lake.append("runs", pa.table({"run_id": ["a"]}), 1, "a")


SCORE = """
import sys
from pathlib import Path
from tests.lake.drill import run_job
from tests.slow import slow_but
run_job(sys.argv[1], Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_the_environment_alone_names_the_store(address: str, audio: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCORE, address, str(audio)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert len(contents(address)["recordings"]) == 6

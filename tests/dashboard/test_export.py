"""Files of what is filtered, and who gets them."""

from __future__ import annotations

import csv
import errno
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from dashboard.access import Viewer
from dashboard.cache import CACHE_VARIABLE
from dashboard.downloads import Export, What, export_of, export_route
from dashboard.export import Format, write_rows
from dashboard.filters import Filters
from dashboard.question import Question
from dashboard.questions.recordings import Order
from dashboard.questions.search import Part
from dashboard.session import Dashboard
from dashboard.tokens import Claim, Purpose
from mmer_ray.errors import LakeError
from tests.dashboard.makers import HOSTILE, of_viewers, served

ANNA, BEN = Viewer("anna", ("support",)), Viewer("ben", ("sales",))
UTTERANCES, RECORDINGS = Export(What.UTTERANCES, Filters()), Export(What.RECORDINGS, Filters(), Order.LONGEST)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def address(dashboard: Dashboard, viewer: str, export: Export, form: Format = Format.CSV) -> str:
    return f"/export/{dashboard.tokens.sign(Claim(viewer, Purpose.EXPORT, export.subject(form)))}"


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"))))


def test_cells_that_a_spreadsheet_would_run_become_text() -> None:
    starts = ["=1+1", "+1", "-1", "@A1", "\tx", "\rx", "\n=1", "\uff1d1"]
    texts = [*starts, "plain", "a=b", 'with "quotes", and\nlines', None]
    table = pa.table({"text": texts, "number": pa.array([-1.5] * len(texts))})

    file = io.BytesIO()
    write_rows(Format.CSV, table.schema, table.to_batches(), file)
    found = rows(file.getvalue())

    shown = [*(f"'{one}" for one in starts), "plain", "a=b", 'with "quotes", and\nlines', ""]
    assert [row["text"] for row in found] == shown
    assert {row["number"] for row in found} == {"-1.5"}


def test_what_is_filtered_comes_as_csv(lake: Path) -> None:
    with served(lake, export_route) as (dashboard, client):
        answer = client.get(address(dashboard, "local", Export(What.UTTERANCES, Filters(labels=("angry",)))))

    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="utterances.csv"'
    assert answer.headers["cache-control"] == "no-store"
    assert [row["text"] for row in rows(answer.content)] == [HOSTILE, "'=refund me"]


def test_what_a_search_asks_beside_the_filters_counts_for_its_file_too(lake: Path) -> None:
    filters = Filters(corpora=("support",), roles=("customer",))
    with served(lake, export_route) as (dashboard, client):
        late = client.get(address(dashboard, "local", Export(What.UTTERANCES, filters, part=Part.LAST)))
        long = client.get(address(dashboard, "local", Export(What.UTTERANCES, filters, min_s=5.0)))

    assert [row["text"] for row in rows(late.content)] == ["goodbye"]
    assert [row["text"] for row in rows(long.content)] == ["thank you", "goodbye", HOSTILE, "'=refund me"]


def test_recordings_come_as_parquet_in_their_order(lake: Path) -> None:
    with served(lake, export_route) as (dashboard, client):
        answer = client.get(address(dashboard, "local", RECORDINGS, Format.PARQUET))

    table = pq.read_table(io.BytesIO(answer.content))
    assert [name[0] for name in table.column("recording_id").to_pylist()] == ["b", "a", "d", "c"]
    assert table.column("uri").to_pylist()[0] == "/calls/b.opus"


def test_a_viewer_gets_the_corpora_that_they_may_see_and_no_others(lake: Path, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with served(lake, export_route, of_viewers(ANNA, BEN), audit) as (dashboard, client):
        everything = client.get(address(dashboard, "ben", UTTERANCES), headers={"x-user": "ben"})
        others = Export(What.UTTERANCES, Filters(corpora=("support",)))
        of_others = client.get(address(dashboard, "ben", others), headers={"x-user": "ben"})

    assert {row["corpus"] for row in rows(everything.content)} == {"sales"}
    assert rows(of_others.content) == []
    (line,) = [json.loads(line) for line in audit.read_text().splitlines()]
    assert (line["event"], line["viewer"], line["corpus"]) == ("exported", "ben", "sales")
    assert "secret" not in audit.read_text()


@pytest.mark.parametrize("headers", [{"x-user": "ben"}, {}, {"x-user": "mallory"}])
def test_the_address_of_another_viewer_is_refused_and_logged(
    lake: Path, tmp_path: Path, headers: dict[str, str]
) -> None:
    audit = tmp_path / "audit.jsonl"
    with served(lake, export_route, of_viewers(ANNA, BEN), audit) as (dashboard, client):
        answer = client.get(address(dashboard, "anna", UTTERANCES), headers=headers)

    assert answer.status_code == 403
    assert "support" not in answer.text
    assert json.loads(audit.read_text())["event"] == "refused"


def test_an_address_holds_no_longer_once_its_viewer_is_gone(lake: Path) -> None:
    with served(lake, export_route, of_viewers(ANNA)) as (dashboard, client):
        answer = client.get(address(dashboard, "ben", UTTERANCES), headers={"x-user": "ben"})

    assert answer.status_code == 403


def test_a_made_up_address_is_refused_and_logged(lake: Path, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with served(lake, export_route, audit=audit) as (_, client):
        assert client.get("/export/made.up").status_code == 403

    assert json.loads(audit.read_text())["detail"].startswith("export:")


def test_requests_that_do_not_come_through_the_proxy_are_refused(lake: Path, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with served(lake, export_route, of_viewers(ANNA), audit) as (dashboard, client):
        outside = TestClient(client.app, base_url="http://localhost", client=("10.0.0.9", 1))
        token = address(dashboard, "anna", UTTERANCES)
        answers = [
            outside.get(token, headers={"x-user": "anna"}),
            outside.get(token, headers={"x-user": "anna", "x-forwarded-for": "10.0.0.5"}),
            client.get(token, headers=[("x-user", "anna"), ("X-User", "boss")]),
        ]

    assert [one.status_code for one in answers] == [403, 403, 403]
    assert len(audit.read_text().splitlines()) == 3


def test_more_than_fits_is_refused_with_what_to_do(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(lake, export_route) as (dashboard, client):
        monkeypatch.setattr(dashboard.reader, "limits", type(dashboard.reader.limits)(max_rows=2))
        answer = client.get(address(dashboard, "local", UTTERANCES))

    assert answer.status_code == 413
    assert "Choose fewer days" in answer.text
    # The option is that of another command.
    assert "`mmer query --max-rows`" in answer.text


@pytest.mark.parametrize("form", [*Format])
def test_no_more_than_a_batch_of_a_file_is_held_at_a_time(form: Format, tmp_path: Path) -> None:
    schema, sizes = pa.schema([("number", pa.int64())]), []

    def batches(file: io.FileIO) -> Iterator[pa.RecordBatch]:
        for first in range(0, 30_000, 10_000):
            sizes.append(file.tell())
            yield pa.record_batch([pa.array(range(first, first + 10_000))], schema=schema)

    with (tmp_path / "file").open("w+b", buffering=0) as file:
        write_rows(form, schema, batches(file), file)
        file.seek(0)
        content = file.read()

    # What came before was written before the next was asked for.
    assert sizes[0] < sizes[1] < sizes[2] < len(content)
    if form is Format.PARQUET:
        assert pq.ParquetFile(io.BytesIO(content)).num_row_groups == 3
        assert pq.read_table(io.BytesIO(content)).column("number").to_pylist() == list(range(30_000))
    else:
        assert [row["number"] for row in rows(content)] == [str(number) for number in range(30_000)]


def test_a_file_waits_for_its_turn_and_too_many_are_told_to_come_back(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.session.MAX_EXPORTS", 1)
    written, goes_on = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        written.set()
        assert goes_on.wait(60)

    with served(lake, export_route) as (dashboard, client), ThreadPoolExecutor(2) as pool:
        first = pool.submit(dashboard.export, Question.of("SELECT 1"), slow)
        assert written.wait(60)
        refused = client.get(address(dashboard, "local", UTTERANCES))
        # A large question has to wait too.
        large = pool.submit(dashboard.ask, replace(Question.of("SELECT 2 AS number"), is_large=True))
        assert not wait([large], timeout=0.3).done
        goes_on.set()
        first.result(60)
        assert large.result(60).to_pylist() == [{"number": 2}]
        assert client.get(address(dashboard, "local", UTTERANCES)).status_code == 200

    assert refused.status_code == 503
    assert "try again in a minute" in refused.text


def test_a_file_for_which_there_is_no_room_is_told_of(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dashboard.downloads.write_rows", full)
    with served(lake, export_route) as (dashboard, client):
        answer = client.get(address(dashboard, "local", UTTERANCES))

    assert answer.status_code == 503
    assert "no room" in answer.text


def test_a_lake_that_cannot_be_read_is_not_taken_for_too_much(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object) -> None:
        raise LakeError("a file is damaged")

    with served(lake, export_route) as (dashboard, client):
        monkeypatch.setattr(dashboard.reader, "table", damaged)
        answer = client.get(address(dashboard, "local", UTTERANCES))

    assert answer.status_code == 503
    assert "Choose fewer days" not in answer.text


def test_an_export_comes_back_from_its_token_as_it_was() -> None:
    export = Export(What.RECORDINGS, Filters(corpora=("a&b",), text='it\'s "x" = 1', labels=("angry",)), Order.WORST)
    searched = Export(What.UTTERANCES, Filters(), part=Part.SECOND, min_s=2.0)

    assert export_of(searched.subject(Format.CSV)) == (searched, Format.CSV)
    assert export_of(export.subject(Format.PARQUET)) == (export, Format.PARQUET)


def test_the_log_of_what_was_opened_is_for_its_owner_alone(lake: Path, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with served(lake, export_route, audit=audit):
        assert audit.stat().st_mode & 0o777 == 0o600
    # Also one that was there before.
    audit.chmod(0o644)
    with served(lake, export_route, audit=audit):
        assert audit.stat().st_mode & 0o777 == 0o600

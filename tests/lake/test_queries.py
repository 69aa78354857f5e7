"""The only way to read a lake: what it shows, how recordings are named, what it refuses."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mmer_ray.errors import ErrorCode, LakeError, SourceError, UsageError
from mmer_ray.lake.activation import activate
from mmer_ray.lake.queries import LakeReader, open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.tables import DERIVED_TABLES, SCHEMAS
from tests.lake.makers import (
    EVERY_TABLE,
    KEYS,
    a_run,
    audio_file,
    audio_id,
    job,
    listing,
    newer,
    plan_of,
    recording_at,
    scored,
    taken,
    work,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`audio/` with five files and `lake/` with their answers."""
    folder = tmp_path_factory.mktemp("lake")
    for name in ("monday/a.wav", "tuesday/a.wav", "b.wav", "broken.wav", "O'Hara; DROP.wav"):
        audio_file(folder / "audio", name)
    job(Lake(folder / "lake"), listing(folder / "audio"), failing={"broken.wav": ErrorCode.EMPTY_FILE})
    return folder


@pytest.fixture
def reader(folder: Path) -> Iterator[LakeReader]:
    with open_lake(folder / "lake") as reader:
        yield reader


@pytest.mark.parametrize("ask", ["conversation", "rows", "status", "table"])
def test_a_store_that_fails_is_an_error_of_the_lake_whatever_is_asked(
    reader: LakeReader, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    def away(*_: object) -> None:
        raise duckdb.Error("Traceback:\n  in cat_file\nOSError: please reduce your request rate")

    for part in ("queries.rows_of", "status.rows_of", "queries.limited"):
        monkeypatch.setattr(f"mmer_ray.lake.{part}", away)
    arguments = {"conversation": ("b.wav",), "status": ()}.get(ask, ("FROM recordings", {}))
    with pytest.raises(LakeError, match="cannot be read: OSError: please reduce your request rate"):
        getattr(reader, ask)(*arguments)


def test_a_lake_that_is_not_there_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="mmer score SOURCE --lake"), open_lake(tmp_path):
        pass


def test_empty_tables_are_typed_like_full_ones(folder: Path, reader: LakeReader, tmp_path: Path) -> None:
    Lake(tmp_path / "empty").create()
    with open_lake(tmp_path / "empty") as empty:
        for name in SCHEMAS:
            described = "SELECT column_name, column_type FROM (DESCRIBE " + name + ")"
            assert empty.sql(described).to_pylist() == reader.sql(described).to_pylist(), name
            assert empty.sql(f"SELECT count(*) AS n FROM {name}").to_pylist() == [{"n": 0}]
        status = empty.status()
        assert (status.runs, status.failures, status.active_scorer) == ([], [], None)


def test_views_have_the_columns_of_the_tables(reader: LakeReader) -> None:
    for name in (*SCHEMAS, "active_emotions"):
        table = SCHEMAS["emotions" if name == "active_emotions" else name]
        columns, names = reader.sql(f"FROM {name} LIMIT 0").column_names, [*table.names]
        if name in DERIVED_TABLES:
            # Which build a row is of is between compaction and readers.
            names.remove("build_id")
        assert columns[: len(names)] == names, name
        more = {"recordings": ["duration_ms", "channels", "sample_rate_hz", "codec", "container", "speech_ms"]}
        assert set(columns[len(names) :]) >= set(more.get(name, []))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM recordings",
        "WITH long AS (FROM utterances WHERE end_ms > 1000) SELECT count(*) FROM long",
        "DESCRIBE recordings",
        "SHOW TABLES",
        "SUMMARIZE utterances",
        "EXPLAIN SELECT * FROM words",
        "explain analyze select * from words",
        "EXPLAIN (FORMAT json) SELECT 1",
        "SELECT day, month FROM recordings WHERE day >= '2026-11-01';",
    ],
)
def test_reading_statements_are_answered(query: str, reader: LakeReader) -> None:
    assert reader.sql(query).num_rows > 0


@pytest.mark.parametrize(
    "query",
    [
        "COPY recordings TO '{lake}/out.csv'",
        "COPY (SELECT 1) TO '{file}'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
        "EXPLAIN /* */ ANALYZE COPY (SELECT 1) TO '{file}'",
        "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{file}'",
        "EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO '{file}'",
        "EXPLAIN EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
        "EXPLAIN ANALYZE DELETE FROM commits",
        "-- EXPLAIN\nEXPLAIN ANALYZE DELETE FROM commits",
        "SELECT 1; DELETE FROM commits",
        "DELETE FROM commits",
        "INSERT INTO internal.heard VALUES ('x', 'y', 'z', 1)",
        "WITH one AS (SELECT 1) DELETE FROM commits",
        "CREATE TABLE mine AS SELECT 1",
        "CREATE OR REPLACE VIEW recordings AS SELECT 1",
        "DROP VIEW recordings",
        "ATTACH '{lake}/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET allowed_paths",
        "PRAGMA enable_profiling",
        "CALL pragma_version()",
        "PREPARE steal AS SELECT 1",
        "EXPORT DATABASE '{lake}/out'",
        "BEGIN",
        "",
        "-- nothing",
        "SELECT * FROM read_text('{outside}')",
        "SELECT * FROM read_csv('{outside}')",
        "FROM '{outside}'",
        "SELECT * FROM read_text('{lake}/lake.json')",
        "SELECT * FROM read_parquet('{lake}/recordings/**/*.parquet')",
        "SELECT * FROM glob('{lake}/../*')",
        "SELECT * FROM read_csv('https://127.0.0.1:9/x.csv')",
        "SELECT * FROM sniff_csv('{outside}')",
        "SELECT * FROM query('DELETE FROM commits')",
        "SELECT * FROM no_such_table",
        "SELEC 1",
        "SELECT * FROM folder",
    ],
)
def test_writing_and_reading_elsewhere_are_refused(query: str, folder: Path, reader: LakeReader) -> None:
    outside = folder / "outside.txt"
    outside.write_text("canary")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    text = query.replace("{lake}", str(folder / "lake")).replace("{outside}", str(outside))
    text = text.replace("{file}", Lake(folder / "lake", to_read=True).files("recordings")[0].path)
    with pytest.raises(UsageError) as refusal:
        reader.sql(text)
    assert "canary" not in str(refusal.value)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert reader.sql("FROM commits").num_rows > 0


@pytest.mark.parametrize("name", ["' OR 1=1 --", "'; DROP VIEW recordings; --", "%", "_", "*", "", ".", "/", "\0"])
def test_a_name_is_never_sql_and_never_a_pattern(name: str, reader: LakeReader) -> None:
    with pytest.raises(SourceError, match="no recording"):
        reader.find_recording(name)
    with pytest.raises(SourceError, match="no recording"):
        reader.conversation(name)


def test_a_query_takes_bound_parameters(reader: LakeReader) -> None:
    hostile = "x' OR 'x' = 'x"
    assert reader.sql("FROM recordings WHERE corpus = $corpus", {"corpus": hostile}).num_rows == 0
    assert reader.sql("FROM recordings WHERE corpus = $corpus", {"corpus": "calls"}).num_rows == 5


def test_times_are_utc_wherever_the_machine_stands(folder: Path) -> None:
    program = """
import sys
from mmer_ray.lake.queries import open_lake
with open_lake(sys.argv[1]) as lake:
    print(lake.sql("SELECT max(committed_at) AS at, max(committed_at)::VARCHAR AS text FROM commits").to_pylist())
"""
    command = [sys.executable, "-c", program, str(folder / "lake")]
    printed = subprocess.run(
        command, env=os.environ | {"TZ": "Asia/Tokyo"}, capture_output=True, text=True, check=True, timeout=120
    ).stdout

    assert "+00'" in printed
    assert "Tokyo" not in printed


def test_a_recording_is_found_by_all_its_names(folder: Path, reader: LakeReader) -> None:
    path = folder / "audio" / "b.wav"
    recording_id = audio_id(path.read_bytes())
    for name in (recording_id, recording_id[:6], str(path), "b.wav", "./b.wav", "audio/b.wav", "b"):
        assert reader.find_recording(name)["uri"] == str(path), name
    assert reader.find_recording("O'Hara; DROP.wav")["status"] == "scored"
    assert reader.find_recording("broken.wav")["error_code"] == "empty_file"
    assert reader.find_recording("monday/a.wav")["metadata"] == {"queue": "refunds"}


def test_an_ambiguous_name_lists_its_candidates(folder: Path, reader: LakeReader) -> None:
    with pytest.raises(SourceError) as refusal:
        reader.find_recording("a.wav")
    for name in ("monday/a.wav", "tuesday/a.wav"):
        path = folder / "audio" / name
        assert f"{audio_id(path.read_bytes())}  {path}" in str(refusal.value)


def test_a_name_that_two_copies_share_is_not_ambiguous(tmp_path: Path) -> None:
    first = audio_file(tmp_path / "audio", "1/a.wav")
    audio_file(tmp_path / "audio", "2/a.wav", first.read_bytes())
    job(Lake(tmp_path / "lake"), listing(tmp_path / "audio"))
    with open_lake(tmp_path / "lake") as reader:
        assert reader.find_recording("a.wav")["uri"] == str(first)


def test_a_conversation_comes_back_as_it_was_scored(folder: Path, reader: LakeReader) -> None:
    for name in ("b.wav", "monday/a.wav", "tuesday/a.wav"):
        answer = scored(recording_at(folder / "audio" / name, folder / "audio"))
        found = reader.conversation(audio_id((folder / "audio" / name).read_bytes()))
        assert found.recording["uri"] == answer.recording.uri
        assert [round(one.start_s, 3) for one in answer.utterances] == [one.start_s for one in found.utterances]
        for expected, read in zip(answer.utterances, found.utterances, strict=True):
            assert read.text == expected.text
            assert [word.word for word in read.words] == [word.word for word in expected.words]
            assert read.words[1].start_s is None
            (felt,), (heard,) = expected.emotions, read.emotions
            assert heard.probabilities == {label: round(p, 3) for label, p in felt.probabilities.items()}
            assert (heard.label, heard.dominance) == ("neutral", None)
        assert found.measures is not None
        assert found.measures.valence_by_quarter == (0.25, None, None, None)


def test_a_failed_recording_is_a_conversation_without_words(reader: LakeReader) -> None:
    found = reader.conversation(reader.find_recording("broken.wav")["recording_id"])
    assert found.recording["status"] == "failed"
    assert (found.utterances, found.measures, found.scorer) == ((), None, None)


def test_a_corpus_follows_its_first_scorer_until_another_one_is_activated(folder: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(folder / "lake", tmp_path / "lake"))
    plan, _ = work(lake, plan_of(listing(folder / "audio"), lake, newer("emotion")).limited(1))
    (one,) = plan.todo.column("recording_id").to_pylist()
    everything = {audio_id(path.read_bytes()) for path in (folder / "audio").rglob("*.wav")}
    with open_lake(lake.address) as reader:
        assert reader.status().active_scorer == "mmer-1"
        assert {row["scorer"] for row in reader.sql("FROM emotions").to_pylist()} == {"mmer-1", "mmer-2"}
        assert reader.conversation(one).scorer == "mmer-1"
    assert activate(lake, "mmer-2") == ["calls"]
    with open_lake(lake.address) as reader:
        assert reader.status().active_scorer == "mmer-2"
        assert {row["recording_id"] for row in reader.sql("FROM active_emotions").to_pylist()} == {one}
        assert {row["scorer"] for row in reader.sql("FROM emotions").to_pylist()} == {"mmer-1", "mmer-2"}
        assert reader.conversation(one).scorer == "mmer-2"
        others = {str(row["recording_id"]) for row in reader.sql("FROM emotions").to_pylist()} - {one}
        assert others < everything
        assert {reader.conversation(other).scorer for other in others} == {"mmer-1"}, "shown by whom there is"
    work(lake, plan_of(listing(folder / "audio"), lake, newer("link")))
    with open_lake(lake.address) as reader:
        assert reader.status().active_scorer == "mmer-2", "no job moves it"


@pytest.mark.parametrize(("scorer", "corpus"), [("mmer-9", None), ("mmer-9", "calls"), ("mmer-1", "podcasts")])
def test_a_scorer_without_answers_cannot_be_activated(
    scorer: str, corpus: str | None, folder: Path, tmp_path: Path
) -> None:
    lake = Lake(shutil.copytree(folder / "lake", tmp_path / "lake"))
    with pytest.raises(UsageError, match=r"these have: mmer-1|it has: calls"):
        activate(lake, scorer, corpus)
    with open_lake(lake.address) as reader:
        assert reader.sql("FROM active_scorers").num_rows == 1


def tear(lake: Lake, monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """A commit that ends before its row in `commits`; returns the recording_id of its rows."""
    path = audio_file(folder, "torn.wav")
    append = Lake.append

    def cut_off(self: Lake, name: str, *rest: Any) -> bool:
        if name == "commits":
            raise KeyboardInterrupt
        return append(self, name, *rest)

    recording = recording_at(path, folder)
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "append", cut_off)
        with pytest.raises(KeyboardInterrupt), Writer(lake, a_run(), plan_of([recording], lake)) as writer:  # noqa: PT012
            writer.add(taken(scored(recording)))
            writer.commit()
    return audio_id(path.read_bytes())


def test_no_name_that_can_be_typed_shows_a_torn_row(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(shutil.copytree(folder / "lake", tmp_path / "lake"))
    torn = tear(lake, monkeypatch, tmp_path / "torn")
    files = [file.path for name in EVERY_TABLE for file in lake.files(name)]
    with open_lake(lake.address) as reader:
        listed = reader.sql("SHOW ALL TABLES").to_pylist()
        names = {f"{row['database']}.{row['schema']}.{row['name']}" for row in listed}
        found = reader.sql("SELECT table_catalog, table_schema, table_name FROM information_schema.tables").to_pylist()
        names |= {".".join(row.values()) for row in found}
        assert len(names) > len(SCHEMAS)
        shown = [name for name in names if torn in str(reader.sql(f"FROM {name}").to_pylist())]
        assert shown == []
        refused = 0
        for path in files:
            try:
                assert torn not in str(reader.sql(f"FROM read_parquet('{path}')").to_pylist())
            except LakeError:
                refused += 1
            except UsageError:
                refused += 1
        assert refused == len(EVERY_TABLE), "the files of the torn commit cannot be named either"


def test_a_reader_keeps_its_moment(folder: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(folder / "lake", tmp_path / "lake"))
    later = audio_file(tmp_path / "audio", "later.wav")
    with open_lake(lake.address) as reader:
        before = reader.sql("FROM recordings").num_rows
        job(lake, [recording_at(later, later.parent)])
        assert reader.sql("FROM recordings").num_rows == before
    with open_lake(lake.address) as reader:
        assert reader.sql("FROM recordings").num_rows == before + 1


def _cut_log(lake: Path) -> None:
    newest = max((lake / "utterances" / "_delta_log").glob("*.json"))
    newest.write_text(newest.read_text()[:100])


def _empty_log(lake: Path) -> None:
    max((lake / "utterances" / "_delta_log").glob("*.json")).write_text("")


def _lose_file(lake: Path) -> None:
    next((lake / "words").rglob("*.parquet")).unlink()


def _spoil_file(lake: Path) -> None:
    next((lake / "recordings").rglob("*.parquet")).write_bytes(b"no parquet")


@pytest.mark.parametrize(
    "spoil",
    [
        _cut_log,
        _empty_log,
        _lose_file,
        _spoil_file,
        *(functools.partial(lambda name, lake: shutil.rmtree(lake / name), name) for name in SCHEMAS),
        lambda lake: shutil.rmtree(lake / "calls" / "_delta_log"),
    ],
)
def test_a_damaged_lake_is_called_damaged_and_never_read_as_an_empty_one(
    spoil: Callable[[Path], object], folder: Path, tmp_path: Path
) -> None:
    address = Path(shutil.copytree(folder / "lake", tmp_path / "lake"))
    spoil(address)
    with pytest.raises(LakeError, match="is damaged"), open_lake(address):
        pass
    with pytest.raises(LakeError, match="is damaged"):
        plan_of(listing(folder / "audio"), Lake(address))


def test_the_newest_answer_counts_where_audio_was_scored_twice(tmp_path: Path) -> None:
    """Scored again by another version, then again by the first one: two results, and the row says which."""
    path = audio_file(tmp_path / "audio", "a.wav")
    lake = Lake(tmp_path / "lake")
    for keys in (KEYS, newer("transcribe"), newer("transcribe", version="3")):
        job(lake, [recording_at(path, path.parent)], keys)
        with open_lake(lake.address) as reader:
            keys_seen = {row["heard_key"] for row in reader.sql("FROM utterances").to_pylist()}
            assert keys_seen == {keys.heard}
            found = reader.conversation("a.wav").utterances
            expected = scored(recording_at(path, path.parent), keys=keys).utterances
            assert [one.start_s for one in found] == pytest.approx([one.start_s for one in expected])


def test_a_file_beside_the_log_is_not_part_of_a_table(folder: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(folder / "lake", tmp_path / "lake"), to_read=True)
    file = Path(lake.files("recordings")[0].path)
    (file.parent / "half.parquet").write_bytes(file.read_bytes()[:100])
    shutil.copy(file, file.parent / "doubled.parquet")
    with open_lake(lake.address) as reader:
        assert reader.sql("FROM recordings").num_rows == 5


def test_opening_draws_no_progress_bar_among_the_results(folder: Path) -> None:
    # DuckDB draws one unless a script is the main module, as in a notebook or with `python -c`.
    program = """
import sys
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import connect
with connect(Lake(sys.argv[1])) as connection:
    print(connection.execute("SELECT current_setting('enable_progress_bar')").fetchall())
"""
    asked = [sys.executable, "-c", program, str(folder / "lake")]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    assert done.stdout == "[(False,)]\n"


def test_threads_may_share_a_reader(reader: LakeReader) -> None:
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(reader.sql("FROM recordings").num_rows)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [5] * 4

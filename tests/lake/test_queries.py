"""The only way to read a lake: what it shows, how recordings are named, what it refuses."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmer_ray.errors import ErrorCode, LakeError, SourceError, UsageError
from mmer_ray.lake.plan import plan
from mmer_ray.lake.queries import LakeReader, open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.tables import SCHEMAS
from tests.lake.makers import FINGERPRINTS, a_run, audio_file, digest, job, listing, recording_at, scored


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
        assert reader.sql(f"FROM {name} LIMIT 0").column_names == table.names


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
        "INSERT INTO _results VALUES ('x', 'y', 1)",
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
    text = text.replace("{file}", Lake(folder / "lake", to_read=True).files("recordings")[0])
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


def test_a_recording_is_found_by_all_its_names(folder: Path, reader: LakeReader) -> None:
    path = folder / "audio" / "b.wav"
    recording_id = digest(path.read_bytes())
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
        assert f"{digest(path.read_bytes())}  {path}" in str(refusal.value)


def test_a_name_that_two_copies_share_is_not_ambiguous(tmp_path: Path) -> None:
    first = audio_file(tmp_path / "audio", "1/a.wav")
    audio_file(tmp_path / "audio", "2/a.wav", first.read_bytes())
    job(Lake(tmp_path / "lake"), listing(tmp_path / "audio"))
    with open_lake(tmp_path / "lake") as reader:
        assert reader.find_recording("a.wav")["uri"] == str(first)


def test_a_conversation_comes_back_as_it_was_scored(folder: Path, reader: LakeReader) -> None:
    for name in ("b.wav", "monday/a.wav", "tuesday/a.wav"):
        answer = scored(recording_at(folder / "audio" / name, folder / "audio"))
        found = reader.conversation(digest((folder / "audio" / name).read_bytes()))
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


def test_the_status_counts_runs_seconds_and_failures(reader: LakeReader) -> None:
    status = reader.status()
    assert [run["status"] for run in status.runs] == ["finished"]
    assert status.ledger.num_planned == 5
    assert status.ledger.difference_s == 0.0
    (failure,) = status.failures
    assert (failure.error_code, failure.error_stage, failure.num_recordings) == ("empty_file", "decode", 1)
    assert failure.example_uri.endswith("broken.wav")
    assert status.num_utterances == reader.sql("FROM utterances").num_rows > 0


def test_the_scorer_that_answered_last_is_the_active_one(folder: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(folder / "lake", tmp_path / "lake"))
    audio = listing(folder / "audio")
    retrained = {**FINGERPRINTS, "emotion": "2"}
    made = plan(audio, lake, retrained).limited(1)
    with Writer(lake, a_run(retrained), made) as writer:
        writer.add(scored(made.todo[0], scorer="mmer@2"))
    one = digest(Path(made.todo[0].uri).read_bytes())
    with open_lake(lake.address) as reader:
        assert reader.active_scorer() == "mmer@2"
        assert {row["recording_id"] for row in reader.sql("FROM active_emotions").to_pylist()} == {one}
        assert {row["scorer"] for row in reader.sql("FROM emotions").to_pylist()} == {"mmer@2", "mmer@emotion-1"}
        assert reader.conversation(one).scorer == "mmer@2"
        others = {str(row["recording_id"]) for row in reader.sql("FROM emotions").to_pylist()} - {one}
        assert {reader.conversation(other).scorer for other in others} == {"mmer@emotion-1"}


def test_a_reader_keeps_its_moment_and_sees_no_torn_row(folder: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(folder / "lake", tmp_path / "lake"))
    later = audio_file(tmp_path / "audio", "later.wav")
    with open_lake(lake.address) as reader:
        before = reader.sql("FROM recordings").num_rows
        job(lake, [recording_at(later, later.parent)])
        assert reader.sql("FROM recordings").num_rows == before
    with open_lake(lake.address) as reader:
        assert reader.sql("FROM recordings").num_rows == before + 1
    shutil.rmtree(Path(lake.address, "commits"))
    with open_lake(lake.address) as reader:
        assert all(reader.sql(f"FROM {name}").num_rows == 0 for name in ("recordings", "utterances", "words", "calls"))


def test_a_file_beside_the_log_is_not_part_of_a_table(folder: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(folder / "lake", tmp_path / "lake"), to_read=True)
    file = Path(lake.files("recordings")[0])
    (file.parent / "half.parquet").write_bytes(file.read_bytes()[:100])
    shutil.copy(file, file.parent / "doubled.parquet")
    with open_lake(lake.address) as reader:
        assert reader.sql("FROM recordings").num_rows == 5


def test_threads_may_share_a_reader(reader: LakeReader) -> None:
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(reader.sql("FROM recordings").num_rows)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [5] * 4

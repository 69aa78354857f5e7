"""Lakes as folders: made once, locked by one writer, tied to a key."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pytest

from mmer_ray.errors import LakeError, StoreError
from mmer_ray.lake.card import KEY_VARIABLE
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.table_log import VERSION_PROPERTY
from mmer_ray.lake.writer import Writer
from mmer_ray.tables import SCHEMA_VERSION, SCHEMAS
from tests.lake.makers import a_run, audio_file, contents, job, listing, plan_of, recording_at, scored, taken

HOLDER = """
import sys, time
from mmer_ray.lake.store import Lake
from mmer_ray.lake.table_log import VERSION_PROPERTY
with Lake(sys.argv[1]).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_an_absent_lake_reads_as_empty_and_nothing_is_made_by_looking(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    assert not lake.exists
    assert lake.files("recordings") == []
    assert lake.next_sequence() == 1
    assert not (tmp_path / "lake").exists()


def test_a_lake_says_how_it_was_made_and_never_shows_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "a very private key")
    Lake(tmp_path / "lake").create()
    text = (tmp_path / "lake" / "lake.json").read_text()
    assert json.loads(text)["schema_version"] == SCHEMA_VERSION
    assert "private" not in text
    assert Lake(tmp_path / "lake").exists


def test_a_lake_of_another_key_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Lake(tmp_path / "public").create()
    monkeypatch.setenv(KEY_VARIABLE, "private")
    Lake(tmp_path / "private").create()
    with pytest.raises(LakeError, match="public key, so unset MMER_LAKE_KEY"):
        Lake(tmp_path / "public")
    monkeypatch.setenv(KEY_VARIABLE, "mistyped")
    with pytest.raises(LakeError, match="set MMER_LAKE_KEY to the key it was made with"):
        Lake(tmp_path / "private")
    with open_lake(tmp_path / "private") as reader:
        assert reader.sql("FROM recordings").num_rows == 0


def test_a_key_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k" * 65)
    with pytest.raises(LakeError, match="65 bytes, at most 64"):
        Lake(tmp_path / "lake")


def test_a_folder_that_holds_other_things_is_no_lake(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(LakeError, match="not empty and not a lake; name an empty or a new folder"):
        Lake(tmp_path)
    with pytest.raises(LakeError, match="name the folder that `mmer score --lake` made"):
        Lake(tmp_path, to_read=True)
    with pytest.raises(LakeError, match="not empty and not a lake"):
        Lake(tmp_path / "holiday.jpg")


@pytest.mark.parametrize("card", ["", "{", "[]", "{}", '{"schema_version": "2"}', '{"schema_version": 99}'])
def test_a_damaged_or_newer_lake_is_refused(card: str, tmp_path: Path) -> None:
    (tmp_path / "lake.json").write_text(card)
    with pytest.raises(LakeError, match=r"lake\.json cannot be read|schema version"):
        Lake(tmp_path)


def test_paths_that_the_libraries_misread_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"cannot contain '\['"):
        Lake(tmp_path / "calls[1]")
    with pytest.raises(LakeError, match=r"called corpus=\.\.\. or month="):
        Lake(tmp_path / "month=2026-01" / "lake")


def test_a_lake_works_under_an_odd_name_and_with_odd_corpora(tmp_path: Path) -> None:
    folder = tmp_path / "night=1" / "Jo's lake #1 {ü} & co"
    corpora = ["a b", "2026", "ü/%=x'*[1]", "../up", "é" * 40]
    path = audio_file(tmp_path / "audio", "a.wav")
    for corpus in corpora:
        job(Lake(folder), [recording_at(path, path.parent, corpus)])
    rows = contents(folder)["recordings"]
    assert sorted(row["corpus"] for row in rows) == sorted(corpora)
    assert {row["month"] for row in rows} == {"2026-11"}
    assert {path.name for path in tmp_path.iterdir()} == {"audio", "night=1"}


def test_a_second_writer_is_turned_away_until_the_first_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lake")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LakeError, match=f"process {holder.pid}; wait for it"), Lake(tmp_path / "lake").lock():
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with Lake(tmp_path / "lake").lock():
        pass


def test_a_child_that_outlives_the_writer_does_not_keep_the_lock(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    with Lake(tmp_path / "lake").lock():
        child = fork.Process(target=_wait_for_a_word, args=(theirs,))
        child.start()
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lake")]
    answer = subprocess.run(command, input="", capture_output=True, text=True, check=False)
    ours.send("go")
    child.join()
    assert answer.stdout == "held\n"


def test_one_process_is_one_writer_too(tmp_path: Path) -> None:
    lake, other = Lake(tmp_path / "lake"), Lake(tmp_path / "lake")
    with lake.lock(), lake.lock(), pytest.raises(LakeError, match="this very process"), other.lock():
        pass
    with Lake(tmp_path / "lake").lock():
        pass


def one_run_row() -> pa.Table:
    return pa.Table.from_pylist([{"run_id": "a", "status": "started"}], schema=SCHEMAS["runs"])


def test_an_append_that_comes_twice_is_not_doubled(tmp_path: Path) -> None:
    Lake(tmp_path / "lake").create()
    assert Lake(tmp_path / "lake").append("runs", one_run_row(), 7, "a")
    assert not Lake(tmp_path / "lake").append("runs", one_run_row(), 7, "a")
    assert len(Lake(tmp_path / "lake").files("runs")) == 1
    assert Lake(tmp_path / "lake").next_sequence() == 8
    assert Lake(tmp_path / "lake").append("runs", one_run_row(), 8, "a")


def test_a_number_that_another_job_took_is_an_error_and_no_lost_batch(tmp_path: Path) -> None:
    """Two jobs without a lock, as on S3, begin at the same number."""
    Lake(tmp_path / "lake").create()
    first, second = Lake(tmp_path / "lake"), Lake(tmp_path / "lake")
    sequence = second.next_sequence()
    assert first.append("runs", one_run_row(), sequence, "a")
    with pytest.raises(LakeError, match="another job writes the lake"):
        second.append("runs", one_run_row(), sequence, "b")
    assert first.append("runs", one_run_row(), sequence + 1, "a")
    with pytest.raises(LakeError, match="another job writes the lake"):
        second.append("runs", one_run_row(), sequence, "b")


def test_of_two_jobs_without_a_lock_one_fails_and_what_it_committed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        audio_file(tmp_path / f"audio-{name in 'cd'}", f"{name}.wav")
    monkeypatch.setattr(Lake, "lock", lambda self: contextlib.nullcontext())
    folders = (tmp_path / "audio-False", tmp_path / "audio-True")
    lakes = [Lake(tmp_path / "lake"), Lake(tmp_path / "lake")]
    first, second = (
        Writer(lake, a_run(), plan_of(listing(folder), lake)) for lake, folder in zip(lakes, folders, strict=True)
    )
    with pytest.raises(LakeError, match="another job writes the lake"), first, second:  # noqa: PT012
        for one, two in zip(*map(listing, folders), strict=True):
            first.add(taken(scored(one)))
            first.commit()
            second.add(taken(scored(two)))
            second.commit()
    seen = {Path(row["uri"]).name for row in contents(tmp_path / "lake")["recordings"]}
    assert {"a.wav", "c.wav"} <= seen
    for folder in folders:
        job(Lake(tmp_path / "lake"), listing(folder))
    assert len(contents(tmp_path / "lake")["recordings"]) == 4


def test_every_table_says_which_version_wrote_it_and_a_newer_one_is_refused_by_name(tmp_path: Path) -> None:
    from deltalake import DeltaTable

    Lake(tmp_path / "lake").create()
    for name in SCHEMAS:
        configuration = DeltaTable(tmp_path / "lake" / name).metadata().configuration
        assert configuration[VERSION_PROPERTY] == str(SCHEMA_VERSION)
    table = DeltaTable(tmp_path / "lake" / "words")
    table.alter.set_table_properties({VERSION_PROPERTY: str(SCHEMA_VERSION + 1)}, raise_if_not_exists=False)
    newer = f"words has schema version {SCHEMA_VERSION + 1}, this mmer_ray reads up to {SCHEMA_VERSION}"
    with pytest.raises(LakeError, match=newer):
        Lake(tmp_path / "lake").files("words")


def test_a_version_that_is_no_number_is_damage(tmp_path: Path) -> None:
    from deltalake import DeltaTable

    Lake(tmp_path / "lake").create()
    table = DeltaTable(tmp_path / "lake" / "words")
    table.alter.set_table_properties({VERSION_PROPERTY: "\x13"}, raise_if_not_exists=False)
    with pytest.raises(LakeError, match=r"words.* is damaged: mmer_ray.schemaVersion is '\\x13'"):
        Lake(tmp_path / "lake").files("words")


def test_a_column_that_a_table_does_not_have_yet_is_added_and_reads_as_null(tmp_path: Path) -> None:
    import shutil

    from deltalake import DeltaTable

    Lake(tmp_path / "lake").create()
    older = pa.schema([field for field in SCHEMAS["runs"] if field.name != "num_planned"])
    shutil.rmtree(tmp_path / "lake" / "runs")
    DeltaTable.create(tmp_path / "lake" / "runs", older)
    Lake(tmp_path / "lake").append("runs", one_run_row().drop_columns(["num_planned"]), 1, "a")
    with open_lake(tmp_path / "lake") as reader:
        assert reader.sql("SELECT num_planned FROM runs").to_pylist() == [{"num_planned": None}]
    planned = pa.Table.from_pylist([{"run_id": "b", "num_planned": 5}], schema=SCHEMAS["runs"])
    Lake(tmp_path / "lake").append("runs", planned, 2, "b")
    with open_lake(tmp_path / "lake") as reader:
        rows = reader.sql("SELECT run_id, num_planned FROM runs ORDER BY run_id").to_pylist()
    assert rows == [{"run_id": "a", "num_planned": None}, {"run_id": "b", "num_planned": 5}]


def test_a_store_that_fails_is_an_error_that_may_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import deltalake

    Lake(tmp_path / "lake").create()

    def fail(*_: object, **__: object) -> None:
        raise OSError("Connection reset by peer")

    with monkeypatch.context() as patch:
        patch.setattr(deltalake, "write_deltalake", fail)
        with pytest.raises(StoreError, match="Connection reset"):
            Lake(tmp_path / "lake").append("runs", one_run_row(), 1, "a")
    assert Lake(tmp_path / "lake").append("runs", one_run_row(), 1, "a")


def test_rows_lie_in_their_files_in_the_lakes_order(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    for number in range(12):
        audio_file(tmp_path / "audio", f"{number}.wav")
    job(Lake(tmp_path / "lake"), listing(tmp_path / "audio"), recordings_per_commit=12)
    (file,) = Lake(tmp_path / "lake").files("utterances")
    parquet = pq.ParquetFile(file.path)
    rows = parquet.read(["recording_id", "start_ms"]).to_pylist()
    assert len(rows) > 12
    assert rows == sorted(rows, key=lambda row: (row["recording_id"], row["start_ms"]))
    assert parquet.metadata.row_group(0).column(0).compression == "ZSTD"


def _wait_for_a_word(pipe: Connection) -> None:
    pipe.recv()

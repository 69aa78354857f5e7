"""A reader that follows a lake by commit sees what a new one sees, and a query is never told half of a change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mmer_ray.lake.queries as queries_module
from mmer_ray.errors import ErrorCode, LakeError
from mmer_ray.lake.activation import activate
from mmer_ray.lake.erasure import erase_recordings, find_recordings
from mmer_ray.lake.heard_speakers import Merge, Rename, Undo
from mmer_ray.lake.queries import LakeReader, open_lake
from mmer_ray.lake.recluster import Recluster, recluster
from mmer_ray.lake.rewrite import forget_earlier, replace_rows
from mmer_ray.lake.speaker_edits import edit_speakers
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import connect_internal
from mmer_ray.lake.visibility import VIEWS
from mmer_ray.tables import SCHEMAS, partition_columns
from tests.lake.makers import KEYS, audio_file, job, listing, newer, recording_at
from tests.lake.recounts import recounted_lake
from tests.slow import slow_but

INTERNAL = ("current", "heard", "felt", "active", "active_of_version_1", "shown")


def seen(reader: LakeReader) -> dict[str, list[dict[str, Any]]]:
    """Every row of every view and of what they are made of."""
    names = ("commits", *VIEWS, *(f"internal.{name}" for name in INTERNAL))
    return {name: sorted(reader.rows(f"FROM {name}", {}), key=repr) for name in names}


def require_as_new(reader: LakeReader, lake: Lake) -> None:
    reader.refresh()
    with open_lake(lake.address) as new:
        assert seen(reader) == seen(new)


def rewritten(lake: Lake, name: str, keep: str = "true", *, forget: bool = True) -> None:
    """Put the rows of a table that `keep` names in the place of its files, a file per partition."""
    with lake.lock(), connect_internal(lake) as connection:
        files = [file.path for file in lake.files(name)]
        columns = ", ".join(SCHEMAS[name].names)
        rows = connection.sql(
            f"SELECT {columns} FROM read_parquet($files, union_by_name = true, hive_partitioning = true, "
            f"hive_types = {{'corpus': VARCHAR, 'month': VARCHAR}}) WHERE {keep}",
            params={"files": files},
        ).to_arrow_table()
        rows = rows.cast(SCHEMAS[name])
        parts = partition_columns(name)
        places = rows.select(parts).group_by(parts).aggregate([]).to_pylist() if parts else [{}]
        for place in places:
            some = rows
            for column, value in place.items():
                some = some.filter(pc.field(column) == value)
            replace_rows(lake, name, some.to_reader(), "rewriter", place)
        if forget:
            forget_earlier(lake, name)


class World:
    """A folder of audio, its lake, and things that happen to them."""

    def __init__(self, folder: Path) -> None:
        self.lake, self._talk = recounted_lake(folder)
        self._folder = folder / "audio"
        self._number = 0
        self._keys = KEYS

    def score(self) -> None:
        self._number += 1
        audio_file(self._folder, f"{self._number}.wav")
        self._job()

    def copy(self) -> None:
        self._number += 1
        audio_file(self._folder, f"{self._number}.wav", Path(self._talk.uri).read_bytes())
        self._job()

    def change(self) -> None:
        """The newest file has other bytes now."""
        self._number += 1
        audio_file(self._folder, f"{max(1, self._number - 1)}.wav", bytes(self._number + 1))
        self._job()

    def fail(self) -> None:
        self._number += 1
        audio_file(self._folder, f"{self._number}.wav")
        self._job({f"{self._number}.wav": ErrorCode.EMPTY_FILE})

    def other_corpus(self) -> None:
        job(self.lake, [replace(self._talk, corpus="other")], self._keys)

    def rescore(self) -> None:
        self._keys = newer("emotion", self._keys, version=str(self._number + 2))
        self._job()

    def hear_anew(self) -> None:
        self._keys = newer("transcribe", self._keys, version=str(self._number + 2))
        self._job()

    def activate(self) -> None:
        activate(self.lake, self._keys.scorer)

    def recluster(self) -> None:
        if self._keys.heard == KEYS.heard:
            recluster(self.lake, self._talk.uri, Recluster(speakers=3))

    def name_speaker(self) -> None:
        edit_speakers(self.lake, self._talk.uri, Rename("S1", f"Anna {self._number}"), "tester")

    def compact(self) -> None:
        for name in ("recordings", "utterances", "calls"):
            rewritten(self.lake, name)

    def _job(self, failing: dict[str, ErrorCode] | None = None) -> None:
        job(self.lake, listing(self._folder), self._keys, failing, recordings_per_commit=2)


STEPS = (
    "score", "copy", "change", "fail", "other_corpus", "rescore", "hear_anew", "activate", "recluster", "name_speaker",
    "compact",
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.lists(st.sampled_from(STEPS), min_size=1, max_size=2), min_size=1, max_size=3))
def test_a_refreshed_reader_sees_what_a_new_one_sees(
    steps: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = World(tmp_path_factory.mktemp("world"))
    with open_lake(world.lake.address) as reader:
        for some in steps:
            for step in some:
                getattr(world, step)()
            require_as_new(reader, world.lake)


@pytest.mark.slow
@pytest.mark.parametrize("step", slow_but(STEPS, ["change", "rescore", "name_speaker", "compact"]))
def test_after_each_step_a_refreshed_reader_sees_what_a_new_one_sees(step: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.score()
    with open_lake(world.lake.address) as reader:
        getattr(world, step)()
        require_as_new(reader, world.lake)


@pytest.mark.slow
def test_a_refresh_of_what_did_not_change_keeps_everything(tmp_path: Path) -> None:
    world = World(tmp_path)
    with open_lake(world.lake.address) as reader:
        assert reader.refresh() is False
        world.score()
        assert reader.refresh() is True
        assert reader.refresh() is False


def test_only_the_files_of_new_commits_are_read_for_a_refresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the old files of the remembered tables gone from the disk, a refresh still works."""
    world = World(tmp_path)
    world.score()
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    with open_lake(world.lake.address) as reader:
        before = reader.sql("SELECT * FROM internal.heard ORDER BY ALL").to_pylist()
        old = [file.path for name in ("results", "calls", "recordings") for file in world.lake.files(name)]
        world.score()
        kept = {path: Path(path).read_bytes() for path in old}
        for path in old:
            # The footer alone, which binding a view may need; no row can be read of it.
            Path(path).write_bytes(_without_rows(kept[path]))
        assert reader.refresh()
        after = reader.sql("SELECT * FROM internal.heard ORDER BY ALL").to_pylist()
        assert len(after) == len(before) + 1
        assert all(row in after for row in before)


def _without_rows(content: bytes) -> bytes:
    """A Parquet file whose column chunks are zeros."""
    footer = int.from_bytes(content[-8:-4], "little") + 8
    return b"PAR1" + bytes(len(content) - 4 - footer) + content[-footer:]


@pytest.mark.slow
def test_a_reader_looks_by_itself_where_it_is_told_how_often(tmp_path: Path) -> None:
    world = World(tmp_path)
    with open_lake(world.lake.address, refresh_s=0.0) as follows, open_lake(world.lake.address) as stays:
        world.score()
        assert follows.sql("FROM recordings").num_rows == 2
        assert stays.sql("FROM recordings").num_rows == 1


@pytest.mark.slow
def test_a_query_that_runs_during_a_refresh_ends_at_its_own_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One conversation is several queries; the lake moves on between two of them."""
    world = World(tmp_path)
    begun, go_on = threading.Event(), threading.Event()
    rows = queries_module._rows

    def slow(connection: duckdb.DuckDBPyConnection, query: str, parameters: Any) -> list[dict[str, Any]]:
        if "FROM words" in query:
            begun.set()
            assert go_on.wait(60)
        return rows(connection, query, parameters)

    with open_lake(world.lake.address) as reader:
        before = reader.conversation("talk")
        edit_speakers(world.lake, "talk", Merge("S2", "S1"), "tester")
        monkeypatch.setattr(queries_module, "_rows", slow)
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(reader.conversation("talk")))
        thread.start()
        assert begun.wait(60)
        assert reader.refresh()
        go_on.set()
        thread.join()
        assert found == [before]
        monkeypatch.undo()
        assert {one.speaker for one in reader.conversation("talk").turns} == {"S1"}


@pytest.mark.slow
@pytest.mark.parametrize("name", slow_but(["words", "utterances", "recordings", "calls"], ["utterances"]))
def test_a_query_whose_files_were_removed_is_answered_from_the_rewritten_lake(name: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.score()
    with open_lake(world.lake.address) as reader:
        before = seen(reader)
        rewritten(world.lake, name)
        assert sorted(reader.sql(f"FROM {name}").to_pylist(), key=repr) == sorted(
            pa.Table.from_pylist(before[name], schema=reader.sql(f"FROM {name} LIMIT 0").schema).to_pylist(), key=repr
        )
        assert reader.conversation("talk").utterances


def test_rows_that_were_erased_are_gone_after_a_refresh(tmp_path: Path) -> None:
    """Also from what a reader remembers, as the name of a file."""
    world = World(tmp_path)
    world.score()
    with open_lake(world.lake.address) as reader:
        assert reader.sql("FROM internal.current").num_rows == 2
        erase_recordings(world.lake, find_recordings(world.lake, ["1.wav"]), None)
        require_as_new(reader, world.lake)
        assert reader.sql("FROM internal.current").num_rows == 1


def _lose(lake: Lake) -> None:
    Path(lake.files("words")[0].path).unlink()


def _spoil(lake: Lake) -> None:
    Path(lake.files("words")[0].path).write_bytes(b"")


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [_lose, _spoil])
def test_a_file_that_the_lake_still_names_is_damage(spoil: Callable[[Lake], None], tmp_path: Path) -> None:
    world = World(tmp_path)
    with open_lake(world.lake.address) as reader:
        spoil(world.lake)
        with pytest.raises(LakeError, match="is damaged"):
            reader.conversation("talk")
        with pytest.raises(LakeError, match="is damaged"):
            world.score()
        with pytest.raises(LakeError, match="is damaged"):
            _ask_again(reader)


def _ask_again(reader: LakeReader) -> None:
    reader.refresh()
    reader.conversation("talk")


@pytest.mark.slow
def test_a_reader_of_a_lake_of_version_1_follows_it_into_this_version(tmp_path: Path) -> None:
    import shutil

    lake = Lake(shutil.copytree(Path(__file__).parent / "fixtures" / "lake_v1", tmp_path / "lake"))
    with open_lake(lake.address) as reader:
        job(lake, [recording_at(audio_file(tmp_path / "audio", "new.wav"), tmp_path / "audio")])
        require_as_new(reader, lake)
        activate(lake, "mmer@1", "training")
        require_as_new(reader, lake)
        edit_speakers(lake, "/calls/b.wav", Rename("S1", "Anna"), "tester")
        require_as_new(reader, lake)
        edit_speakers(lake, "/calls/b.wav", Undo(), "tester")
        require_as_new(reader, lake)


@pytest.mark.slow
def test_threads_that_ask_while_a_reader_follows_see_whole_commits(tmp_path: Path) -> None:
    """Every recording has results: no query sees a table of a later commit than another."""
    world = World(tmp_path)
    query = "SELECT count(*) FROM (FROM recordings ANTI JOIN results USING (corpus, recording_id))"
    failures: list[object] = []
    ended = threading.Event()
    with open_lake(world.lake.address, refresh_s=0.0) as reader:

        def ask() -> None:
            while not ended.is_set():
                try:
                    ((num,),) = (reader.sql(query).to_pylist()[0].values(),)
                    if num:
                        failures.append(num)
                except Exception as exc:
                    failures.append(exc)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for step in ("score", "copy", "compact", "score"):
            getattr(world, step)()
        ended.set()
        for thread in threads:
            thread.join()
    assert failures == []

"""Many recordings of a lake in one folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mmer_ray.errors import ErrorCode, SourceError, UsageError
from mmer_ray.lake.queries import LakeReader, open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.publish import conversations as batches
from mmer_ray.publish.choice import Choice, choose
from mmer_ray.publish.conversations import conversations
from mmer_ray.publish.exports import export_many
from mmer_ray.publish.tables import TABLES
from mmer_ray.tables import SCHEMAS
from tests.lake.makers import audio_file, job, listing

NAMES = ["a.wav", "b.flac", "c.wav", "d.wav", "broken.wav"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five files of the corpus `calls`, of which one failed; one of them in the corpus `other` too."""
    folder, address = tmp_path_factory.mktemp("audio"), tmp_path_factory.mktemp("lakes") / "calls.lake"
    for name in NAMES:
        audio_file(folder, name)
    lake = Lake(address)
    job(lake, listing(folder), failing={"broken.wav": ErrorCode.EMPTY_FILE}, recordings_per_commit=2)
    job(lake, [one for one in listing(folder, "other") if one.uri.endswith("a.wav")])
    return address


@pytest.fixture
def reader(address: Path) -> Iterator[LakeReader]:
    with open_lake(address) as reader:
        yield reader


@pytest.mark.slow
def test_conversations_read_together_are_those_read_one_by_one(
    reader: LakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_RECORDINGS", 2)
    rows = choose(reader, Choice(corpus="calls"))

    together = list(conversations(reader, rows))

    assert len(rows) == 5
    assert [one.recording["uri"] for one in together] == [row["uri"] for row in rows if row["status"] == "scored"]
    for one in together:
        alone = reader.conversation(one.recording["uri"])
        assert (one.utterances, one.turns, one.scorer) == (alone.utterances, alone.turns, alone.scorer)


def test_a_choice_is_by_name_by_condition_and_by_corpus(reader: LakeReader) -> None:
    def names(choice: Choice) -> list[str]:
        return sorted(f"{row['corpus']}/{Path(row['uri']).name}" for row in choose(reader, choice))

    assert names(Choice(names=("a.wav", "b.flac"))) == ["calls/a.wav", "calls/b.flac", "other/a.wav"]
    assert names(Choice(names=("a.wav",), corpus="other")) == ["other/a.wav"]
    assert names(Choice(where="uri LIKE '%.flac' -- those alone")) == ["calls/b.flac"]
    assert names(Choice(where="status = 'failed' OR status = 'scored'", corpus="other")) == ["other/a.wav"]


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        (Choice(), UsageError, "--where SQL or --corpus NAME"),
        (Choice(where="no_such_column = 1"), UsageError, "no_such_column"),
        (Choice(where="true); DELETE FROM recordings; SELECT (true"), UsageError, "one statement"),
        (Choice(corpus="none"), UsageError, "no recording"),
        (Choice(names=("none.wav",)), SourceError, "none.wav"),
    ],
)
def test_a_choice_of_nothing_is_refused_with_the_reason(
    reader: LakeReader, choice: Choice, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        choose(reader, choice)


def test_parquet_files_have_the_lakes_own_columns_and_rows(
    reader: LakeReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_RECORDINGS", 2)

    export_many(reader, choose(reader, Choice(corpus="calls")), "parquet", tmp_path / "out")

    for name in TABLES:
        table = pq.read_table(tmp_path / "out" / f"{name}.parquet")
        columns = ", ".join(SCHEMAS[name].names)
        wanted = reader.sql(f"SELECT {columns} FROM {name} WHERE corpus = 'calls'").cast(SCHEMAS[name])
        assert table.schema.equals(SCHEMAS[name])
        assert table.num_rows > 0
        assert sorted(map(str, table.to_pylist())) == sorted(map(str, wanted.to_pylist()))


def test_a_file_per_recording_is_named_by_its_own_name_and_its_id(reader: LakeReader, tmp_path: Path) -> None:
    rows = choose(reader, Choice(where="true"))

    assert export_many(reader, rows, "srt", tmp_path / "out") == 5

    written = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.srt"))
    assert written == sorted(
        f"{row['corpus']}/{Path(row['uri']).stem}-{row['recording_id']}.srt"
        for row in rows
        if row["status"] == "scored"
    )
    assert all((tmp_path / "out" / name).read_text().startswith("1\n") for name in written)


@pytest.mark.parametrize("fmt", ["audformat", "hf", "lhotse"])
def test_one_folder_holds_all_that_was_chosen(reader: LakeReader, tmp_path: Path, fmt: str) -> None:
    assert export_many(reader, choose(reader, Choice(corpus="calls")), fmt, tmp_path / "out") == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_a_folder_that_holds_something_is_left_as_it_is(reader: LakeReader, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")

    with pytest.raises(UsageError, match="exists already"):
        export_many(reader, choose(reader, Choice(corpus="calls")), "hf", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_an_export_that_fails_leaves_nothing(reader: LakeReader, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several corpora"):
        export_many(reader, choose(reader, Choice(where="true")), "audformat", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_recordings_that_all_failed_cannot_be_exported(reader: LakeReader, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="empty_file"):
        export_many(reader, choose(reader, Choice(names=("broken.wav",))), "hf", tmp_path / "out")

"""Parquet files that hold audio as bytes: which column it is, and a recording for every row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmer_ray.errors import SourceError
from mmer_ray.records import Recording
from mmer_ray.sources.listing import recordings_of
from mmer_ray.sources.parquet_audio import audio_column
from mmer_ray.sources.sources import list_sources
from mmer_ray.sources.uris import row_address

CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def listed(path: Path) -> list[Recording]:
    listing = list_sources([str(path)], "calls")
    return [one for batch in listing.batches() for one in recordings_of(batch)]


def written(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def cells(*data: bytes) -> pa.Array[Any]:
    return pa.array([{"bytes": one, "path": f"{at}.flac"} for at, one in enumerate(data)], CELL)


def test_each_row_is_a_recording_with_the_other_columns_as_metadata(tmp_path: Path) -> None:
    columns = {
        "audio": cells(b"a" * 10, b"b" * 10, b"c" * 10),
        "text": ["one", None, "three"],
        "picture": [b"\xff"] * 3,
        "recorded_at": ["2026-03-01", None, "2026-03-03"],
    }
    first, second, third = listed(written(tmp_path / "a#b c.parquet", columns))
    assert row_address(first.uri) == (str(tmp_path / "a#b c.parquet").encode(), 0)
    assert [row_address(one.uri)[1] for one in (second, third)] == [1, 2]
    assert {one.root for one in (first, second, third)} == {str(tmp_path)}
    assert (dict(first.metadata), dict(second.metadata)) == ({"text": "one", "audio": "0.flac"}, {"audio": "1.flac"})
    assert (first.day, third.day) == ("2026-03-01", "2026-03-03")
    assert first.modified == str((tmp_path / "a#b c.parquet").stat().st_mtime_ns)


def test_rows_are_numbered_over_all_row_groups_and_sized_by_their_own(tmp_path: Path) -> None:
    data = [b"a" * 100_000, b"b" * 100_000, b"c" * 10_000]
    rows = listed(written(tmp_path / "a.parquet", {"bytes": data}, row_group_size=2, compression="none"))
    assert [row_address(one.uri)[1] for one in rows] == [0, 1, 2]
    assert rows[0].size_bytes == rows[1].size_bytes
    assert 100_000 <= rows[0].size_bytes < 101_000
    assert 10_000 <= rows[2].size_bytes < 11_000
    # No header is read for a length: that would read every row before the job begins.
    assert all(one.expected_s is not None for one in rows)


@pytest.mark.parametrize("name", ["audio", "bytes", "audio_bytes"])
def test_the_only_column_of_bytes_is_the_audio_whatever_its_name(tmp_path: Path, name: str) -> None:
    (row,) = listed(written(tmp_path / "a.parquet", {"n": [1], name: [b"a"]}))
    assert dict(row.metadata) == {"n": "1"}


def test_two_columns_of_bytes_are_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", {"left": [b"a"], "right": [b"b"]})
    with pytest.raises(SourceError, match=r"several columns hold bytes \(left, right\); keep one"):
        listed(path)


def test_a_file_with_uris_stays_a_manifest_of_files(tmp_path: Path) -> None:
    (row,) = listed(written(tmp_path / "m.parquet", {"uri": ["x.wav"], "cover": [b"a"]}))
    assert row.uri == str(tmp_path / "x.wav")


def test_a_file_with_neither_is_refused_by_the_column_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no column 'uri'"):
        listed(written(tmp_path / "m.parquet", {"text": ["x"]}))


def test_a_manifest_may_not_name_rows_of_other_files(tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("uri\nparquet:///etc/data.parquet/000000000\n")
    with pytest.raises(SourceError, match="parquet:// is not supported"):
        listed(manifest)


def test_a_struct_without_bytes_holds_no_audio() -> None:
    assert audio_column(pa.schema([("audio", pa.struct([("path", pa.string())]))])) is None

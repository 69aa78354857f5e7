"""Rows of Parquet files in the decoder: the same sound as the file that they were, and every fault its own row."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from mmer_ray.audio.decode import Decoder
from mmer_ray.audio.parquet_rows import ROWS_AT_A_TIME, ParquetRows
from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import SAMPLE_RATE_HZ, AudioFacts, Recording, Samples, Window
from mmer_ray.sources.uris import row_uri

CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeOptions()) as decoder:
        yield decoder


def flac(tone_hz: float, seconds: float = 0.5) -> bytes:
    wave = 0.3 * np.sin(2 * np.pi * tone_hz * np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)
    file = io.BytesIO()
    soundfile.write(file, wave, SAMPLE_RATE_HZ, format="FLAC")
    return file.getvalue()


def written(path: Path, cells: list[bytes | None], **options: Any) -> Path:
    values = [None if one is None else {"bytes": one, "path": "x.flac"} for one in cells]
    pq.write_table(pa.table({"audio": pa.array(values, CELL), "n": range(len(cells))}), path, **options)
    return path


def at(path: Path, row: int) -> Recording:
    return Recording(row_uri(os.fsencode(path), row), root=str(path.parent))


def heard(decoder: Decoder, recording: Recording) -> tuple[Samples, AudioFacts]:
    window, facts = decoder.decode(recording)
    assert isinstance(window, Window)
    assert isinstance(facts, AudioFacts)
    return window.samples, facts


def code(decoder: Decoder, recording: Recording) -> ErrorCode:
    with pytest.raises(AudioError) as caught:
        heard(decoder, recording)
    return caught.value.code


def test_a_row_is_the_same_sound_and_digest_as_the_file_that_it_was(decoder: Decoder, tmp_path: Path) -> None:
    sounds = [flac(200.0 + 50 * row) for row in range(5)]
    path = written(tmp_path / "clips.parquet", list(sounds), row_group_size=2)
    for row in (0, 1, 2, 3, 4, 3, 0):
        (tmp_path / "alone.flac").write_bytes(sounds[row])
        samples, facts = heard(decoder, at(path, row))
        expected, as_file = heard(decoder, Recording(str(tmp_path / "alone.flac"), root=str(tmp_path)))
        np.testing.assert_array_equal(samples, expected)
        assert facts == as_file


def test_what_is_wrong_with_a_row_is_its_own_failure(decoder: Decoder, tmp_path: Path) -> None:
    path = written(tmp_path / "clips.parquet", [b"", None, b"no audio at all", flac(440.0)])
    codes = [code(decoder, at(path, row)) for row in range(3)]
    assert codes == [ErrorCode.EMPTY_FILE, ErrorCode.EMPTY_FILE, ErrorCode.UNRECOGNISED]
    assert len(heard(decoder, at(path, 3))[0]) == SAMPLE_RATE_HZ // 2
    assert code(decoder, at(path, 4)) is ErrorCode.NOT_FOUND


def test_a_file_outside_its_root_is_not_read(decoder: Decoder, tmp_path: Path) -> None:
    path = written(tmp_path / "clips.parquet", [flac(440.0)])
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "link.parquet").symlink_to(path)
    recording = Recording(row_uri(os.fsencode(tmp_path / "home" / "link.parquet"), 0), root=str(tmp_path / "home"))
    assert code(decoder, recording) is ErrorCode.OUTSIDE_ROOT


def test_a_row_above_the_size_limit_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "clips.parquet", [flac(440.0), b"short"])
    with Decoder(DecodeOptions(max_file_bytes=100)) as decoder:
        assert code(decoder, at(path, 0)) is ErrorCode.FILE_TOO_BIG
        assert code(decoder, at(path, 1)) is ErrorCode.UNRECOGNISED


def test_a_damaged_file_fails_its_rows_and_no_others(decoder: Decoder, tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.parquet", [flac(440.0)])
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(whole.read_bytes()[:-20] + b"\0" * 16 + b"PAR1")
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:100])
    assert code(decoder, at(damaged, 0)) is ErrorCode.CORRUPT_HEADER
    assert code(decoder, at(cut, 0)) is ErrorCode.CORRUPT_HEADER
    assert len(heard(decoder, at(whole, 0))[0]) > 0


def test_a_file_that_was_replaced_is_read_anew(decoder: Decoder, tmp_path: Path) -> None:
    path = written(tmp_path / "clips.parquet", [flac(440.0, 0.5)])
    assert len(heard(decoder, at(path, 0))[0]) == SAMPLE_RATE_HZ // 2
    written(tmp_path / "other.parquet", [flac(440.0, 1.0)]).replace(path)
    assert len(heard(decoder, at(path, 0))[0]) == SAMPLE_RATE_HZ


def test_rows_in_order_are_each_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    num_rows = 3 * ROWS_AT_A_TIME
    path = written(tmp_path / "clips.parquet", [bytes([row]) * 9 for row in range(num_rows)], row_group_size=num_rows)
    read: list[int] = []
    iterate = pq.ParquetFile.iter_batches

    def counted(file: pq.ParquetFile, *arguments: Any, **options: Any) -> Iterator[Any]:
        for batch in iterate(file, *arguments, **options):
            read.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    rows = ParquetRows()
    for row in range(num_rows):
        source = rows.row(row_uri(os.fsencode(path), row), str(tmp_path))
        assert source.read_at(0, 100) == bytes([row]) * 9
    assert sum(read) == num_rows

"""Manifests: three formats, one meaning, and errors that name file, row and column."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmer_ray.errors import SourceError
from mmer_ray.sources.manifests import MAX_PART_ROWS, ManifestPart, read_manifest

ROWS: list[Mapping[str, Any]] = [
    {"uri": "a.wav", "agent": "Ann", "take": 3},
    {"uri": "b.wav", "agent": None, "take": 4},
]
FAR_S = 300_000_000_000
"""A time stamp of the year 11476."""


def read(path: Path) -> ManifestPart:
    (part,) = read_manifest(str(path).encode())
    return part


def metadata(part: ManifestPart) -> list[dict[str, str]]:
    return [dict(row) for row in part.metadata.to_pylist()]


def days(part: ManifestPart) -> list[str | None]:
    return [None if day is None else (date(1970, 1, 1) + timedelta(day)).isoformat() for day in part.days]


def jsonl(path: Path, *rows: Mapping[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    return path


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def written(path: Path) -> Path:
    if path.suffix == ".csv":
        path.write_text("uri,agent,take\na.wav,Ann,3\nb.wav,,4\n")
        return path
    if path.suffix == ".jsonl":
        return jsonl(path, *ROWS)
    return parquet(path, **{name: [row[name] for row in ROWS] for name in ROWS[0]})


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
def test_the_three_formats_mean_the_same(tmp_path: Path, extension: str) -> None:
    part = read(written(tmp_path / f"m.{extension}"))
    assert (part.first_number, list(part.uris)) == (1, ["a.wav", "b.wav"])
    first, second = metadata(part)
    assert first == {"agent": "Ann", "take": "3"}
    assert second["take"] == "4"
    assert not second.get("agent")
    assert list(part.corpora) == list(part.days) == [None, None]


def test_rows_shorter_than_the_header_lack_the_last_columns(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("uri,agent,queue\na.wav,Ann\n\nb.wav,Bo,3\nc.wav\n")
    part = read(tmp_path / "m.csv")
    assert metadata(part) == [{"agent": "Ann"}, {"agent": "Bo", "queue": "3"}, {}]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.csv", "url\na.wav\n", "no column 'uri'.*url"),
        ("m.csv", "", "no column 'uri'"),
        ("m.csv", "uri,x\na.wav,1\n,2\n", "row 2: the uri is empty"),
        ("m.csv", "uri\na,b.wav\n", "row 1: more fields"),
        ("m.csv", "uri,recorded_at\na.wav,yesterday\n", "row 1: recorded_at is 'yesterday'"),
        ("m.csv", "uri,corpus\na.wav,calls\nb.wav," + 81 * "x" + "\n", "row 2: corpus 'xxx.*cannot name a folder"),
        ("m.jsonl", '{"uri": "a", "corpus": "\\ud83d"}', "row 1: corpus .*cannot name a folder"),
        ("m.csv", "uri\na.wav\ngs://bucket/b.wav\n", "row 2: gs:// is not supported"),
        ("m.jsonl", '{"uri": "a"}\n{"uri": \n', "row 2: not JSON"),
        ("m.jsonl", "[" * 100_000, "row 1: not JSON"),
        ("m.jsonl", '{"uri": "a"}\n[1]\n', "row 2: a row is a JSON object"),
        ("m.jsonl", '{"url": "a"}\n', "row 1 has no column 'uri'"),
        ("m.jsonl", '{"uri": 5}\n', "row 1: the uri is empty"),
        ("m.jsonl", '{"uri": "\\ud800.wav"}\n', "row 1: the uri is not valid Unicode"),
        ("m.parquet", "no parquet", "no readable Parquet"),
    ],
)
def test_a_manifest_that_is_off_is_refused_in_words(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=said) as caught:
        read(tmp_path / name)
    assert name in str(caught.value)


def test_a_manifest_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes("uri\ncafé.wav\n".encode("latin-1"))
    with pytest.raises(SourceError, match=r"m\.csv is no UTF-8"):
        read(tmp_path / "m.csv")


def test_a_long_manifest_comes_in_parts_that_go_on_counting(tmp_path: Path) -> None:
    num_rows = MAX_PART_ROWS + 2
    parquet(tmp_path / "m.parquet", uri=["a.wav"] * num_rows)
    (tmp_path / "m.csv").write_text("uri\n" + "a.wav\n" * num_rows)
    jsonl(tmp_path / "m.jsonl", *[{"uri": "a.wav"}] * num_rows)
    for extension in ("csv", "jsonl", "parquet"):
        parts = list(read_manifest(str(tmp_path / f"m.{extension}").encode()))
        assert [(part.first_number, len(part.uris)) for part in parts] == [(1, MAX_PART_ROWS), (MAX_PART_ROWS + 1, 2)]
    with (tmp_path / "m.csv").open("a") as file:
        file.write("a.wav,too,many\n")
    with pytest.raises(SourceError, match=f"row {num_rows + 1}: more fields"):
        list(read_manifest(str(tmp_path / "m.csv").encode()))


def test_half_a_character_in_metadata_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"uri":"a.wav","note":"half \\ud83d","n":1}\n{"uri":"b.wav","\\udc00":"x"}\n')
    assert metadata(read(tmp_path / "m.jsonl")) == [{"note": "half \ufffd", "n": "1"}, {"\ufffd": "x"}]


def test_columns_of_any_type_become_text(tmp_path: Path) -> None:
    columns = {
        "uri": ["a.wav", "b.wav"],
        "flag": [True, None],
        "score": [0.5, float("nan")],
        "tags": [["x", "ü"], None],
        "queue": pa.array(["one", "two"]).dictionary_encode(),
        "made": pa.array([0, None], pa.timestamp("ms")),
    }
    first, second = metadata(read(parquet(tmp_path / "m.parquet", **columns)))
    assert first == {
        "flag": "true", "score": "0.5", "tags": '["x", "ü"]', "queue": "one", "made": "1970-01-01 00:00:00.000",
    }  # fmt: skip
    assert second == {"score": "NaN", "queue": "two"}


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2026-11-30", "2026-11-30"),
        ("2026-11-30T23:30:00-02:00", "2026-12-01"),
        ("2026-11-30 14:05", "2026-11-30"),
        ("20261130T140500Z", "2026-11-30"),
        ("2026-W49-1", "2026-11-30"),
        ("20261130", "2026-11-30"),
        (20261130, "2026-11-30"),
        ("20261130140500", "2026-11-30"),
        (1712011512, "2024-04-01"),
        (1712011512.75, "2024-04-01"),
        ("1712011512.75", "2024-04-01"),
        (1712011512345, "2024-04-01"),
        ("1712011512345", "2024-04-01"),
        (1712011512345678, "2024-04-01"),
        (1712011512345678901, "2024-04-01"),
        (815184000, "1995-11-01"),
        ("1931-05-04", "1931-05-04"),
        ("", None),
        (" ", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_a_day_is_told_in_many_ways(tmp_path: Path, value: object, day: str | None) -> None:
    assert days(read(jsonl(tmp_path / "m.jsonl", {"uri": "a.wav", "recorded_at": value}))) == [day]


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-05:00", "infinity", "-infinity", float("inf"), "2026-02-30",
        "2026-11-3011", "20261399140500", 2026, 12345, 10**13 + 7, -1712011512, 10**25, True, [2026], "30.11.2026",
    ],
)  # fmt: skip
def test_a_day_that_no_calendar_has_or_that_could_mean_two_is_refused(tmp_path: Path, value: object) -> None:
    jsonl(tmp_path / "m.jsonl", {"uri": "a.wav"}, {"uri": "b.wav", "recorded_at": value})
    with pytest.raises(SourceError, match=r"m\.jsonl row 2: recorded_at .*2026-11-30"):
        read(tmp_path / "m.jsonl")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_every_unit_give_the_day_before_1970_too(tmp_path: Path, unit: str) -> None:
    per_s = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    moments = pa.array([1712011512 * per_s, -1, None], pa.timestamp(unit, "Europe/Berlin"))
    part = read(parquet(tmp_path / "m.parquet", uri=["a", "b", "c"], recorded_at=moments))
    assert days(part) == ["2024-04-01", "1969-12-31", None]


def test_date_columns_give_the_day(tmp_path: Path) -> None:
    for kind in (pa.date32(), pa.date64()):
        moments = pa.array([date(2024, 4, 1), date(1931, 5, 4)], kind)
        part = read(parquet(tmp_path / "m.parquet", uri=["a", "b"], recorded_at=moments))
        assert days(part) == ["2024-04-01", "1931-05-04"]


@pytest.mark.parametrize("moment", [10**6 * FAR_S, -(10**6) * FAR_S, 2**63 - 1])
def test_a_timestamp_beyond_the_calendar_is_refused_as_a_day_and_kept_as_metadata(tmp_path: Path, moment: int) -> None:
    moments = pa.array([None, moment], pa.timestamp("us"))
    parquet(tmp_path / "day.parquet", uri=["a", "b"], recorded_at=moments)
    with pytest.raises(SourceError, match=r"day\.parquet row 2: recorded_at is outside the years 1 to 9999"):
        read(tmp_path / "day.parquet")
    first, second = metadata(read(parquet(tmp_path / "made.parquet", uri=["a", "b"], made=moments)))
    assert first == {}
    assert second["made"]


def test_a_row_may_describe_its_object_so_that_the_store_is_not_asked(tmp_path: Path) -> None:
    rows = ['s3://b/a,12,"""e"""', "s3://b/c,,e", "s3://b/d,x,e", "s3://b/e,3,", "s3://b/f,3,é", f"s3://b/g,{10**20},e"]
    (tmp_path / "m.csv").write_text("uri,size_bytes,etag\n" + "\n".join(rows))
    assert list(read(tmp_path / "m.csv").object_facts) == [(12, "e"), *[None] * 5]


class Marked(pa.ExtensionType):
    """Stands for the type in which Ray stores pickles: who reads its data may run code."""

    def __init__(self) -> None:
        super().__init__(pa.binary(), "tests.marked")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> Marked:
        return cls()


@pytest.fixture(params=["unknown type", "registered type"])
def extension_type(request: pytest.FixtureRequest) -> Iterator[Marked]:
    """As a process meets it that has not, or has, imported the library which defines it."""
    if request.param == "registered type":
        pa.register_extension_type(Marked())  # type: ignore[arg-type]  # the stubs know the old base class
    yield Marked()
    if request.param == "registered type":
        pa.unregister_extension_type("tests.marked")


@pytest.mark.parametrize("nested", [False, True])
def test_a_parquet_manifest_that_may_carry_code_is_refused_before_its_data_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extension_type: Marked, nested: bool
) -> None:
    marked = pa.ExtensionArray.from_storage(extension_type, pa.array([b"payload"]))
    column = pa.StructArray.from_arrays([marked], ["inner"]) if nested else marked
    pq.write_table(pa.table({"uri": ["a.wav"], "x": column}), tmp_path / "m.parquet")
    monkeypatch.setattr(pq, "ParquetFile", None)
    with pytest.raises(SourceError, match="column 'x' has an extension type"):
        read(tmp_path / "m.parquet")

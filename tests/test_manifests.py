"""Manifests: three formats, one meaning, and errors that name file and row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmer_ray.errors import SourceError
from mmer_ray.manifests import ManifestRow, read_manifest

ROWS: list[Mapping[str, Any]] = [
    {"uri": "a.wav", "agent": "Ann", "take": 3},
    {"uri": "b.wav", "agent": None, "take": 4},
]


def read(path: Path) -> list[ManifestRow]:
    return list(read_manifest(str(path)))


def written(path: Path) -> Path:
    if path.suffix == ".csv":
        path.write_text("uri,agent,take\na.wav,Ann,3\nb.wav,,4\n")
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")
    else:
        columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
        pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
def test_the_three_formats_mean_the_same(tmp_path: Path, extension: str) -> None:
    rows = read(written(tmp_path / f"m.{extension}"))
    assert [(row.number, row.uri) for row in rows] == [(1, "a.wav"), (2, "b.wav")]
    assert rows[0].metadata == {"agent": "Ann", "take": "3"}
    assert rows[1].metadata["take"] == "4"
    assert not rows[1].metadata.get("agent")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.csv", "url\na.wav\n", "no column 'uri'.*url"),
        ("m.csv", "", "no column 'uri'"),
        ("m.csv", "uri,x\na.wav,1\n,2\n", "row 2: the uri is empty"),
        ("m.csv", "uri\na,b.wav\n", "row 1: more fields"),
        ("m.csv", "uri,recorded_at\na.wav,yesterday\n", "row 1: recorded_at is 'yesterday'"),
        ("m.jsonl", '{"uri": "a"}\n{"uri": \n', "row 2: not JSON"),
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

"""The tables of the lake: what Delta keeps of them, and what stays out of its log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from mmer_ray.lake.store import Lake
from mmer_ray.tables import (
    DATA_TABLES,
    DERIVED_TABLES,
    LOG_STATISTICS,
    SCHEMAS,
    SORT_KEYS,
    V1_COLUMNS,
    partition_columns,
)
from tests.lake.makers import audio_file, contents, job, listing

PERSONAL = {"text", "word", "uri", "metadata", "error_message", "speaker", "role"}


@pytest.mark.parametrize("name", SCHEMAS)
def test_delta_gives_every_column_back_with_its_type(name: str, tmp_path: Path) -> None:
    table = DeltaTable.create(tmp_path / name, SCHEMAS[name], partition_by=partition_columns(name))
    exported: Any = table.schema()
    kept = pa.schema(exported)
    assert {field.name: str(field.type) for field in kept} == {
        field.name: str(field.type).replace("list<item:", "list<element:") for field in SCHEMAS[name]
    }


def test_keys_partitions_and_statistics_are_columns_of_their_tables() -> None:
    for name in SCHEMAS:
        columns = set(SCHEMAS[name].names)
        assert columns >= {*LOG_STATISTICS[name], *SORT_KEYS.get(name, ()), *partition_columns(name)}
        assert not PERSONAL & set(LOG_STATISTICS[name])
    assert {name for name in SCHEMAS if partition_columns(name)} == {
        *(set(DATA_TABLES) - {"active_scorers", "corpus_facts", "erasures"}),
        *DERIVED_TABLES,
    }


def test_a_column_of_version_1_is_no_column_of_today() -> None:
    for name, schema in V1_COLUMNS.items():
        assert not set(schema.names) & set(SCHEMAS[name].names), name


def test_no_word_that_was_said_and_no_file_name_reaches_the_commit_log(tmp_path: Path) -> None:
    for number in range(4):
        audio_file(tmp_path / "audio", f"a-persons-name-{number}.wav")
    job(Lake(tmp_path / "lake"), listing(tmp_path / "audio"))
    assert {row["text"] for row in contents(tmp_path / "lake")["utterances"]} == {"thanks 10 refund"}
    log = "".join(path.read_text() for path in (tmp_path / "lake").rglob("_delta_log/*.json"))
    assert "minValues" in log
    for said in ("thanks", "refund", "a-persons-name"):
        assert said not in log

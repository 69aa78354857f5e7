"""A lake that the code of schema version 1 wrote opens, says what it said, and can be scored on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.errors import LakeError
from mmer_ray.export.formats import export
from mmer_ray.lake.activation import activate
from mmer_ray.lake.queries import LakeReader, open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.records import Recording
from mmer_ray.tables import SCHEMA_VERSION
from tests.lake.makers import (
    KEYS,
    a_run,
    audio_file,
    content_digest,
    plan_of,
    recording_at,
    scored,
    taken,
    work,
)

FIXTURE = Path(__file__).parent / "fixtures" / "lake_v1"
ANSWERS: dict[str, Any] = json.loads((FIXTURE.parent / "lake_v1_answers.json").read_text(encoding="utf-8"))
"""What the code of version 1 answered."""
NEW_IN_VERSION_2 = {"turns", "num_received"}


@pytest.fixture
def address(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURE, tmp_path / "lake"))


@pytest.fixture
def reader(address: Path) -> Iterator[LakeReader]:
    with open_lake(address) as reader:
        yield reader


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def of_version_1(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """The values that version 1 had."""
    return {name: found[name] for name in expected if name in found}


def test_the_status_is_as_it_was(reader: LakeReader) -> None:
    status, expected = reader.status(), ANSWERS["status"]
    assert status.ledger.num_planned == 7
    assert status.ledger.num_copies == 2
    assert status.ledger.scored_ms == 67_909
    assert status.num_utterances == 9
    assert status.active_scorer == "mmer@2"
    found = plain(asdict(status))
    ledger = expected["ledger"] | {"num_copies": expected["ledger"].pop("num_copied", 2)}
    assert of_version_1(found["ledger"], ledger) == ledger
    assert found["failures"] == expected["failures"]
    for run, old in zip(found["runs"], expected["runs"], strict=True):
        same = {name: value for name, value in old.items() if name not in ("num_copied", "fingerprints")}
        assert of_version_1(run, same) == same
        assert (run["num_copies"], run["keys"]) == (old["num_copied"], old["fingerprints"])


@pytest.mark.parametrize(
    "name", ["recordings", "utterances", "words", "emotions", "active_emotions", "calls", "commits"]
)
def test_rows_are_as_they_were(name: str, reader: LakeReader) -> None:
    old = ANSWERS["tables"][name]
    found = plain(reader.sql(f"FROM {name}").to_pylist())
    same = [column for column in old[0] if column in found[0]]
    # Results stood in the corpus of the first file with these bytes; now every corpus that has the audio sees them.
    where = {(row["corpus"], row["recording_id"]) for row in old} if "corpus" in same else set()
    if name != "recordings" and where:
        found = [row for row in found if (row["corpus"], row["recording_id"]) in where]

    def key(row: dict[str, Any]) -> str:
        return json.dumps([row[column] for column in same])

    assert len(found) == len(old)
    assert [key(row) for row in sorted(found, key=key)] == [key(row) for row in sorted(old, key=key)]


@pytest.mark.parametrize("name", ANSWERS["conversations"])
def test_a_conversation_and_its_exports_are_as_they_were(name: str, reader: LakeReader) -> None:
    found, old = reader.conversation(name), ANSWERS["conversations"][name]
    assert plain(found.measures and asdict(found.measures)) == old["measures"]
    assert found.scorer == old["scorer"]
    for one, before in zip(plain([asdict(one) for one in found.utterances]), old["utterances"], strict=True):
        assert of_version_1(one, before) == before
    for fmt, text in ANSWERS["exports"].get(name, {}).items():
        made = export(found.recording["uri"], found.utterances, fmt)
        if fmt != "json":
            # A copy goes by its own name now, where it went by that of the first file with its bytes.
            assert made.replace("copy-of-a", "a") == text


def test_no_row_of_a_torn_commit_is_seen(reader: LakeReader) -> None:
    assert reader.sql("FROM recordings WHERE uri LIKE '%torn%'").num_rows == 0


def test_reading_leaves_it_as_it_is(address: Path) -> None:
    before = {path: path.read_bytes() for path in address.rglob("*") if path.is_file()}
    with open_lake(address) as reader:
        reader.status()
    assert {path: path.read_bytes() for path in address.rglob("*") if path.is_file()} == before


def test_scoring_on_into_it_works_and_makes_it_a_lake_of_this_version(address: Path, tmp_path: Path) -> None:
    """Its rows match no wanted key: what is listed again is scored again, the rest stays as it is."""
    old = Recording("/calls/a.wav", "calls", size_bytes=7, modified="17000000000000000" + "7", day="2026-11-20")
    new = recording_at(audio_file(tmp_path / "audio", "new.wav"), tmp_path / "audio")
    lake = Lake(address)
    plan = plan_of([old, new], lake)
    assert plan.todo.column("restart").to_pylist() == ["decode", "decode"]
    with Writer(lake, a_run(), plan) as writer:
        writer.add(taken(scored(old, content_digest(b"audio a")), scored(new)))
    assert json.loads((address / "lake.json").read_text())["schema_version"] == SCHEMA_VERSION
    with open_lake(address) as reader:
        assert reader.sql("FROM recordings").num_rows == 8
        assert reader.conversation("/calls/a.wav").scorer == KEYS.scorer
        assert reader.conversation("/training/a.wav").scorer == "mmer@1", "that corpus keeps its own answer"
        assert reader.conversation("/calls/b.wav").scorer == "mmer@2"
        old_b = ANSWERS["conversations"]["/calls/b.wav"]["utterances"]
        assert [one.text for one in reader.conversation("/calls/b.wav").utterances] == [one["text"] for one in old_b]
        assert {row["scorer"] for row in reader.sql("FROM active_emotions").to_pylist()} == {"mmer@2", KEYS.scorer}
    assert plan_of([old, new], Lake(address)).is_empty


def test_its_corpora_can_follow_another_model(address: Path) -> None:
    assert activate(Lake(address), "mmer@1") == ["calls", "training"]
    with open_lake(address) as reader:
        scorers = {row["scorer"] for row in reader.sql("FROM active_emotions WHERE corpus = 'training'").to_pylist()}
    assert scorers == {"mmer@1"}


@pytest.mark.parametrize("name", ["utterances", "commits"])
def test_a_table_that_is_gone_is_damage(name: str, address: Path) -> None:
    shutil.rmtree(address / name)
    with pytest.raises(LakeError, match="is damaged"), open_lake(address):
        pass


def test_the_fixture_can_be_worked_on_by_a_whole_job(address: Path, tmp_path: Path) -> None:
    for name in "ab":
        audio_file(tmp_path / "audio", f"{name}.wav")
    recordings = [recording_at(path, tmp_path / "audio") for path in sorted((tmp_path / "audio").iterdir())]
    _, ledger = work(Lake(address), plan_of(recordings, Lake(address)))
    assert ledger.num_scored == 2

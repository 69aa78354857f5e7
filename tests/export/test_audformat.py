"""audformat's layout, read with what audformat itself reads it with: YAML and pandas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from mmer_ray.errors import UsageError
from mmer_ray.export.audformat import AudformatFolder
from mmer_ray.records import Emotion, Utterance
from tests.export.makers import TALK, conversation, said

FELT = Emotion("mmer-12ab", "angry", {"angry": 0.75, "sad": 0.25}, 0.75, valence=-0.5, arousal=0.5)


def written(folder: Path, *conversations: list[Utterance], names: tuple[str, ...] = ("a", "b")) -> dict[str, Any]:
    """The header of a folder with these conversations."""
    with AudformatFolder(folder) as writer:
        for name, some in zip(names, conversations, strict=False):
            writer.add(conversation(some, name))
    header: dict[str, Any] = yaml.safe_load((folder / "db.yaml").read_text())
    return header


def table(folder: Path, *conversations: list[Utterance]) -> pd.DataFrame:
    written(folder, *conversations)
    read = pd.read_csv(folder / "db.utterances.csv")
    return read.assign(start=pd.to_timedelta(read["start"]), end=pd.to_timedelta(read["end"]))


def test_the_table_is_segmented_by_file_start_and_end(tmp_path: Path) -> None:
    read = table(tmp_path, TALK)

    assert list(read.columns[:3]) == ["file", "start", "end"]
    assert set(read["file"]) == {"/calls/a.wav"}
    assert [one.total_seconds() for one in read["start"]] == [0.5, 3599.9]
    assert [one.total_seconds() for one in read["end"]] == [2.25, 3601.5]
    assert list(read["text"]) == ["hello there", 'so "what" now']
    assert list(read["emotion"]) == ["neutral", "angry"]


def test_an_emotion_brings_its_numbers_and_leaves_empty_what_it_does_not_know(tmp_path: Path) -> None:
    rows = table(tmp_path, [replace(said(0, 1, "no"), emotions=(FELT,)), said(2, 3, "yes")]).to_dict("records")
    row, without = rows

    assert (row["confidence"], row["valence"], row["arousal"]) == (0.75, -0.5, 0.5)
    assert pd.isna(row["dominance"])
    assert pd.isna(without["emotion"])


def first_line(folder: Path) -> str:
    return (folder / "db.utterances.csv").read_text().splitlines()[0]


def test_the_header_has_the_mandatory_fields_and_a_scheme_for_every_column(tmp_path: Path) -> None:
    header = written(tmp_path, [replace(said(0, 1, "no"), emotions=(FELT,))])

    assert {"name": "calls", "source": "recordings scored by mmer_ray", "usage": "restricted"}.items() <= header.items()
    described = header["tables"]["utterances"]
    assert described["type"] == "segmented"
    assert list(described["columns"]) == first_line(tmp_path).split(",")[3:]
    assert all(column["scheme_id"] in header["schemes"] for column in described["columns"].values())
    assert header["schemes"]["emotion"]["labels"] == ["angry", "sad"]


def test_the_scorer_is_a_machine_rater_of_what_it_felt_and_of_nothing_else(tmp_path: Path) -> None:
    header = written(tmp_path, [replace(said(0, 1, "no"), emotions=(FELT,))])

    assert header["raters"] == {"mmer-12ab": {"type": "machine"}}
    rated = {name for name, column in header["tables"]["utterances"]["columns"].items() if "rater_id" in column}
    assert rated == {"emotion", "confidence", "valence", "arousal", "dominance"}


def test_two_utterances_of_the_same_stretch_stay_two_rows_of_the_index(tmp_path: Path) -> None:
    read = table(tmp_path, [said(0, 1, "yes", "S1"), said(0, 1, "no", "S2")])

    assert not read.duplicated(["file", "start", "end"]).any()
    assert [one.total_seconds() for one in read["end"]] == [1.0, 1.001]


def test_an_empty_conversation_is_a_table_without_rows(tmp_path: Path) -> None:
    assert len(table(tmp_path, [])) == 0


def test_many_conversations_are_one_table_and_one_header(tmp_path: Path) -> None:
    other = replace(FELT, scorer="other-1", label="happy", probabilities={"happy": 1.0})
    header = written(tmp_path, [replace(said(0, 1, "no"), emotions=(FELT,))], [replace(TALK[0], emotions=(other,))])

    assert list(pd.read_csv(tmp_path / "db.utterances.csv")["file"]) == ["/calls/a.wav", "/calls/b.wav"]
    assert header["schemes"]["emotion"]["labels"] == ["angry", "happy", "sad"]
    # Two scorers gave the columns together, so neither is the rater of any.
    assert sorted(header["raters"]) == ["mmer-12ab", "other-1"]
    assert not any("rater_id" in column for column in header["tables"]["utterances"]["columns"].values())


def test_a_file_that_comes_twice_is_refused_since_its_stretches_would(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.wav is in several corpora"):
        written(tmp_path, TALK, TALK, names=("a", "a"))
    assert not (tmp_path / "db.yaml").exists()

"""audformat's layout, read with what audformat itself reads it with: YAML and pandas."""

from __future__ import annotations

import io
from dataclasses import replace

import pandas as pd
import yaml

from mmer_ray.export.audformat import to_audformat
from mmer_ray.records import Emotion, Utterance
from tests.export.makers import TALK, said

FELT = Emotion("mmer-12ab", "angry", {"angry": 0.75, "sad": 0.25}, 0.75, valence=-0.5, arousal=0.5)


def table(utterances: list[Utterance]) -> pd.DataFrame:
    text = to_audformat("/calls/a.wav", utterances)["db.utterances.csv"]
    read = pd.read_csv(io.StringIO(text))
    return read.assign(start=pd.to_timedelta(read["start"]), end=pd.to_timedelta(read["end"]))


def test_the_table_is_segmented_by_file_start_and_end() -> None:
    read = table(TALK)

    assert list(read.columns[:3]) == ["file", "start", "end"]
    assert set(read["file"]) == {"/calls/a.wav"}
    assert [one.total_seconds() for one in read["start"]] == [0.5, 3599.9]
    assert [one.total_seconds() for one in read["end"]] == [2.25, 3601.5]
    assert list(read["text"]) == ["hello there", 'so "what" now']
    assert list(read["emotion"]) == ["neutral", "angry"]


def test_an_emotion_brings_its_numbers_and_leaves_empty_what_it_does_not_know() -> None:
    (row,) = table([replace(said(0, 1, "no"), emotions=(FELT,))]).to_dict("records")

    assert (row["confidence"], row["valence"], row["arousal"]) == (0.75, -0.5, 0.5)
    assert pd.isna(row["dominance"])
    assert table([said(0, 1, "no")])["emotion"].isna().all()


def test_the_header_has_the_mandatory_fields_and_a_scheme_for_every_column() -> None:
    files = to_audformat("/calls/a.wav", [replace(said(0, 1, "no"), emotions=(FELT,))])
    header = yaml.safe_load(files["db.yaml"])

    assert {"name": "a", "source": "/calls/a.wav", "usage": "restricted"}.items() <= header.items()
    described = header["tables"]["utterances"]
    assert described["type"] == "segmented"
    assert list(described["columns"]) == files["db.utterances.csv"].splitlines()[0].split(",")[3:]
    assert all(column["scheme_id"] in header["schemes"] for column in described["columns"].values())
    assert header["schemes"]["emotion"]["labels"] == ["angry", "sad"]


def test_the_scorer_is_a_machine_rater_of_what_it_felt_and_of_nothing_else() -> None:
    files = to_audformat("a.wav", [replace(said(0, 1, "no"), emotions=(FELT,))])
    header = yaml.safe_load(files["db.yaml"])

    assert header["raters"] == {"mmer-12ab": {"type": "machine"}}
    rated = {name for name, column in header["tables"]["utterances"]["columns"].items() if "rater_id" in column}
    assert rated == {"emotion", "confidence", "valence", "arousal", "dominance"}


def test_two_utterances_of_the_same_stretch_stay_two_rows_of_the_index() -> None:
    read = table([said(0, 1, "yes", "S1"), said(0, 1, "no", "S2")])

    assert not read.duplicated(["file", "start", "end"]).any()
    assert [one.total_seconds() for one in read["end"]] == [1.0, 1.001]


def test_an_empty_conversation_is_a_table_without_rows() -> None:
    assert len(table([])) == 0

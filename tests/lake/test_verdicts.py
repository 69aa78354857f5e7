"""What one person says of one utterance: written whole, taken back, kept beside labels that tables bring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mmer_ray import tables
from mmer_ray.errors import LakeError, UsageError
from mmer_ray.lake.annotations import annotate
from mmer_ray.lake.commit import SingleCommit
from mmer_ray.lake.erasure import erase_recordings, find_recordings
from mmer_ray.lake.labelled import read_labelled
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.verdicts import Judged, Judgement, judge
from mmer_ray.lake.verification import Verification
from tests.lake.removals import ERASED, canary_lake, traces
from tests.training.corpora.makers import write_csv

WRONG = Judgement("wrong", "mmer-1", "sad", "the words that were said")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """In `erased.wav`, S1 and S2 take turns twice: utterances 0 to 3."""
    return canary_lake(tmp_path)[0]


def first_of(lake: Lake) -> tuple[Judged, str | None]:
    """The first utterance of the recording, and the label that it was given."""
    with open_lake(lake.address) as reader:
        row = reader.rows(
            "SELECT corpus, recording_id, heard_key, utterance_idx, label FROM active_emotions "
            "WHERE recording_id = $id AND utterance_idx = 0",
            {"id": reader.find_recording(ERASED)["recording_id"]},
        )[0]
    label = row.pop("label")
    return Judged(**row), label


def said(lake: Lake) -> list[dict[str, Any]]:
    query = "SELECT DISTINCT rater, verdict, scorer, label, text, valence FROM annotations ORDER BY ALL"
    with open_lake(lake.address) as reader:
        return reader.rows(query, {})


def test_a_verdict_and_a_correction_are_read_back_and_the_lake_stays_whole(lake: Lake) -> None:
    about, _ = first_of(lake)
    assert judge(lake, about, WRONG, "ann")
    assert said(lake) == [
        {"rater": "ann", "verdict": "wrong", "scorer": "mmer-1", "label": "sad", "text": WRONG.text, "valence": None}
    ]
    assert [one for one in Verification(lake).findings() if one.is_damage] == []


def test_the_same_judgement_twice_writes_once(lake: Lake) -> None:
    about, _ = first_of(lake)
    assert judge(lake, about, WRONG, "ann")
    assert not judge(lake, about, replace(WRONG, text="  the words\nthat were   said "), "ann")
    assert not judge(lake, about, Judgement(), "bob")


def test_who_says_right_has_heard_the_label_that_was_answered(lake: Lake) -> None:
    about, label = first_of(lake)
    assert label is not None
    judge(lake, about, Judgement("right", "mmer-1", "contempt"), "ann")
    assert [(one["verdict"], one["label"]) for one in said(lake)] == [("right", label)]


def test_a_judgement_is_taken_back_and_others_stay(lake: Lake) -> None:
    about, _ = first_of(lake)
    judge(lake, about, WRONG, "ann")
    judge(lake, about, WRONG, "bob")
    assert judge(lake, about, Judgement(), "ann")
    assert [one["rater"] for one in said(lake)] == ["bob"]


def test_words_alone_are_no_label_for_training(lake: Lake) -> None:
    about, _ = first_of(lake)
    judge(lake, about, Judgement(text="other words"), "ann")
    with pytest.raises(UsageError, match="nothing is labelled"):
        read_labelled(lake)
    judge(lake, about, WRONG, "bob")
    assert [one.label for one in read_labelled(lake).utterances] == ["sad"]


def test_a_label_from_a_table_keeps_the_corrected_words_and_a_verdict_keeps_its_dimensions(lake: Lake) -> None:
    about, _ = first_of(lake)
    judge(lake, about, Judgement(text="other words"), "ann")
    labels = write_csv(
        Path(lake.address).parent / "labels.csv",
        ["recording_id,utterance_idx,rater,label,valence", f"{about.recording_id},0,ann,sad,-0.5"],
    )
    assert annotate(lake, labels).num_new == 1
    judge(lake, about, WRONG, "ann")
    assert said(lake) == [
        {"rater": "ann", "verdict": "wrong", "scorer": "mmer-1", "label": "sad", "text": WRONG.text, "valence": -0.5}
    ]
    assert annotate(lake, labels).num_known == 1


@pytest.mark.parametrize(
    ("change", "judgement", "message"),
    [
        ({"utterance_idx": 99}, WRONG, "shows no utterance 99 of this hearing in corpus 'calls' any longer: open it"),
        ({"heard_key": "earlier"}, WRONG, "of this hearing"),
        ({"corpus": "secret"}, WRONG, "in corpus 'secret'"),
        ({}, Judgement("right", "other-model"), "other-model gave utterance 0 no label"),
        ({}, Judgement("wrong"), "a verdict needs the model"),
        ({}, Judgement(text="x" * 6_000), "the text has 6,000 characters; at most 5,000"),
        ({}, Judgement(label="x" * 41), "the label has 41 characters"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(
    lake: Lake, change: dict[str, Any], judgement: Judgement, message: str
) -> None:
    about, _ = first_of(lake)
    with pytest.raises(UsageError, match=message):
        judge(lake, replace(about, **change), judgement, "ann")
    assert said(lake) == []


def test_a_judgement_needs_a_name(lake: Lake) -> None:
    about, _ = first_of(lake)
    with pytest.raises(UsageError, match="needs a name"):
        judge(lake, about, WRONG, "  ")


def test_while_another_job_writes_nothing_is_written_and_the_message_says_so(lake: Lake) -> None:
    about, _ = first_of(lake)
    with lake.lock(), pytest.raises(LakeError, match=r"another|writes"):
        judge(Lake(lake.address), about, WRONG, "ann")
    assert said(lake) == []
    assert judge(Lake(lake.address), about, WRONG, "ann")


def test_annotations_from_before_there_were_verdicts_read_as_null_and_new_ones_lie_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = tables.SCHEMAS["annotations"]
    before = pa.schema([field for field in now if field.name not in ("verdict", "scorer", "text")])
    with monkeypatch.context() as earlier:
        earlier.setitem(tables.SCHEMAS, "annotations", before)
        old = canary_lake(tmp_path)[0]
    about, _ = first_of(old)
    with open_lake(old.address) as reader:
        (row,) = reader.rows(
            "FROM utterances WHERE recording_id = $id AND utterance_idx = 1", {"id": about.recording_id}
        )
    label = {name: row[name] for name in before.names if name in row} | {"rater": "ann", "label": "happy"}
    with monkeypatch.context() as earlier:
        earlier.setitem(tables.SCHEMAS, "annotations", before)
        SingleCommit.begin(old).write(old, {"annotations": pa.Table.from_pylist([label], schema=before)})
        assert "verdict" not in old.schema("annotations").names
    lake = Lake(old.address)
    assert [(one["label"], one["verdict"]) for one in said(lake)] == [("happy", None)]
    judge(lake, about, WRONG, "ann")
    assert [(one["label"], one["verdict"]) for one in said(lake)] == [("sad", "wrong"), ("happy", None)]
    assert [one for one in Verification(lake).findings() if one.is_damage] == []


def test_erased_audio_takes_corrected_words_along(lake: Lake) -> None:
    about, _ = first_of(lake)
    judge(lake, about, Judgement(text="pangolin"), "ann")
    assert traces(lake.address, "pangolin")
    erase_recordings(lake, find_recordings(lake, [ERASED]), None)
    assert traces(lake.address, "pangolin") == []

"""What people heard: brought in, kept through hearings and edits, erased with its audio."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mmer_ray.errors import LakeError, UsageError
from mmer_ray.lake.annotations import Annotated, _closest, annotate
from mmer_ray.lake.commit import SingleCommit
from mmer_ray.lake.erasure import erase_recordings, find_recordings
from mmer_ray.lake.heard_speakers import Rename
from mmer_ray.lake.labelled import NO_MAJORITY, NOT_HEARD, corpus_at, read_labelled
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.speaker_edits import edit_speakers
from mmer_ray.lake.store import Lake
from mmer_ray.lake.verification import Verification
from mmer_ray.tables import SCHEMAS
from mmer_ray.training.corpora.rows import Row
from tests.lake.makers import KEYS, audio_file, audio_id, listing, newer
from tests.lake.removals import ERASED, canary_lake, erase_first_speaker, write
from tests.training.corpora.makers import write_csv

COLUMNS = "recording,utterance_idx,rater,label,valence"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """In `erased.wav`, S1 and S2 take turns twice: utterances 0 to 3."""
    return canary_lake(tmp_path)[0]


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The same, for what changes nothing."""
    return canary_lake(tmp_path_factory.mktemp("unchanged"))[0]


def bring_in(lake: Lake, *lines: str, columns: str = COLUMNS) -> Annotated:
    return annotate(lake, write_csv(Path(lake.address).parent / "labels.csv", [columns, *lines]))


def seen(lake: Lake) -> list[dict[str, Any]]:
    query = "SELECT DISTINCT utterance_idx, rater, label, valence FROM annotations ORDER BY ALL"
    with open_lake(lake.address) as reader:
        return reader.rows(query, {})


def damages(lake: Lake) -> list[str]:
    return [str(one) for one in Verification(lake).findings() if one.is_damage]


def test_labels_are_brought_in_once_and_a_new_one_takes_the_place_of_the_old(lake: Lake) -> None:
    lines = (f"{ERASED},0,ann,angry,-0.5", f"{ERASED},1,ann,neutral,", f"{ERASED},0,bob,sad,")
    assert bring_in(lake, *lines) == Annotated(3, 0)
    assert bring_in(lake, *lines) == Annotated(0, 3)
    assert bring_in(lake, f"{ERASED},0,bob,angry,", lines[1]) == Annotated(1, 1)
    assert seen(lake) == [
        {"utterance_idx": 0, "rater": "ann", "label": "angry", "valence": -0.5},
        {"utterance_idx": 0, "rater": "bob", "label": "angry", "valence": None},
        {"utterance_idx": 1, "rater": "ann", "label": "neutral", "valence": None},
    ]
    assert damages(lake) == []


def test_an_utterance_may_be_named_by_the_time_it_begins(lake: Lake) -> None:
    with open_lake(lake.address) as reader:
        rows = reader.rows("SELECT DISTINCT recording_id, start_ms FROM utterances WHERE utterance_idx = 2 AND "
                           "recording_id = $id", {"id": reader.find_recording(ERASED)["recording_id"]})  # fmt: skip
    start_s = rows[0]["start_ms"] / 1000
    bring_in(lake, f"{rows[0]['recording_id']},{start_s - 0.2:.3f},ann,sad", columns="recording_id,start_s,rater,label")
    assert [one["utterance_idx"] for one in seen(lake)] == [2]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{ERASED},0,ann,nan,", r"labels.csv:3: label is missing \(nan\)"),
        (f"{ERASED},0,,sad,", r"labels.csv:3: nobody is named as rater.*--rater NAME"),
        (f"{ERASED},9,ann,sad,", r"labels.csv:3: erased.wav has no utterance 9; it has 4 utterances: `mmer query`"),
        ("absent.wav,0,ann,sad,", r"labels.csv:3: no recording in .* is called 'absent.wav'"),
        (f"{ERASED},0,ann,sad,3", r"labels.csv:3: valence is 3, outside of -1..1"),
        (f"{ERASED},1,ann,sad,", r"labels.csv:3: ann labels this utterance in labels.csv:2 already"),
    ],
)
def test_a_wrong_row_is_refused_by_file_and_line_and_none_is_taken(line: str, said: str, unchanged: Lake) -> None:
    with pytest.raises(UsageError, match=said):
        bring_in(unchanged, f"{ERASED},1,ann,happy,", line)
    assert seen(unchanged) == []


def two_hearings(folder: Path) -> tuple[Lake, str]:
    """A lake whose corpora `calls` and `copies` have one audio and heard it differently, and the audio's id."""
    lake, content = Lake(folder / "lake"), b"the same bytes"
    for corpus, keys in (("calls", KEYS), ("copies", newer("transcribe"))):
        audio_file(folder / corpus, "same.wav", content)
        write(lake, listing(folder / corpus, corpus), keys)
    return lake, audio_id(content)


def hearings(lake: Lake) -> dict[str, dict[str, Any]]:
    """Corpus -> its first utterance."""
    with open_lake(lake.address) as reader:
        rows = reader.rows("FROM utterances WHERE utterance_idx = 0", {})
    assert len({row["heard_key"] for row in rows}) == len(rows) == 2
    return {row["corpus"]: row for row in rows}


def test_a_label_of_audio_that_two_corpora_heard_differently_must_name_the_corpus(tmp_path: Path) -> None:
    lake, audio = two_hearings(tmp_path)
    said = r"labels.csv:2: the corpora calls, copies have heard .* differently: fill in the column corpus"
    with pytest.raises(UsageError, match=said):
        bring_in(lake, f"{audio},0,ann,sad,")
    columns = f"{COLUMNS},corpus"
    with pytest.raises(UsageError, match=r"labels.csv:2: .* has no utterances in corpus 'mine', but in: calls, copies"):
        bring_in(lake, f"{audio},0,ann,sad,,mine", columns=columns)
    assert bring_in(lake, f"{audio},0,ann,sad,,copies", f"{audio},0,ann,happy,,calls", columns=columns).num_new == 2
    of_corpus = hearings(lake)
    with open_lake(lake.address) as reader:
        labels = reader.rows("SELECT DISTINCT label, heard_key, start_ms, end_ms FROM annotations", {})
    assert {row["label"]: (row["heard_key"], row["start_ms"], row["end_ms"]) for row in labels} == {
        label: tuple(of_corpus[corpus][name] for name in ("heard_key", "start_ms", "end_ms"))
        for corpus, label in (("copies", "sad"), ("calls", "happy"))
    }


def test_words_and_speakers_come_from_the_one_hearing_that_was_labelled(tmp_path: Path) -> None:
    lake, audio = two_hearings(tmp_path)
    for corpus in ("calls", "copies"):
        with open_lake(lake.address) as reader:
            first = reader.rows(
                "SELECT text, start_ms, end_ms FROM utterances WHERE corpus = $corpus AND utterance_idx = 0",
                {"corpus": corpus},
            )[0]
        raters = ("ann", "bob", "cleo")[: 1 if corpus == "calls" else 3]
        bring_in(lake, *(f"{audio},0,{one},sad,,{corpus}" for one in raters), columns=f"{COLUMNS},corpus")
        (utterance, *_) = read_labelled(lake).utterances
        assert (utterance.text, utterance.sound.start_ms, utterance.sound.end_ms) == tuple(first.values())


def test_utterances_that_begin_together_are_told_apart_by_the_channel() -> None:
    row = Row("labels.csv:2", {"start_s": "1.0"})
    both = [{"start_ms": 1_100, "channel": 0}, {"start_ms": 900, "channel": 1}]
    assert _closest(row, both) == both
    assert _closest(Row("labels.csv:2", {"start_s": "1.0", "channel": "1"}), both) == both[1:]


def test_a_tie_of_utterances_is_refused_with_the_remedy(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmer_ray.lake.annotations._closest", lambda row, utterances: utterances[:2])
    with pytest.raises(UsageError, match=r"several .* begin there: fill in the column channel, or utterance_idx"):
        bring_in(lake, f"{ERASED},1,ann,sad", columns="recording,start_s,rater,label")


def test_labels_of_one_utterance_whose_borders_moved_are_those_of_one(lake: Lake) -> None:
    bring_in(lake, f"{ERASED},0,ann,angry,", f"{ERASED},0,bob,angry,", f"{ERASED},1,ann,sad,")
    with open_lake(lake.address) as reader:
        old = reader.rows("SELECT DISTINCT ON (utterance_idx, rater) * FROM annotations", {})
    moved = {"start_ms": 30, "end_ms": 30}
    again = [
        row | {"heard_key": "later", "label": "happy", "annotated_at": datetime.now(UTC)}
        | {name: row[name] + by for name, by in moved.items()}
        for row in old if (row["utterance_idx"], row["rater"]) == (0, "ann")
    ]  # fmt: skip
    table = pa.Table.from_pylist(again, schema=SCHEMAS["annotations"])
    SingleCommit.begin(lake).write(lake, {"annotations": table})
    corpus = read_labelled(lake)
    # Ann's newer label and Bob's are no majority; the other utterance stays as it is.
    assert corpus.left_out == {NO_MAJORITY: 1}
    assert [one.label for one in corpus.utterances] == ["sad"]


def test_speakers_without_a_name_are_told_of(lake: Lake) -> None:
    bring_in(lake, f"{ERASED},0,ann,angry,", f"{ERASED},1,ann,sad,")
    (note,) = read_labelled(lake).notes
    assert note.startswith("2 of 2 speakers have no name")
    edit_speakers(lake, ERASED, Rename("S2", "Ben"), "tester")
    (note,) = read_labelled(lake).notes
    assert note.startswith("1 of 2 speakers have no name")
    assert "mmer speakers rename" in note
    edit_speakers(lake, ERASED, Rename("S1", "Ann"), "tester")
    assert read_labelled(lake).notes == ()


def test_where_there_is_no_lake_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(LakeError):
        bring_in(Lake(str(tmp_path / "absent")), f"{ERASED},1,ann,happy,")
    assert not (tmp_path / "absent").exists()


def test_the_labels_of_a_lake_are_a_corpus_with_the_raters_shares(lake: Lake) -> None:
    bring_in(
        lake,
        *(f"{ERASED},0,{rater},{label},{valence}" for rater, label, valence in (
            ("ann", "angry", -0.5), ("bob", "angry", -1), ("cleo", "sad", ""),
        )),
        f"{ERASED},1,ann,happy,",
        f"{ERASED},1,bob,sad,",
        f"{ERASED},2,ann,bored,",
        f"{ERASED},3,ann,neutral,",
    )  # fmt: skip
    edit_speakers(lake, ERASED, Rename("S2", "Ben"), "tester")
    corpus = corpus_at(Path(lake.address))
    angry, neutral = corpus.utterances
    assert corpus.left_out == {NO_MAJORITY: 1, "label bored": 1}
    assert (angry.label, angry.text) == ("angry", "zebrafinch quokkamoon")
    assert angry.shares == {"neutral": 0, "happy": 0, "sad": pytest.approx(1 / 3), "angry": pytest.approx(2 / 3)}
    assert angry.dimensions is not None
    assert angry.dimensions[0] == pytest.approx(-0.75)
    assert np.isnan(angry.dimensions[1:]).all()
    assert (angry.speaker, neutral.speaker) == (f"{angry.dialogue}/S1", "Ben")
    assert (angry.sound.path.name, angry.sound.channel) == (ERASED, 0)
    assert angry.sound.end_ms == angry.sound.start_ms + 3000
    assert read_labelled(lake, "own").labels == ("neutral", "happy", "sad", "angry", "bored")


def test_a_label_outlives_the_hearing_that_it_was_given_in(lake: Lake, tmp_path: Path) -> None:
    bring_in(lake, f"{ERASED},0,ann,angry,")
    (before,) = read_labelled(lake).utterances
    write(lake, listing(tmp_path / "audio"), newer("transcribe"))
    corpus = read_labelled(lake, "own")
    assert len(corpus.utterances) + corpus.left_out.get(NOT_HEARD, 0) == 1
    assert [one["label"] for one in seen(lake)] == ["angry"]
    # The maker of hearings moves utterances by less than a second.
    (after,) = corpus.utterances
    assert (after.sound, after.label) == (before.sound, "angry")


def test_erased_audio_takes_its_labels_along(lake: Lake) -> None:
    bring_in(lake, f"{ERASED},0,ann,sad,0.5", "a.wav,0,ann,happy,")
    erase_recordings(lake, find_recordings(lake, [ERASED]), None)
    assert [one["label"] for one in seen(lake)] == ["happy"]


@pytest.mark.slow
def test_an_erased_speaker_takes_the_own_labels_along_and_leaves_those_of_others(lake: Lake) -> None:
    bring_in(lake, *(f"{ERASED},{number},ann,sad,0.5" for number in range(4)), "a.wav,0,ann,happy,")
    erase_first_speaker(lake)
    assert [(one["utterance_idx"], one["label"]) for one in seen(lake)] == [(0, "happy"), (0, "sad"), (1, "sad")]
    assert damages(lake) == []
    assert {one.label for one in read_labelled(lake).utterances} == {"happy", "sad"}


def test_a_lake_without_labels_says_how_they_come_in(unchanged: Lake) -> None:
    with pytest.raises(UsageError, match=r"nothing is labelled in .*mmer lake annotate"):
        read_labelled(unchanged)

"""`mmer speakers`: what it lists, what it changes and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.makers import Ended
from tests.lake.recounts import recounted_lake

Run = Callable[..., Ended]


@pytest.fixture
def talk(tmp_path: Path) -> str:
    """A lake with the recording `talk`: the utterances 0 to 4 are S1, S2, S2, S2, S1."""
    return recounted_lake(tmp_path)[0].address


def test_a_recording_alone_lists_its_speakers(mmer: Run, talk: str) -> None:
    short = mmer("speakers", "talk", "--lake", talk)
    long = mmer("speakers", "list", "talk", "--lake", talk)
    assert (short.code, short.out) == (0, long.out)
    head, columns, *rows = short.out.splitlines()
    assert head.endswith("talk.wav: 2 speakers")
    assert columns.split() == ["speaker", "name", "talk", "utterances"]
    assert [(row.split()[0], row.split()[-1]) for row in rows] == [("S1", "2"), ("S2", "3")]
    assert mmer("speakers", "--lake", talk, "talk").out == short.out, "options may come first"


def test_a_name_is_seen_by_every_command_and_undone(mmer: Run, talk: str) -> None:
    before = mmer("show", "--lake", talk, "talk").out
    named = mmer("speakers", "rename", "talk", "S1", "Anna", "--lake", talk, "--author", "Kim")
    assert named.code == 0
    assert named.out.splitlines()[0].endswith(": S1 is called Anna")
    shown = mmer("show", "--lake", talk, "talk").out
    assert "Anna" in shown
    assert "S1" not in shown
    assert "Anna: yes" in mmer("export", "--lake", talk, "talk", "-f", "srt").out
    assert "<v.sad Anna>" in mmer("export", "--lake", talk, "talk", "-f", "vtt").out
    assert " Anna " in mmer("export", "--lake", talk, "talk", "-f", "rttm").out
    document = json.loads(mmer("speakers", "talk", "--lake", talk, "--json").out)
    assert document["schema"] == "mmer.speakers/1"
    assert [(one["speaker"], one["name"]) for one in document["speakers"]] == [("S1", "Anna"), ("S2", None)]
    (edit,) = document["edits"]
    assert (edit["author"], edit["action"], edit["counts"]) == ("Kim", "rename", True)
    undone = mmer("speakers", "undo", "talk", "--lake", talk)
    assert undone.code == 0
    assert "taken back" in undone.out
    assert mmer("show", "--lake", talk, "talk").out == before


@pytest.mark.slow
def test_a_split_takes_the_numbers_that_list_gives(mmer: Run, talk: str) -> None:
    listed = json.loads(mmer("speakers", "talk", "--utterances", "--lake", talk, "--json").out)
    numbers = [one["utterance_idx"] for one in listed["utterances"] if one["speaker"] == "S2"]
    assert numbers == [1, 2, 3]
    table = mmer("speakers", "talk", "--utterances", "--lake", talk).out
    assert [line.split()[:3:2] for line in table.splitlines()[-5:]] == [
        ["0", "S1"], ["1", "S2"], ["2", "S2"], ["3", "S2"], ["4", "S1"]
    ]  # fmt: skip
    made = mmer("speakers", "split", "talk", "S2", "--utterances", "2-3", "--lake", talk, "--json")
    document = json.loads(made.out)
    assert (document["schema"], document["edit"]["target"], document["edit"]["utterances"]) == (
        "mmer.speaker_edit/1", "S3", [2, 3]
    )  # fmt: skip
    merged = mmer("speakers", "merge", "talk", "S3", "S1", "--lake", talk)
    assert merged.out.splitlines()[0].endswith(": S3 is S1")
    again = json.loads(mmer("speakers", "talk", "--lake", talk, "--json").out)
    assert [(one["speaker"], one["num_utterances"]) for one in again["speakers"]] == [("S1", 4), ("S2", 1)]
    first = document["edit"]["edit_id"]
    refused = mmer("speakers", "undo", "talk", first, "--lake", talk)
    assert (refused.code, "first (S3 is S1)" in refused.err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("merge", "talk", "S9", "S1"), 2, "'S9' is no speaker of"),
        (("rename", "talk", "S1", "S2"), 2, "is called S2"),
        (("split", "talk", "S2", "--utterances", "x"), 2, "is no list of numbers"),
        (("split", "talk", "S2", "--utterances", "9-3"), 2, "is no list of numbers"),
        (("split", "talk", "S2", "--utterances", "1-3"), 2, "all utterances of S2"),
        (("undo", "talk"), 2, "has no edit to be undone"),
        (("undo", "nobody"), 2, "no recording in"),
        (("list", "nobody"), 2, "no recording in"),
    ],
)
def test_what_does_not_fit_is_refused(mmer: Run, talk: str, arguments: tuple[object, ...], code: int, why: str) -> None:
    ended = mmer("speakers", *arguments, "--lake", talk)
    assert (ended.code, ended.out) == (code, "")
    assert why in ended.err


@pytest.mark.slow
def test_a_lake_that_is_not_there_ends_with_4(mmer: Run, tmp_path: Path) -> None:
    for words in (("talk",), ("merge", "talk", "S1", "S2")):
        ended = mmer("speakers", *words, "--lake", tmp_path / "none")
        assert (ended.code, "is not a lake" in ended.err) == (4, True)


@pytest.mark.slow
def test_counting_again_says_that_edits_are_left_behind(mmer: Run, talk: str) -> None:
    mmer("speakers", "merge", "talk", "S2", "S1", "--lake", talk)
    done = mmer("recluster", "--lake", talk, "talk", "--speakers", 3)
    assert done.out.rstrip().endswith("3 speakers, before 1")
    assert "1 edit of its speakers" in done.err
    assert mmer("recluster", "--lake", talk, "talk", "--undo").out.rstrip().endswith("1 speaker, before 3")

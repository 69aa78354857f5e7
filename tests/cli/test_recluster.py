"""`mmer recluster`: what it says and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.makers import Ended
from tests.lake.recounts import recounted_lake

Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lake with the recording `talk`, whose voices it keeps."""
    return recounted_lake(tmp_path_factory.mktemp("talk"))[0].address


def test_it_says_how_many_speakers_there_are_and_were_and_goes_back(mmer: Run, talk: str) -> None:
    done = mmer("recluster", "--lake", talk, "talk", "--speakers", 3)
    assert (done.code, done.out.splitlines()[-1].rpartition(": ")[2]) == (0, "3 speakers, before 2")
    shown = json.loads(mmer("show", "--lake", talk, "talk", "--json").out)
    assert {one["speaker"] for one in shown["turns"]} == {"S1", "S2", "S3"}
    assert all(0 <= one["confidence"] <= 1 for one in shown["turns"][:3])
    assert all(0 <= one["speaker_confidence"] <= 1 for one in shown["utterances"][:3])
    undone = mmer("recluster", "--lake", talk, "talk", "--undo", "--json")
    document = json.loads(undone.out)
    assert (document["schema"], document["num_speakers"], document["num_speakers_before"]) == ("mmer.recluster/1", 2, 3)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "give one of --speakers N"),
        (("--speakers", 2, "--threshold", 0.3), "give one of --speakers N"),
        (("--threshold", 3), "is no distance between voices"),
    ],
)
def test_options_that_say_nothing_or_two_things_are_refused(
    mmer: Run, talk: str, arguments: tuple[object, ...], why: str
) -> None:
    ended = mmer("recluster", "--lake", talk, "talk", *arguments)
    assert ended.code == 2
    assert why in ended.err


def test_a_recording_that_is_not_there_that_failed_or_that_nothing_was_kept_of(
    mmer: Run, talk: str, lake: Path, tmp_path: Path
) -> None:
    wrong_name = mmer("recluster", "--lake", talk, "nobody", "--speakers", 2)
    assert (wrong_name.code, "no recording in" in wrong_name.err) == (2, True)
    failed = mmer("recluster", "--lake", lake, "broken.wav", "--speakers", 2)
    assert (failed.code, "so it has no speakers" in failed.err) == (2, True)
    nothing = mmer("recluster", "--lake", lake, "call.opus", "--speakers", 2)
    assert (nothing.code, "nothing to count the speakers of" in nothing.err) == (2, True)
    no_lake = mmer("recluster", "--lake", tmp_path / "none", "talk", "--speakers", 2)
    assert (no_lake.code, "is not a lake" in no_lake.err) == (4, True)

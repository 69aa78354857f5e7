"""`mmer lake erase` and `mmer lake retain`: what they say and how they end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from mmer_ray.lake import retention
from tests.cli.makers import Ended

Run = Callable[..., Ended]


@pytest.fixture
def copied(lake: Path, tmp_path: Path) -> Path:
    """The session's lake, to be changed."""
    return Path(shutil.copytree(lake, tmp_path / "calls.lake"))


def names(mmer: Run, lake: Path) -> list[str]:
    sql = "SELECT parse_filename(uri) AS name FROM recordings ORDER BY name"
    return [row["name"] for row in json.loads(mmer("query", "--lake", lake, sql, "--format", "json").out)["rows"]]


def test_it_says_what_would_go_asks_and_says_what_went(mmer: Run, copied: Path) -> None:
    would = mmer("lake", "erase", "--lake", copied, "--recording", "call.opus", "--dry-run")
    assert (would.code, would.out.splitlines()[0]) == (0, "would be removed: 1 recording, 1 file")
    assert {line.split()[1] for line in would.out.splitlines()[1:]} >= {"recordings", "words", "emotions"}
    unasked = mmer("lake", "erase", "--lake", copied, "--recording", "call.opus")
    assert (unasked.code, "give --yes" in unasked.err) == (2, True)
    assert "call.opus" in names(mmer, copied)
    done = mmer("lake", "erase", "--lake", copied, "--recording", "call.opus", "--yes", "--json")
    document = json.loads(done.out)
    assert (document["schema"], document["dry_run"], document["num_files"]) == ("mmer.erase/1", False, 1)
    assert document["num_rows"]["utterances"] == 3
    assert "call.opus" not in names(mmer, copied)
    gone = mmer("show", "--lake", copied, "call.opus")
    assert (gone.code, "is called 'call.opus'" in gone.err) == (2, True)


@pytest.mark.slow
def test_a_condition_and_a_speaker_choose(mmer: Run, copied: Path) -> None:
    sql = "status = 'failed' OR ends_with(uri, 'quiet.wav')"
    done = mmer("lake", "erase", "--lake", copied, "--where", sql, "--yes")
    assert done.out.splitlines()[0] == "removed: 2 recordings, 2 files"
    spoke = mmer("lake", "erase", "--lake", copied, "--recording", "call.opus", "--speaker", "S2", "--yes")
    assert spoke.code == 0
    shown = mmer("show", "--lake", copied, "call.opus")
    assert "erased: what 1 speaker said" in shown.out
    assert "parcel" not in shown.out
    assert "good morning" in shown.out
    document = json.loads(mmer("show", "--lake", copied, "call.opus", "--json").out)
    # These recordings were made without turns.
    assert (document["num_erased_speakers"], document["gone"]) == (1, ["turns"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "name what to erase"),
        (("--speaker", "S1"), "name what to erase"),
        (("--recording", "nobody"), "is called 'nobody'"),
        (("--where", "no_column"), "cannot be answered"),
        (("--recording", "call.opus", "--speaker", "S9", "--yes"), "nobody is called 'S9'"),
    ],
)
def test_what_cannot_be_erased_says_why(mmer: Run, lake: Path, arguments: tuple[str, ...], why: str) -> None:
    ended = mmer("lake", "erase", "--lake", lake, *arguments)
    assert (ended.code, why in ended.err) == (2, True)


@pytest.mark.slow
def test_what_is_too_old_goes_and_a_recording_says_what_it_has_lost(
    mmer: Run, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "this_day", lambda: date(2026, 11, 25))
    policy = tmp_path / "policy.toml"
    policy.write_text('[default]\nwords = "0d"\nutterances = "0d"\n')
    would = json.loads(mmer("lake", "retain", "--lake", copied, "--policy", policy, "--dry-run", "--json").out)
    assert (would["schema"], would["dry_run"]) == ("mmer.retain/1", True)
    assert set(would["num_rows"]) == {"utterances", "words"}
    assert mmer("lake", "retain", "--lake", copied, "--policy", policy).code == 0
    shown = mmer("show", "--lake", copied, "call.opus")
    assert "removed: its utterances, words and turns had reached their age" in shown.out
    assert "what was said is no longer kept" in shown.out
    export = mmer("export", "--lake", copied, "call.opus", "--format", "srt")
    assert (export.code, "nothing is left to export" in export.err) == (2, True)
    assert mmer("lake", "retain", "--lake", copied, "--older-than", "0d", "--corpus", "calls").code == 0
    assert names(mmer, copied) == []
    assert mmer("lake", "retain", "--lake", copied, "--older-than", "0d").out == "nothing to remove\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "give one of --policy"),
        (("--older-than", "1d", "--policy", "x.toml"), "give one of --policy"),
        (("--older-than", "soon"), "is no age"),
        (("--older-than", "1d", "--table", "calls"), "goes with recordings"),
        (("--policy", "x.toml", "--table", "words"), "go with --older-than"),
        (("--policy", "x.toml"), "cannot be read"),
    ],
)
def test_a_rule_that_is_none_says_why(mmer: Run, lake: Path, arguments: tuple[str, ...], why: str) -> None:
    ended = mmer("lake", "retain", "--lake", lake, *arguments)
    assert (ended.code, why in ended.err) == (2, True)

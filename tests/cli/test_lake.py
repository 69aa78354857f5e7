"""`mmer lake`: what its commands say and how they end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mmer_ray.lake.store import Lake
from tests.cli.makers import Ended
from tests.lake.makers import audio_file, contents, job, listing

Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    for name in "abc":
        audio_file(folder / "audio", f"{name}.wav")
    job(Lake(folder / "lake"), listing(folder / "audio"))
    return folder / "lake"


@pytest.fixture
def small_files(scored: Path, tmp_path: Path) -> Path:
    shutil.copytree(scored, tmp_path / "lake")
    return tmp_path / "lake"


def test_compact_says_what_was_joined_and_then_that_there_is_nothing_to_do(mmer: Run, small_files: Path) -> None:
    rows = contents(small_files)
    would = mmer("lake", "compact", "--lake", small_files, "--dry-run")
    assert (would.code, "would be joined" in would.out) == (0, True)
    assert len(Lake(small_files).files("words")) == 3
    done = mmer("lake", "compact", "--lake", small_files)
    assert done.code == 0
    assert "joined to" in done.out.splitlines()[-1]
    assert [line.split() for line in done.out.splitlines() if line.startswith("words")] == [["words", "1", "3"]]
    assert contents(small_files) == rows
    again = mmer("lake", "compact", "--lake", small_files)
    assert (again.code, again.out) == (0, "nothing to do: every partition is one file\n")


def test_compact_as_json(mmer: Run, small_files: Path) -> None:
    document = json.loads(mmer("lake", "compact", "--lake", small_files, "--corpus", "calls", "--json").out)
    assert (document["schema"], document["dry_run"]) == ("mmer.compact/1", False)
    assert {one["corpus"] for one in document["partitions"]} == {"calls"}
    words = next(one for one in document["partitions"] if one["table"] == "words")
    assert (words["month"], words["num_files"], words["num_unfinished"]) == ("2026-11", 3, 0)
    assert document["rebuilt"] == [{"corpus": "calls", "month": "2026-11"}]


def test_vacuum_keeps_a_day_unless_told_otherwise(mmer: Run, small_files: Path) -> None:
    mmer("lake", "compact", "--lake", small_files)
    kept = mmer("lake", "vacuum", "--lake", small_files)
    assert (kept.code, kept.out) == (0, "0 files (0.0 MB) deleted\n")
    would = json.loads(mmer("lake", "vacuum", "--lake", small_files, "--keep-hours", 0, "--dry-run", "--json").out)
    assert (would["schema"], would["dry_run"], len(would["files"]["words"])) == ("mmer.vacuum/1", True, 3)
    rows = contents(small_files)
    done = mmer("lake", "vacuum", "--lake", small_files, "--keep-hours", 0)
    assert done.out.startswith(f"{would['num_files']} files (")
    assert contents(small_files) == rows


@pytest.mark.parametrize("command", ["compact", "vacuum"])
def test_a_place_that_is_no_lake(command: str, mmer: Run, tmp_path: Path) -> None:
    ended = mmer("lake", command, "--lake", tmp_path / "none")
    assert (ended.code, "is not a lake" in ended.err) == (4, True)


@pytest.mark.parametrize("words", [("compact",), ("retain", "--older-than", "1d"), ("compact", "--dry-run")])
def test_a_corpus_that_the_lake_has_not_is_named_and_nothing_is_changed(
    mmer: Run, small_files: Path, words: tuple[str, ...]
) -> None:
    rows = contents(small_files)

    ended = mmer("lake", *words, "--lake", small_files, "--corpus", "clals")

    assert ended.code == 2
    assert "--corpus clals" in ended.err
    assert "it has: calls" in " ".join(ended.err.split())
    assert contents(small_files) == rows


@pytest.mark.parametrize("words", [("--legal-basis", "consent"), ("--no-notice-given",), ("--author", "ana")])
def test_what_is_stated_of_no_corpus_is_refused(mmer: Run, small_files: Path, words: tuple[str, ...]) -> None:
    ended = mmer("lake", "corpus", "--lake", small_files, *words)

    assert (ended.code, "name the corpus" in ended.err) == (2, True)

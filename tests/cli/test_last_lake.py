"""Which lake a command reads where none is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mmer_ray.cli.last_lake import lake_to_read, remember_lake
from mmer_ray.errors import UsageError
from tests.cli.makers import Ended

Mmer = Callable[..., Ended]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_the_lake_scored_last_is_read_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    remember_lake("older.lake")
    remember_lake("calls.lake")
    monkeypatch.chdir("/")

    assert lake_to_read(None) == str(tmp_path / "calls.lake")


def test_a_bucket_is_remembered_as_it_was_named() -> None:
    remember_lake("s3://bucket/calls.lake")

    assert lake_to_read(None) == "s3://bucket/calls.lake"


def test_a_lake_that_is_named_is_read_whatever_was_scored(capsys: pytest.CaptureFixture[str]) -> None:
    remember_lake("/calls.lake")

    assert lake_to_read("other.lake") == "other.lake"
    assert capsys.readouterr().err == ""


def test_the_reader_is_told_which_lake_was_taken(capsys: pytest.CaptureFixture[str]) -> None:
    remember_lake("/calls.lake")
    lake_to_read(None)

    assert "/calls.lake" in capsys.readouterr().err


def test_before_anything_was_scored_a_lake_must_be_named() -> None:
    with pytest.raises(UsageError, match="--lake DIR"):
        lake_to_read(None)


def test_a_user_without_a_home_that_can_be_written_scores_all_the_same(state: Path) -> None:
    state.write_text("a file where the folder should be")

    remember_lake("calls.lake")

    with pytest.raises(UsageError, match="--lake DIR"):
        lake_to_read(None)


@pytest.mark.parametrize("arguments", [["show"], ["status"], ["query", "SELECT 1"], ["export", "a.wav", "-f", "rttm"]])
def test_commands_that_read_name_the_remedy_where_no_lake_is_known(mmer: Mmer, arguments: list[str]) -> None:
    ended = mmer(*arguments)

    assert ended.code == 2
    assert "--lake DIR" in ended.err

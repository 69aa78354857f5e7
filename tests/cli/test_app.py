"""How `mmer` starts and how it ends."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmer_ray import __version__
from mmer_ray.cli import main
from mmer_ray.cli.app import app
from mmer_ray.errors import LakeError, PreflightError, StoreError, UsageError
from mmer_ray.runners import job
from tests.cli.makers import Ended, process

COMMANDS = ("score", "plan", "query", "show", "status", "rescore", "retry", "export", "redact", "demo", "dashboard")


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    code = "import sys, mmer_ray.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    heavy = {"torch", "ray", "deltalake", "pyarrow", "duckdb", "numpy", "transformers", "faster_whisper", "rich"}
    assert not heavy & set(found)
    assert "typer" in found


HEAVY = {"torch", "ray", "transformers", "pandas", "scipy", "av"}
SLOW_TO_IMPORT = {
    ("--help",): HEAVY | {"pyarrow", "duckdb", "deltalake", "numpy", "rich"},
    ("models", "list"): HEAVY | {"pyarrow", "duckdb", "deltalake"},
    ("models", "show", "mmer"): HEAVY | {"pyarrow", "duckdb", "deltalake"},
    ("status", "--lake", "LAKE"): HEAVY,
    ("show", "call.opus", "--lake", "LAKE"): HEAVY,
    ("export", "call.opus", "--lake", "LAKE", "-f", "rttm"): HEAVY,
    ("redact", "call.opus", "--lake", "LAKE", "--into", "COPIES", "--rules", "email"): HEAVY,
    ("query", "SELECT now() AS t, * FROM runs", "--lake", "LAKE"): HEAVY,
}


@pytest.mark.parametrize("words", SLOW_TO_IMPORT, ids=" ".join)
def test_a_command_that_only_reads_imports_nothing_that_takes_seconds(
    words: tuple[str, ...], lake: Path, tmp_path: Path
) -> None:
    report = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    places = {"LAKE": lake, "COPIES": tmp_path / "copies"}
    child = process(report, *(places.get(word, word) for word in words))

    _, err = child.communicate()

    assert child.returncode == 0, err
    assert not SLOW_TO_IMPORT[words] & set(err.split())


def test_help_names_every_command_and_the_exit_codes() -> None:
    page = CliRunner().invoke(app, ["--help"]).output

    assert all(command in page for command in COMMANDS)
    words = " ".join(page.split())
    for text in ("0 done", "1 internal error", "2 usage", "3 finished", "4 not possible", "5 the lake's store"):
        assert text in words
    assert "130 interrupted" in words
    assert "141 the reader" in words


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_page(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])

    assert result.exit_code == 0
    assert f"mmer {command}" in result.output or f" {command} " in result.output


def test_version_is_the_packages(mmer: Callable[..., Ended]) -> None:
    assert mmer("--version") == Ended(0, f"mmer {__version__}\n", "")


def test_an_unknown_option_ends_with_2_and_says_so_on_stderr(mmer: Callable[..., Ended]) -> None:
    ended = mmer("query", "--lake", "x", "--colour", "SELECT 1")

    assert (ended.code, ended.out) == (2, "")
    assert "--colour" in ended.err


def test_an_unknown_profile_key_ends_with_2_and_the_near_miss(mmer: Callable[..., Ended], tmp_path: Path) -> None:
    ended = mmer("score", tmp_path, "--lake", tmp_path / "lake", "--set", "diarize.max_speaker=3")

    assert ended.code == 2
    assert "did you mean 'max_speakers'?" in ended.err


def test_a_word_where_a_list_belongs_is_refused_with_the_form_of_a_list(
    mmer: Callable[..., Ended], tmp_path: Path
) -> None:
    ended = mmer("score", tmp_path, "--lake", tmp_path / "lake", "--set", "transcribe.languages=en")
    assert ended.code == 2
    assert "transcribe.languages" in ended.err
    assert """write a list, '["A", "B"]'""" in ended.err
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no such source"), 2),
        (PreflightError("no models"), 4),
        (LakeError("locked by process 7"), 4),
        (StoreError("the lake's store failed 5 times"), 5),
    ],
)
def test_our_own_errors_have_their_exit_codes(
    mmer: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(job, "run", refuse)

    ended = mmer("score", "somewhere", "--lake", "l")

    assert ended == Ended(code, "", f"mmer: {error}\n")


def test_a_lake_that_is_not_there_ends_with_4(mmer: Callable[..., Ended], tmp_path: Path) -> None:
    ended = mmer("status", "--lake", tmp_path / "nothing")

    assert ended.code == 4
    assert f"{tmp_path / 'nothing'} is not a lake" in ended.err


def crash(*_: object, **__: object) -> None:
    raise ZeroDivisionError("in our code")


def test_an_internal_error_ends_with_1_and_leaves_its_traceback_in_a_file(
    mmer: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(job, "prepare", crash)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    ended = mmer("plan", "somewhere", "--lake", "l")

    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("mmer: internal error (ZeroDivisionError). Details are in ")
    (path,) = re.findall(r"\S+mmer-error-\S+\.txt", ended.err)
    assert "ZeroDivisionError: in our code" in Path(path).read_text()


def test_debug_shows_the_traceback_of_a_bug_wherever_it_stands(
    mmer: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "prepare", crash)

    for arguments in (["--debug", "plan", "somewhere", "--lake", "l"], ["plan", "somewhere", "--lake", "l", "--debug"]):
        ended = mmer(*arguments)

        assert ended.code == 1
        assert "ZeroDivisionError: in our code" in ended.err


def test_a_real_process_ends_with_these_codes(tmp_path: Path) -> None:
    wrong = process("", "query", "--lake", tmp_path / "no", "SELECT 1")
    unknown = process("", "frobnicate")

    assert "is not a lake" in wrong.communicate()[1]
    assert "frobnicate" in unknown.communicate()[1]
    assert (wrong.returncode, unknown.returncode) == (4, 2)


def test_a_reader_that_goes_away_is_no_error_worth_a_word(lake: Path) -> None:
    sql = "SELECT repeat('x', 1000) FROM range(2000)"
    child = process("", "query", "--lake", lake, "--format", "csv", sql)
    assert child.stdout is not None
    assert child.stderr is not None

    child.stdout.close()

    assert child.stderr.read() == ""
    assert child.wait() == 141


def test_a_keyboard_interrupt_outside_a_job_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "prepare", interrupt)

    assert main(["plan", "somewhere", "--lake", "l"]) == 130

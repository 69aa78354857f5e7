"""Standard streams that are full, closed, of another encoding, or used by libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.makers import process

COMMAND = [sys.executable, "-m", "mmer_ray"]
FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("fmt", ["table", "csv", "json"])
def test_a_full_stdout_ends_with_4_and_one_line(lake: Path, fmt: str) -> None:
    with FULL.open("w") as full:
        ended = subprocess.run(
            [*COMMAND, "query", "--lake", lake, "SELECT 1", "-f", fmt], stdout=full, stderr=subprocess.PIPE, text=True
        )

    assert ended.returncode == 4
    assert ended.stderr.startswith("mmer: stdout cannot be written: No space left on device")
    assert ended.stderr.count("\n") == 1


def test_a_closed_stdout_ends_with_4_and_one_line(lake: Path) -> None:
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "query", "--lake", str(lake), "SELECT 1"]

    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True)

    assert ended.returncode == 4
    assert ended.stderr.startswith("mmer: stdout is closed")
    assert ended.stderr.count("\n") == 1


def test_a_closed_stderr_changes_neither_results_nor_exit_codes(lake: Path) -> None:
    for sql, code in (("SELECT 42 AS n", 0), ("DELETE FROM words", 2)):
        command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND, "query", "--lake", str(lake), sql]

        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True)

        assert (ended.returncode, "42" in ended.stdout) == (code, code == 0)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_a_terminal_without_a_character_gets_a_question_mark_and_json_an_escape(lake: Path, encoding: str) -> None:
    def ask(fmt: str) -> str:
        command = [*COMMAND, "query", "--lake", lake, "SELECT '\N{HEADPHONE}' AS x", "-f", fmt]
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        ended = subprocess.run(command, capture_output=True, env=environment, check=True)
        return ended.stdout.decode(encoding)

    assert ask("csv") == "x\n?\n"
    assert "?" in ask("table")
    assert json.loads(ask("json"))["rows"] == [{"x": "\N{HEADPHONE}"}]


def test_json_is_the_only_thing_on_stdout_whatever_libraries_print_during_a_job() -> None:
    patch = """
import os
from mmer_ray.runners import job
def run(options, *, on_progress=None, stop=None):
    print("printed by a library")
    os.write(1, b"written by a library\\n")
    os.system("echo printed by a child")
    return job.JobReport(run_id="r", runner="ray", num_scored=1)
job.run = run
"""
    child = process(patch, "score", "a", "--lake", "l", "--json")

    out, err = child.communicate()

    assert json.loads(out)["num_scored"] == 1
    assert all(text in err for text in ("printed by a library", "written by a library", "printed by a child"))

"""Every way to start the command line hands its exit code on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
ENTRIES = {
    "job": [sys.executable, CHECKOUT / "jobs" / "score_corpus.py"],
    "module": [sys.executable, "-m", "mmer_ray", "score"],
    "script": [Path(sys.executable).with_name("mmer"), "score"],
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_usage_error_ends_the_process_with_2(entry: str, tmp_path: Path) -> None:
    command = [*ENTRIES[entry], tmp_path, "--lake", tmp_path / "lake", "--set", "run.nothing=1"]

    ended = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "unknown key 'run.nothing'" in ended.stderr

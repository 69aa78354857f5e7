"""The loop on the demo corpus, as a user runs it: real training, real rescoring, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runners.tiny_lakes import files_of, rows

CHECKOUT = Path(__file__).parents[2]


def retrain(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, CHECKOUT / "jobs" / "retrain.py", "--demo", "--into", folder, *options]
    environment = {name: value for name, value in os.environ.items() if name != "MMER_REGISTRY"}
    return subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, env=environment)


def kept(folder: Path) -> dict[str, bytes]:
    """Every file, but for the lake's note of which process wrote it last."""
    return {name: content for name, content in files_of(folder).items() if name != "lake/writer.lock"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_ends_with_views_that_follow_the_new_model_and_a_second_call_changes_nothing(tmp_path: Path) -> None:
    # Two epochs teach nothing: this is about the loop.
    brief = ("--set", "num_epochs=2", "--floor", "0.0", "--runner", "inprocess")
    first = retrain(tmp_path, *brief)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("followed: ")
    (model,) = (tmp_path / "registry" / "models").iterdir()
    assert rows(tmp_path / "lake", "SELECT DISTINCT scorer FROM active_emotions") == [{"scorer": model.name}]
    assert len(rows(tmp_path / "lake", "SELECT DISTINCT scorer FROM emotions")) == 2
    before = kept(tmp_path)
    second = retrain(tmp_path, *brief)
    assert (second.returncode, "train: done before" in second.stderr) == (0, True), second.stderr
    assert kept(tmp_path) == before
    refused = retrain(tmp_path, *brief, "--floor", "0.99", "--protocol", "kfold3")
    assert (refused.returncode, "below the floor of 0.990" in refused.stderr) == (3, True), refused.stderr

"""Lines about the trainings of a run."""

from __future__ import annotations

import pytest

from mmer_ray.cli import training_progress
from mmer_ray.cli.training_progress import training_lines
from mmer_ray.runners.train import Progress


def test_how_far_trainings_are_is_told_when_one_ends_and_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    lines: list[str] = []
    monkeypatch.setattr(training_progress, "monotonic", lambda: now_s)
    tell = training_lines(lines.append)
    for now_s, num_done, step in ((100, 0, 1), (110, 0, 2), (131, 0, 3), (132, 1, 4), (140, 1, 5), (163, 1, 6)):  # noqa: B007
        tell(Progress(num_done, 2, (f"Fold 1, seed 0, step {step}",)))
    assert [line.rpartition(" ")[2] for line in lines] == ["1", "3", "4", "6"]
    assert lines[0] == "0 of 2 trainings done; under way: Fold 1, seed 0, step 1"

"""The curve of a training: a line of JSON for each step and each check, in a file beside its states."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HISTORY_NAME = "history.jsonl"
TAIL_BYTES = 4_096
"""More than two lines have."""


class History:
    """Writes the curve of one training, going on from a step."""

    def __init__(self, file: Path, num_steps: int) -> None:
        """Drop what an interrupted run wrote after so many steps: those are done again."""
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = [row for row in read_history(file) if row["step"] <= num_steps]
        unfinished = file.with_suffix(".part")
        unfinished.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        unfinished.replace(file)
        self._file = file

    def add(self, step: int, figures: Mapping[str, Any]) -> None:
        """Append a line: the number of the step, from 1, and its figures."""
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"step": step, **figures}) + "\n")


def last_step(file: Path) -> int:
    """The number of the last step that a curve has; 0 where there is none. Reads the file's end alone."""
    if not file.is_file():
        return 0
    with file.open("rb") as lines:
        lines.seek(max(0, file.stat().st_size - TAIL_BYTES))
        # The first may be cut by the seek, the last by a kill.
        whole = lines.read().split(b"\n")[:-1]
    for line in reversed(whole):
        if line.startswith(b"{"):
            return int(json.loads(line)["step"])
    return 0


def read_history(file: Path) -> list[dict[str, Any]]:
    """Read a curve; none where the file is missing. Half of a last line, cut off by a kill, is left out."""
    if not file.is_file():
        return []
    *whole, _ = file.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in whole]

"""The turns of the demo corpus as a table of labelled speech, which training reads."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from mmer_ray.demo.truth import CALLS, TrueCall

COLUMNS = ("id", "path", "start_s", "end_s", "channel", "speaker", "label", "text", "dialogue")


def write_labels(file: Path, calls: Sequence[TrueCall], folder: Path = CALLS) -> None:
    """Write a row for each turn: who says what in which sound, and with which feeling."""
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(COLUMNS)
        for call in calls:
            for index, turn in enumerate(call.turns):
                place = (f"{call.file}#{index}", folder / call.file, turn.start_s, turn.end_s, turn.channel)
                writer.writerow((*place, turn.speaker, turn.feeling, turn.text, call.file))

"""The truth of the demo corpus.

`calls/` holds one Opus file a call and `truth.json`: a list of calls, each with `file`, `channels`, `condition`,
`duration_s` and its `turns` (`start_s`, `end_s`, `channel`, `speaker`, `text`, `feeling`). `calls.csv` is the manifest
that scoring reads: a row a call, with the day on which it is said to have been recorded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mmer_ray.demo.grammar import Feeling

CALLS = Path(__file__).parent / "calls"
TRUTH_NAME = "truth.json"
MANIFEST_NAME = "calls.csv"


@dataclass(frozen=True)
class TrueTurn:
    """One turn as it was spoken."""

    start_s: float
    end_s: float
    channel: int
    speaker: str
    text: str
    feeling: Feeling


@dataclass(frozen=True)
class TrueCall:
    """One call's file and truth."""

    file: str
    channels: int
    """Two: agent on channel 0, customer on channel 1. One: both mixed."""
    condition: str
    duration_s: float
    turns: tuple[TrueTurn, ...]


def read_truth(folder: Path = CALLS) -> list[TrueCall]:
    """Read what was really said in the calls of a folder."""
    calls = json.loads((folder / TRUTH_NAME).read_text(encoding="utf-8"))
    return [TrueCall(**{**call, "turns": tuple(TrueTurn(**turn) for turn in call["turns"])}) for call in calls]

"""Short clips cut from the demo calls, and what a lake says of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import soundfile

from mmer_ray.demo.truth import CALLS
from mmer_ray.lake.queries import open_lake

RESULTS = {
    "recordings": "recording_id, uri, status, error_code, duration_ms, speech_ms, num_speakers, flags",
    "utterances": "recording_id, utterance_idx, channel, speaker, start_ms, end_ms, text",
    "words": "recording_id, utterance_idx, word_idx, word, start_ms, end_ms",
    "turns": "recording_id, turn_idx, channel, speaker, start_ms, end_ms",
    "calls": "recording_id, scorer, num_utterances, silence_ms, interruptions",
}
"""What must be equal however a lake came to be: everything but scores, and the names of runs and commits."""
SCORES = "recording_id, utterance_idx, label, p_angry, p_happy, p_neutral, p_sad"


def cut_clips(folder: Path, num_clips: int, clip_s: float = 3.0) -> None:
    """Write `clip-00.wav`, `clip-01.wav`, ..: consecutive stretches of the demo calls, first channel, no two alike."""
    stretches = _stretches(clip_s)
    for index in range(num_clips):
        samples, rate_hz = next(stretches)
        soundfile.write(folder / f"clip-{index:02d}.wav", samples, rate_hz)


def results(lake: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Table -> its rows, sorted, as every reader sees them."""
    with open_lake(lake) as reader:
        return {
            table: sorted(tuple(row.values()) for row in reader.sql(f"SELECT {columns} FROM {table}").to_pylist())
            for table, columns in RESULTS.items()
        }


def scores(lake: Path) -> list[dict[str, Any]]:
    """The rows of `emotions`, by utterance."""
    with open_lake(lake) as reader:
        rows: list[dict[str, Any]] = reader.sql(
            f"SELECT {SCORES} FROM emotions ORDER BY recording_id, utterance_idx"
        ).to_pylist()
    return rows


def _stretches(clip_s: float) -> Iterator[tuple[Any, int]]:
    calls = [soundfile.read(path, dtype="int16", always_2d=True) for path in sorted(CALLS.glob("*.opus"))]
    for number in count():
        for samples, rate_hz in calls:
            length = round(clip_s * rate_hz)
            start = number * length
            assert start + length <= len(samples), "the demo calls are too short for so many clips"
            yield samples[start : start + length, 0], rate_hz

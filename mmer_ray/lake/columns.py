"""Values as the lake's columns hold them: whole milliseconds, rounded scores, text that is text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

MAX_MS = 2**31 - 1
LOST_AUDIO_S = 1e-3
"""Below the tables' resolution, speech and non-speech are taken to sum to the duration: see `split_ms`."""


def clean(text: str) -> str:
    """File names and tags may hold bytes that are no text (lone surrogates), which Arrow cannot: each becomes `?`."""
    return text.encode("utf-8", "replace").decode()


def metadata_items(metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    """Clean names and values, sorted, each name once."""
    return sorted({clean(name): clean(value) for name, value in metadata.items()}.items())


def milliseconds(seconds: float) -> int:
    """The nearest millisecond (ties to even) that an int32 column holds; a header can claim any length."""
    return min(max(round(seconds * 1000), 0), MAX_MS) if math.isfinite(seconds) else 0


def split_ms(duration_s: float, speech_s: float, non_speech_s: float) -> tuple[int, int, int]:
    """Duration, speech and non-speech in milliseconds, rounded so that the ledger only sees lost audio.

    Three independent roundings would differ by up to a millisecond on sound audio, and 16 kHz samples put one
    length in sixteen exactly on a tie: over thousands of recordings that hides or feigns a loss. So speech and
    duration are rounded, and non-speech is what is left of the *sum* of both parts: where that sum meets the
    duration to within the tables' resolution the rows sum exactly, and a real gap stays as wide as it was.
    """
    accounted_s = speech_s + non_speech_s
    if abs(accounted_s - duration_s) < LOST_AUDIO_S:
        accounted_s = duration_s
    speech_ms = milliseconds(speech_s)
    return milliseconds(duration_s), speech_ms, milliseconds(accounted_s) - speech_ms


def values(table: pa.Table, name: str) -> list[Any]:
    """A column as Python values."""
    return table.column(name).to_pylist()


def text_column(values: Sequence[str | None]) -> pa.Array[Any]:
    """Strings, cleaned where they have to be."""
    try:
        return pa.array(values, pa.string())
    except (UnicodeEncodeError, pa.ArrowInvalid):
        return pa.array([None if value is None else clean(value) for value in values], pa.string())


def ms_column(seconds: Sequence[float | None], default: int | None = None) -> pa.Array[Any]:
    """Seconds as `milliseconds` rounds them, int32; what is no number becomes `default`."""
    values = np.array(seconds, dtype=np.float64)
    unknown = ~np.isfinite(values)
    rounded = np.clip(np.rint(np.where(unknown, 0.0, values) * 1000), 0, MAX_MS).astype(np.int32)
    if default is not None:
        rounded[unknown] = default
        unknown[:] = False
    column: pa.Array[Any] = pa.array(rounded, mask=unknown)
    return column


def score_column(scores: Sequence[float | None]) -> pa.Array[Any]:
    """Rounded to 1e-3, float32. What is no number becomes null, so that one of them does not void every average."""
    values = np.array(scores, dtype=np.float64)
    unknown = ~np.isfinite(values)
    # -0.0 + 0.0 is 0.0: equal scores are equal bytes.
    rounded = np.round(np.where(unknown, 0.0, values), 3) + 0.0
    column: pa.Array[Any] = pa.array(rounded.astype(np.float32), mask=unknown)
    return column

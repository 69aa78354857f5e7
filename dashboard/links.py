"""Addresses of one recording's page: which recording, and which second of it."""

from __future__ import annotations

import math

RECORDING, OF_CORPUS, AT = "recording", "of", "at"
"""Names in the address: the recording's id; the corpus that is looked at, as several may have the same audio (`corpus`
is a filter's); seconds from the recording's start."""
MAX_ID_CHARS = 100
"""More of an id is not looked at."""


def recording_address(corpus: str, recording_id: str, at_ms: int | None = None) -> dict[str, str]:
    """What the address of a recording's page has after the question mark; without a time the page chooses one."""
    place = {RECORDING: recording_id, OF_CORPUS: corpus}
    return place if at_ms is None else {**place, AT: f"{at_ms / 1000:.3f}".rstrip("0").rstrip(".")}


def second_of(text: str | None) -> float | None:
    """The second that an address names, as it stands there; None where it names none."""
    try:
        named = float(text or "nan")
    except ValueError:
        return None
    return max(0.0, named) if math.isfinite(named) else None

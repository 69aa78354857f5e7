"""Small clips for requests."""

from __future__ import annotations

import struct


def wav(seconds: float = 1.0, rate_hz: int = 16_000) -> bytes:
    """A mono WAV of 16-bit silence."""
    data = bytes(2 * int(seconds * rate_hz))
    form = struct.pack("<HHIIHH", 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + (b"data" + struct.pack("<I", len(data)) + data)
    )

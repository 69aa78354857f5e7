"""The bounds that every recording is held to: rate, channels, seconds and bytes."""

from __future__ import annotations

from mmer_ray.errors import AudioError, ErrorCode

MIN_RATE_HZ = 4_000
MAX_RATE_HZ = 384_000
MAX_CHANNELS = 32
BYTES_PER_VALUE = 4
"""Decoded audio is priced as float32, the widest that the models see."""


def check_limits(rate_hz: int, channels: int) -> None:
    """Raise `bad_sample_rate` or `bad_channels` for a format that is not read."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(ErrorCode.BAD_SAMPLE_RATE, f"{rate_hz} Hz; {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz are read")
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(ErrorCode.BAD_CHANNELS, f"{channels} channels; 1 to {MAX_CHANNELS} are read")


class Limits:
    """Most seconds and bytes that one recording may decode to."""

    def __init__(self, max_duration_s: float, max_decoded_bytes: int) -> None:
        self._max_duration_s = max_duration_s
        self._max_decoded_bytes = max_decoded_bytes

    def check(self, duration_s: float, num_values: float) -> None:
        """Raise `too_long` for so many seconds, or so many values (samples times channels)."""
        if duration_s > self._max_duration_s:
            raise AudioError(ErrorCode.TOO_LONG, f"{duration_s:.0f} s or more; at most {self._max_duration_s:.0f} s")
        if num_values * BYTES_PER_VALUE > self._max_decoded_bytes:
            held = f"{num_values * BYTES_PER_VALUE:.0f} bytes or more"
            raise AudioError(ErrorCode.TOO_LONG, f"decodes to {held}; at most {self._max_decoded_bytes}")

"""Where the frames of a track lie in the time of its file, by their timestamps.

Times in results count from the beginning of the file, as a player shows it: what is missing becomes silence.
"""

from __future__ import annotations

from dataclasses import dataclass

TOLERANCE_S = 0.15
"""Smaller differences are left alone: rounding, jitter, encoder priming (5,058 samples of HE-AAC last 0.115 s)."""
MAX_REPEAT_S = 10.0
"""A step back by so much repeats sound (segments that overlap); a longer one is a clock that was set anew."""
RESTART_S = 1.0
"""A step back to within so much of the beginning is a second recording behind the first."""
MAX_SILENCE_S = 600.0
BYTES_PER_SILENT_S = 100
"""Silence beyond `MAX_SILENCE_S` is believed of larger files only, a second for so many bytes: coded silence takes
about as much. A forged timestamp in a small file cannot make hours."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What becomes of one frame."""

    silence_s: float = 0.0
    """Seconds of silence that go in front of it."""
    repeated_s: float = 0.0
    """Seconds at its beginning that were there before; all of them for a frame to be dropped."""


class Timeline:
    """Places frames one after the other."""

    def __init__(self, origin_s: float, size_bytes: int, end_s: float | None) -> None:
        """`origin_s` is the timestamp of the beginning of the file; nothing is believed to lie behind `end_s`."""
        self._shift_s = -origin_s
        self._end_s = float("inf") if end_s is None else end_s + TOLERANCE_S
        self._silence_left_s = MAX_SILENCE_S + size_bytes / BYTES_PER_SILENT_S
        self._last_s: float | None = None
        self._expected_s: float | None = None
        self._is_repeating = False
        self.position_s = 0.0
        """Where the next sample goes."""
        self.was_reset = False
        """Timestamps that cannot be right were passed over."""

    def place(self, timestamp_s: float | None, duration_s: float) -> Placement:
        """Say where a frame goes; without a timestamp it follows the one before."""
        placement = Placement() if timestamp_s is None else self._placed(timestamp_s, duration_s)
        self.position_s += placement.silence_s + duration_s - placement.repeated_s
        return placement

    def _placed(self, timestamp_s: float, duration_s: float) -> Placement:
        ahead_s = timestamp_s + self._shift_s - self.position_s
        # Drift of clocks is no hole: only a step from the end of the frame before is.
        step_s = ahead_s if self._expected_s is None else timestamp_s - self._expected_s
        is_twin = timestamp_s == self._last_s
        self._last_s, self._expected_s = timestamp_s, timestamp_s + duration_s
        if is_twin:
            return Placement(repeated_s=duration_s)
        if step_s < -TOLERANCE_S and ahead_s < -TOLERANCE_S:
            is_restart = self.position_s + ahead_s < RESTART_S or -ahead_s > MAX_REPEAT_S
            self._is_repeating = not is_restart
            if is_restart:
                self._reset(ahead_s)
        if self._is_repeating and ahead_s < 0:
            return Placement(repeated_s=min(-ahead_s, duration_s))
        self._is_repeating = False
        is_hole = ahead_s > TOLERANCE_S and step_s > min(TOLERANCE_S, duration_s / 2)
        return Placement(silence_s=self._silence(ahead_s)) if is_hole else Placement()

    def fill(self, until_s: float) -> float:
        """Seconds of silence from the last frame to the end of the file, as far as they are believed."""
        missing_s = until_s - self.position_s
        silence_s = self._silence(missing_s) if missing_s > TOLERANCE_S else 0.0
        self.position_s += silence_s
        return silence_s

    def _silence(self, seconds: float) -> float:
        if seconds > self._silence_left_s or self.position_s + seconds > self._end_s:
            self._reset(seconds)
            return 0.0
        self._silence_left_s -= seconds
        return seconds

    def _reset(self, ahead_s: float) -> None:
        self._shift_s -= ahead_s
        self.was_reset = True

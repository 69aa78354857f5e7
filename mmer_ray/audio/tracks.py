"""Which of several sound tracks is scored: the first in which something is heard, found by a bounded look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
import numpy as np

from mmer_ray.audio.container import Container
from mmer_ray.audio.convert import signature

LOOK_S = 60.0
"""Seconds of every track that are listened to."""
MAX_LOOK_S = 600.0
"""And so many where nothing was heard before."""
MAX_LOOK_TRACKS = 8
MIN_LEVEL_DB = -60.0
"""Below full scale. Quieter tracks are silent."""
MIN_RANGE_DB = 6.0
"""Between the loud and the quiet frames of sound with pauses; hum and hiss have less."""
MAX_BELOW_DB = 30.0
"""A track so much quieter than another holds what leaked into it."""
SILENCE_DB = -120.0


class TrackLevels:
    """The levels of a track's frames, in decibels below full scale."""

    def __init__(self) -> None:
        self.heard_s = 0.0
        self._levels_db: list[float] = []
        self._signature: tuple[str, int, int] | None = None
        self._packer: Any = None

    def hear(self, frame: Any) -> None:
        if signature(frame) != self._signature:
            # To one plane of floats: PyAV reads past the end of the list of planes of frames with eight or more.
            self._signature, self._packer = signature(frame), av.AudioResampler(format="flt")
        self.heard_s += frame.samples / frame.sample_rate
        frame.pts = None
        for packed in self._packer.resample(frame):
            values = packed.to_ndarray().reshape(-1, frame.layout.nb_channels)
            power = float(np.square(np.nan_to_num(values, posinf=1.0, neginf=1.0), dtype=np.float64).mean(axis=0).max())
            self._levels_db.append(max(SILENCE_DB, 10 * float(np.log10(max(power, 1e-30)))))

    @property
    def level_db(self) -> float:
        """Of the loudest twentieth of the frames."""
        return float(np.percentile(self._levels_db, 95)) if self._levels_db else SILENCE_DB

    @property
    def has_pauses(self) -> bool:
        return bool(self._levels_db) and self.level_db - float(np.percentile(self._levels_db, 10)) >= MIN_RANGE_DB


def choose_track(container: Container, pulse: Callable[[], None]) -> int:
    """The place among `container.tracks` of the track to be scored. Reads from the container: open it again."""
    tracks = container.tracks[:MAX_LOOK_TRACKS]
    heard = [TrackLevels() for _ in tracks]
    look_s = LOOK_S
    for place, frame in container.frames(tracks, pulse):
        if frame.samples:
            heard[place].hear(frame)
        if heard[place].heard_s >= MAX_LOOK_S:
            break
        if min(levels.heard_s for levels in heard) >= look_s:
            if _spoken(heard) is not None:
                break
            look_s += LOOK_S
    spoken = _spoken(heard)
    if spoken is not None:
        return spoken
    return max(range(len(heard)), key=lambda place: (heard[place].level_db, -place))


def _spoken(heard: list[TrackLevels]) -> int | None:
    """The first track with sound that has pauses and is no leak of another."""
    floor_db = max(MIN_LEVEL_DB, max(levels.level_db for levels in heard) - MAX_BELOW_DB)
    return next((place for place, one in enumerate(heard) if one.level_db >= floor_db and one.has_pauses), None)

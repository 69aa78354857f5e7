"""Whether two channels hold two parties, and how much of each party is heard in the other's channel.

Of every frame of 20 ms two things are counted, over the whole recording so far: how loud a channel is, and how far it
is above the other. Where each party has a channel, some frames are clearly louder on one, others on the other, and the
steps between are the sum of both attenuations. One voice on both channels keeps one difference, whatever its delay,
gain or noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmer_ray.audio.envelope import FRAMES_PER_S, Envelope, loudest_over

LOWEST_DB, HIGHEST_DB = -30, 110
"""Bounds of levels, above one int16 step."""
WIDEST_DB = 120
"""Bound of differences, either way."""
SPREAD_FRAMES = 5
"""A channel is compared with the other's loudest frame within 100 ms: no delay between channels is a difference."""
LOUD_S = 1.0
"""A channel's loud level is reached for so long in all; less where less was heard."""
LOUD_SHARE = 0.1
NEAR_LOUD_DB = 15
"""Frames so far below a channel's loud level are noise, room, or the ends of words: they prove nothing."""
DOMINANT_DB = 6
"""Above the usual difference of the channels: a frame of the channel's own party. Parties whose attenuations add up
to less than twice this cannot be told from one voice in a room."""
MIN_OWN_S = 0.4
"""Of each party, before it is believed."""
MIN_OWN_SHARE = 0.01
"""Of the loud frames of the channel: chance makes a few."""
LEAK_ABOVE_FLOOR_DB = 3
"""In the median of the other party's frames: less is the channel's own noise."""
FLOOR_SHARE = 0.1
"""Of all frames: so many hold no speech of either party."""
MARGIN_SHARE = 0.2
MIN_MARGIN_DB, MAX_MARGIN_DB = 3.0, 10.0
"""A leak may be louder than its median by this share of both attenuations together, within these bounds."""


class Parties:
    """Counts over the windows of a recording."""

    def __init__(self) -> None:
        num_levels, num_differences = HIGHEST_DB - LOWEST_DB, 2 * WIDEST_DB
        self._above = np.zeros((2, num_levels, num_differences), dtype=np.int64)
        """Frames by a channel's level, and by how far it is above the other's loudest frame around."""

    def update(self, envelope: Envelope) -> None:
        """Count a window's frames."""
        for channel in (0, 1):
            own, other = envelope.levels_db[channel], envelope.levels_db[1 - channel]
            above = own - loudest_over(other, SPREAD_FRAMES, SPREAD_FRAMES)
            rows = np.clip(np.floor(own) - LOWEST_DB, 0, HIGHEST_DB - LOWEST_DB - 1).astype(np.int64)
            columns = np.clip(np.floor(above) + WIDEST_DB, 0, 2 * WIDEST_DB - 1).astype(np.int64)
            counts = np.bincount(rows * (2 * WIDEST_DB) + columns, minlength=self._above[channel].size)
            self._above[channel] += counts.reshape(self._above[channel].shape)

    @property
    def are_two(self) -> bool:
        """Whether each channel was clearly the louder one for some time: as they are, or each beside its loud level.

        The second serves channels of unlike gain.
        """
        return any(self._are_two(offset_db) for offset_db in self._offsets_db)

    def leak_db(self, channel: int) -> float | None:
        """How far below its own channel this channel's party is heard on the other, at least.

        A stretch of the other channel that is so far below this one or further holds nothing else. None where the party
        is not heard there.
        """
        offset_db = next((offset for offset in self._offsets_db if self._are_two(offset)), None)
        if offset_db is None:
            return None
        counts = self._own_frames(channel, offset_db)
        below_db = _percentile(counts.sum(axis=0), 0.5) - WIDEST_DB
        own_db = _percentile(counts.sum(axis=1), 0.5) + LOWEST_DB
        floor_db = _percentile(self._above[1 - channel].sum(axis=1), FLOOR_SHARE) + LOWEST_DB
        if own_db - below_db < floor_db + LEAK_ABOVE_FLOOR_DB:
            return None
        back_db = _percentile(self._own_frames(1 - channel, offset_db).sum(axis=0), 0.5) - WIDEST_DB
        return below_db - float(np.clip(MARGIN_SHARE * (below_db + back_db), MIN_MARGIN_DB, MAX_MARGIN_DB))

    def loud_db(self, channel: int) -> float:
        """The level that a channel reaches for `LOUD_S` in all."""
        counts = self._above[channel].sum(axis=1)
        wanted = max(1.0, min(LOUD_S * FRAMES_PER_S, LOUD_SHARE * counts.sum()))
        return float(HIGHEST_DB - 1 - int(np.searchsorted(np.cumsum(counts[::-1]), wanted)))

    @property
    def _offsets_db(self) -> tuple[float, float]:
        return 0.0, self.loud_db(0) - self.loud_db(1)

    def _are_two(self, offset_db: float) -> bool:
        wanted = (max(MIN_OWN_S * FRAMES_PER_S, MIN_OWN_SHARE * self._loud_frames(channel).sum()) for channel in (0, 1))
        return all(bool(self._own_frames(channel, offset_db).sum() >= least) for channel, least in enumerate(wanted))

    def _loud_frames(self, channel: int) -> NDArray[np.int64]:
        loud: NDArray[np.int64] = self._above[channel].copy()
        loud[: max(0, int(self.loud_db(channel)) - NEAR_LOUD_DB - LOWEST_DB)] = 0
        return loud

    def _own_frames(self, channel: int, offset_db: float) -> NDArray[np.int64]:
        """The loud frames of a channel in which it is clearly above the other, offset aside: levels by differences."""
        own = self._loud_frames(channel)
        least_db = DOMINANT_DB + (offset_db if channel == 0 else -offset_db)
        own[:, : int(np.clip(round(least_db) + WIDEST_DB, 0, 2 * WIDEST_DB))] = 0
        return own


def _percentile(counts: NDArray[np.int64], share: float) -> float:
    """The middle of the bin that so many of the counts lie at or below."""
    return float(np.searchsorted(np.cumsum(counts), share * counts.sum())) + 0.5

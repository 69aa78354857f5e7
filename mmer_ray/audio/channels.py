"""What is handed on of the channels of a recording: one signal, or each party's own channel without the other's words.

Two channels hold two parties, or one signal twice (delayed, scaled, turned round, with other noise), or one signal and
nothing. `parties.py` tells two parties by their levels, `Envelope.correlation` a copy by its waveform.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from mmer_ray.audio.crosstalk import leak_frames, silenced
from mmer_ray.audio.envelope import Envelope
from mmer_ray.audio.parties import Parties
from mmer_ray.audio.quality import LOUD_FRAME_PEAK, SILENT_PEAK, channel_peaks
from mmer_ray.errors import Flag
from mmer_ray.records import Samples

COPY_CORRELATION = 0.4
"""Over a window's loudest stretches. Copies with noise 15 dB below, or of a room, reach 0.6 to 1; unrelated voices stay
below 0.2."""
LEAK_CORRELATION = 0.15
"""Where two parties are heard in each other's channels. The demo's stereo calls have 0.01 as they are and at least 0.37
with a leak 30 dB below; noise that rises and falls with neither party has none."""
DEAD_PEAK = 8
"""-72 dBFS, where the other channel passes -40 dBFS: hum of an open input, not a quiet party."""
LOUDER_DB = 6.0
"""Of two copies the first is taken, unless the second is so much louder."""


class Relation(Enum):
    """How the channels relate."""

    UNKNOWN = "unknown"
    """Nothing was heard yet."""
    SINGLE = "single"
    """One channel in the file."""
    TWO_PARTIES = "two parties"
    COPY = "copy"
    TURNED_COPY = "turned copy"
    """Of opposite sign."""
    FIRST_DEAD = "first dead"
    SECOND_DEAD = "second dead"


@dataclass(frozen=True, slots=True)
class Track:
    """What is handed on of one channel in one window."""

    channel: int
    samples: Samples
    """int16, shape (num_samples,)."""
    one_speaker: bool
    """The channel holds one party: the channel is the speaker."""


class ChannelPlan:
    """Decides window by window, by all that was heard so far. Once each channel had its party, that holds."""

    def __init__(self, num_channels: int) -> None:
        self._parties = Parties()
        self._seen = {Relation.SINGLE if num_channels == 1 else Relation.UNKNOWN}
        self._has_two_parties = False
        self._is_leaking = False

    def tracks(self, samples: Samples) -> Iterator[Track]:
        """Split one window, int16, shape (num_channels, num_samples)."""
        if len(samples) == 1:
            yield Track(0, samples[0], one_speaker=False)
            return
        envelope = Envelope(samples)
        relation = self._relation(samples, envelope)
        self._seen.add(relation)
        if relation is Relation.TWO_PARTIES:
            yield from self._separated(samples, envelope)
        else:
            channel = _live_channel(relation, envelope)
            yield Track(channel, samples[channel], one_speaker=False)

    @property
    def flags(self) -> set[Flag]:
        if self._has_two_parties:
            return set()
        found = {
            Flag.ANTIPHASE: Relation.TURNED_COPY in self._seen,
            Flag.DEAD_CHANNEL: bool(self._seen & {Relation.FIRST_DEAD, Relation.SECOND_DEAD}),
        }
        return {flag for flag, holds in found.items() if holds}

    def _relation(self, samples: Samples, envelope: Envelope) -> Relation:
        peaks = channel_peaks(samples)
        is_heard = peaks.max() > SILENT_PEAK and envelope.levels_db.shape[1] > 0
        correlation = 0.0
        if is_heard:
            self._parties.update(envelope)
            self._has_two_parties |= self._parties.are_two
            correlation = envelope.correlation()
            self._is_leaking |= abs(correlation) >= LEAK_CORRELATION
        if self._has_two_parties:
            return Relation.TWO_PARTIES
        if not is_heard:
            return Relation.UNKNOWN
        if peaks.min() <= DEAD_PEAK and peaks.max() >= LOUD_FRAME_PEAK:
            return Relation.FIRST_DEAD if peaks[0] < peaks[1] else Relation.SECOND_DEAD
        if abs(correlation) < COPY_CORRELATION:
            self._has_two_parties = True
            return Relation.TWO_PARTIES
        return Relation.COPY if correlation > 0 else Relation.TURNED_COPY

    def _separated(self, samples: Samples, envelope: Envelope) -> Iterator[Track]:
        for channel in (0, 1):
            own = samples[channel]
            leak_db = self._parties.leak_db(1 - channel) if self._is_leaking else None
            if leak_db is not None and envelope.levels_db.shape[1]:
                levels_db = envelope.levels_db
                own = silenced(own, leak_frames(levels_db[channel], levels_db[1 - channel], leak_db))
            yield Track(channel, own, one_speaker=True)


def _live_channel(relation: Relation, envelope: Envelope) -> int:
    if relation in (Relation.FIRST_DEAD, Relation.SECOND_DEAD):
        return int(relation is Relation.FIRST_DEAD)
    if relation is Relation.UNKNOWN:
        return 0
    loud_db = np.percentile(envelope.levels_db, 95, axis=1)
    return int(loud_db[1] > loud_db[0] + LOUDER_DB)

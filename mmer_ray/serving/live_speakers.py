"""Who speaks, while a live call goes on: told by the voices of the stretches before.

Each stretch is scored by itself, so the models number its speakers anew. It is asked about together with the voices
that were heard so far, as if the caller had brought them along (`known_speakers.py`). Of two channels, each is a party.
What is said of all of the call at its end leans on none of this.
"""

from __future__ import annotations

from collections.abc import Mapping

from mmer_ray.records import SAMPLE_RATE_HZ, ScoredRecording
from mmer_ray.serving.interface import KnownSpeaker
from mmer_ray.serving.known_speakers import MAX_KNOWN_S, MIN_KNOWN_S, own_stretches
from mmer_ray.serving.live_sound import BYTES_PER_SAMPLE, HEADER_BYTES, wav_header

MIN_ANOTHER_S = 4.0
"""A further voice is believed only where it was heard for so long: short ones are often taken for strangers."""
MAX_VOICES = 6
"""Each is heard once more with every stretch."""


class LiveSpeakers:
    """The voices of one call."""

    def __init__(self, rate_hz: int, num_channels: int) -> None:
        self._rate_hz, self._num_channels = rate_hz, num_channels
        self._channels: list[int] = []
        """In the order in which they first spoke."""
        self._voices: dict[str, bytes] = {}
        """Name -> samples, 16-bit mono."""

    def known(self) -> tuple[KnownSpeaker, ...]:
        """The voices to ask the next stretch about."""
        return tuple(
            KnownSpeaker(name, wav_header(self._rate_hz, 1, len(sound) // BYTES_PER_SAMPLE) + sound)
            for name, sound in self._voices.items()
        )

    def forget(self) -> None:
        """Begin again: the models can make nothing of some voice."""
        self._voices.clear()

    def names(self, scored: ScoredRecording, channel: int, sound: bytes) -> Mapping[str, str]:
        """The stretch's speakers -> `S1`, `S2`, ...; without those whom nobody knows yet. Learns their voices.

        `sound` is the WAV file of the stretch that was scored.
        """
        if self._num_channels > 1:
            if channel not in self._channels:
                self._channels.append(channel)
            return {one.speaker: f"S{self._channels.index(channel) + 1}" for one in scored.utterances}
        names = {turn.speaker: turn.speaker_name for turn in scored.turns if turn.speaker_name}
        for speaker, stretches in own_stretches(scored.turns).items():
            heard = b"".join(self._cut(sound, first, last) for _, first, last in stretches)
            name = names.get(speaker) or self._new_name(len(heard))
            if name is not None:
                names[speaker] = name
                kept = self._voices.get(name, b"") + heard
                self._voices[name] = kept[: int(MAX_KNOWN_S * self._rate_hz) * BYTES_PER_SAMPLE]
        return names

    def _new_name(self, num_bytes: int) -> str | None:
        heard_s = num_bytes / BYTES_PER_SAMPLE / self._rate_hz
        needed_s = MIN_ANOTHER_S if self._voices else MIN_KNOWN_S
        return f"S{len(self._voices) + 1}" if heard_s >= needed_s and len(self._voices) < MAX_VOICES else None

    def _cut(self, sound: bytes, first: int, last: int) -> bytes:
        """The samples between two places, counted at 16 kHz."""
        begin, end = (HEADER_BYTES + at * self._rate_hz // SAMPLE_RATE_HZ * BYTES_PER_SAMPLE for at in (first, last))
        return sound[begin:end]

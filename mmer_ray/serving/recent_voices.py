"""Voices of known speakers that were asked about of late: a live call asks about the same ones with every stretch."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from threading import Lock

from mmer_ray.records import Embedding

MAX_VOICES = 256
"""Of a kilobyte each."""


class RecentVoices:
    """Digest of a sound's bytes -> voice. Safe to call from several threads."""

    def __init__(self) -> None:
        self._voices: OrderedDict[bytes, Embedding] = OrderedDict()
        self._busy = Lock()

    def get(self, sound: bytes) -> Embedding | None:
        """The voice of a sound, None where it is not known."""
        digest = _digest(sound)
        with self._busy:
            if digest in self._voices:
                self._voices.move_to_end(digest)
            return self._voices.get(digest)

    def keep(self, sound: bytes, voice: Embedding) -> None:
        """Remember a voice in the place of the one that was not asked about for longest."""
        with self._busy:
            self._voices[_digest(sound)] = voice
            if len(self._voices) > MAX_VOICES:
                self._voices.popitem(last=False)


def _digest(sound: bytes) -> bytes:
    return blake2b(sound, digest_size=16).digest()

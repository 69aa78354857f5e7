"""What made a result: one key per stage, each covering the keys before it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one profile. Limits, costs and names of roles are in none of them."""

    decode: str
    diarize: str
    transcribe: str
    join: str
    emotion: str
    link: str
    scorer: str
    """Name of the emotion model: its family and the first digits of its digest."""
    limits: str
    """Digest of the decoder's limits: only failures for such a limit look at it."""
    channel_roles: tuple[str, ...] = ()

    @property
    def heard(self) -> str:
        """The key of what is heard: the last stage before emotion."""
        return self.join

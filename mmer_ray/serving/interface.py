"""What stands between the HTTP side and the models: one clip is asked, one scored recording comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mmer_ray.errors import MmerError
from mmer_ray.records import Expected, ScoredRecording
from mmer_ray.stages.keys import Keys


class ScorersUnavailableError(MmerError):
    """No replica could answer: none is ready, or the one that held the clip died. Another try may succeed."""


@dataclass(frozen=True, slots=True)
class KnownSpeaker:
    """Somebody whose voice the caller brings along."""

    name: str
    sound: bytes
    """A file of two to ten seconds of speech, in any container that the decoder reads."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One clip to score."""

    sound: bytes | Path
    """The bytes of a file, or a file on a disk that HTTP side and models share. No bytes ask only whether what is
    expected can be heeded; the answer is then a failed recording."""
    expected: Expected = field(default_factory=Expected)
    known_speakers: tuple[KnownSpeaker, ...] = ()
    is_job: bool = False
    """Whether the limits are those of the profile's `decode` alone, and not those of `serve` too."""
    is_call: bool = False
    """Of such a long one: whether it is a whole live call. Somebody waits for it, so it waits for no job and goes
    behind nothing that comes later."""


@dataclass(frozen=True, slots=True)
class Served:
    """What answers: stated in every analysis."""

    profile: str
    keys: Keys
    models: Mapping[str, str]
    """The profile's key -> digest of the model."""
    names: Mapping[str, str]
    """The profile's key -> name of the model, as the profile gives it."""


class Scorers(Protocol):
    """The models, in this process or in replicas. All methods run on the event loop and never block it."""

    async def served(self) -> Served:
        """What answers. Raises `ScorersUnavailableError` until a replica is ready."""
        ...

    async def score(self, asked: Asked) -> ScoredRecording:
        """Score one clip: as the batch job would, a bad one as failed. Its `uri` is empty.

        With known speakers, `speaker_name` of turns and utterances is filled in. Being cancelled drops the work.
        Raises `ScorersUnavailableError`, and `UsageError` where the profile's models do not heed what is expected, or a
        known speaker's sound cannot be used; its message begins with the field of the request that is meant.
        """
        ...

"""One conversation as the formats of many conversations take it."""

from __future__ import annotations

from dataclasses import dataclass

from mmer_ray.records import Utterance


@dataclass(frozen=True, slots=True)
class Exported:
    """A scored recording with what was said in it."""

    recording_id: str
    uri: str
    corpus: str
    duration_s: float
    sample_rate_hz: int
    """The file's own rate."""
    channels: int
    utterances: tuple[Utterance, ...]
    """Sorted by start."""

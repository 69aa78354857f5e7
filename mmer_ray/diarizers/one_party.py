"""A channel that holds one party: the channel is the speaker, and nothing is clustered."""

from __future__ import annotations

from mmer_ray.audio.vad import VoiceDetector
from mmer_ray.diarizers.interface import Diarization
from mmer_ray.diarizers.speaker_turns import to_turns
from mmer_ray.records import Window


def one_party(window: Window, vad: VoiceDetector) -> Diarization:
    """Every stretch of speech, by the voice activity detector alone, is a turn of speaker 0."""
    spans = [(start_s, end_s, 0) for start_s, end_s in vad.regions(window.samples)]
    return Diarization(to_turns(spans, window.start_s))

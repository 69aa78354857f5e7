"""Speakers by name: whose voice is nearest to one that the caller brought along.

Each speaker of a recording is heard in up to `VOICE_S` of their own turns, wherever they lie and whether or not a
channel is theirs alone. A known voice names the speaker that it is nearest to, and no more than one, where the two are
no further apart than speakers of two windows of a recording may be (`Pipeline.join_threshold`).

How often that is right, with the default profile, 22 actors of RAVDESS and EmoDB in acted moods and 30 s of each
against known sounds of 2.5, 5 and 9 s: 4, 4 and 0 of 22 people are not recognised, and 1, 0 and 4 of 222 strangers are
taken for another, each pair by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mmer_ray.audio.needed import SoundRange
from mmer_ray.errors import UsageError
from mmer_ray.records import SAMPLE_RATE_HZ, Embedding, Samples, ScoredRecording, SpeakerTurn, Window
from mmer_ray.serving.interface import KnownSpeaker
from mmer_ray.stages.intervals import gaps, union

NAMES, SOUNDS = "known_speaker_names", "known_speaker_references"
"""The fields of a request, with which refusals begin."""
MIN_KNOWN_S, MAX_KNOWN_S = 2.0, 10.0
SLACK_S = 0.1
"""Codecs add and drop some milliseconds at the ends."""
VOICE_S = 30.0
MIN_STRETCH_S = 0.5
"""Shorter ones say little about a voice."""


def check_names(known: Sequence[KnownSpeaker]) -> None:
    """Raise `UsageError` for names that are empty or not apart."""
    names = [one.name for one in known]
    if not all(name.strip() for name in names):
        raise UsageError(f"{NAMES}: a name is empty")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{NAMES}: {twice[0]!r} stands there twice")


def known_sound(name: str, windows: Sequence[Window]) -> Samples:
    """The sound of a known speaker out of what was decoded: that of its louder channel. Raises `UsageError`."""
    by_channel: dict[int, list[Samples]] = defaultdict(list)
    for window in windows:
        by_channel[window.channel].append(window.samples)
    sounds = [np.concatenate(parts) for parts in by_channel.values()]
    sound = max(sounds, key=lambda samples: float(np.square(samples, dtype=np.float64).mean()))
    duration_s = len(sound) / SAMPLE_RATE_HZ
    if duration_s < MIN_KNOWN_S - SLACK_S:
        raise UsageError(
            f"{SOUNDS}: the sound of {name!r} lasts {duration_s:.1f} s; {MIN_KNOWN_S:.0f} to {MAX_KNOWN_S:.0f} s of "
            "one person's speech are taken"
        )
    return sound


def own_stretches(turns: Sequence[SpeakerTurn]) -> dict[str, list[SoundRange]]:
    """Speaker -> where they are heard, `VOICE_S` at most: their longest stretches that nobody else speaks in on the
    channel, or, without any, their longest turns."""
    chosen: dict[str, list[SoundRange]] = {}
    for speaker in dict.fromkeys(turn.speaker for turn in turns):
        whole = [
            (channel, start_s, end_s)
            for channel in sorted({turn.channel for turn in turns if turn.speaker == speaker})
            for start_s, end_s in _spans(turns, channel, speaker)
        ]
        alone = [
            (channel, first_s, last_s)
            for channel, start_s, end_s in whole
            for first_s, last_s in gaps([(start_s, end_s)], _others(turns, channel, speaker))
            if last_s - first_s >= MIN_STRETCH_S
        ]
        chosen[speaker] = _longest(alone or whole)
    return chosen


def _spans(turns: Sequence[SpeakerTurn], channel: int, speaker: str) -> list[tuple[float, float]]:
    return union((turn.start_s, turn.end_s) for turn in turns if (turn.channel, turn.speaker) == (channel, speaker))


def _others(turns: Sequence[SpeakerTurn], channel: int, speaker: str) -> list[tuple[float, float]]:
    return union((turn.start_s, turn.end_s) for turn in turns if turn.channel == channel and turn.speaker != speaker)


def _longest(stretches: Sequence[tuple[int, float, float]]) -> list[SoundRange]:
    """The longest stretches, the last one cut where all are `VOICE_S` long, in order of channel and time."""
    room_s, chosen = VOICE_S, []
    for channel, start_s, end_s in sorted(stretches, key=lambda one: one[1] - one[2]):
        if room_s < MIN_STRETCH_S:
            break
        end_s = min(end_s, start_s + room_s)
        room_s -= end_s - start_s
        chosen.append((channel, round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)))
    return sorted(chosen)


class SpeakerSounds:
    """Puts the stretches of each speaker together out of the windows that hold them, as these come."""

    def __init__(self, stretches: Mapping[str, Sequence[SoundRange]]) -> None:
        self._stretches = stretches
        self._parts: dict[str, list[Samples]] = {speaker: [] for speaker in stretches}

    @property
    def ranges(self) -> list[SoundRange]:
        """All that is needed."""
        return [one for stretches in self._stretches.values() for one in stretches]

    def add(self, window: Window) -> None:
        """Take what is needed of a window; windows of a channel come in order of time."""
        first = round(window.start_s * SAMPLE_RATE_HZ)
        for speaker, stretches in self._stretches.items():
            for channel, begin, end in stretches:
                if channel == window.channel and begin < first + len(window.samples) and end > first:
                    # A copy: a view would keep the whole window.
                    self._parts[speaker].append(window.samples[max(0, begin - first) : max(0, end - first)].copy())

    def sounds(self) -> dict[str, Samples]:
        """Speaker -> sound, int16, shape (num_samples,); without speakers of whom there is none."""
        return {speaker: np.concatenate(parts) for speaker, parts in self._parts.items() if parts}


def names_of(voices: Mapping[str, Embedding], known: Mapping[str, Embedding], threshold: float) -> dict[str, str]:
    """Speaker -> name, for the speakers that are recognised: the nearest pair first, each name and speaker once."""
    pairs = sorted(
        (1.0 - float(np.dot(voice.astype(np.float64), theirs.astype(np.float64))), speaker, name)
        for speaker, voice in voices.items()
        for name, theirs in known.items()
    )
    found: dict[str, str] = {}
    for distance, speaker, name in pairs:
        if distance <= threshold and speaker not in found and name not in found.values():
            found[speaker] = name
    return found


def with_names(scored: ScoredRecording, names: Mapping[str, str]) -> ScoredRecording:
    """The same recording, its turns and utterances under these names."""
    return replace(
        scored,
        turns=tuple(replace(one, speaker_name=names.get(one.speaker)) for one in scored.turns),
        utterances=tuple(replace(one, speaker_name=names.get(one.speaker)) for one in scored.utterances),
    )

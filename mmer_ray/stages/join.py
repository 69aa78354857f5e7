"""Join: from the heard windows of one recording to its final utterances and turns.

Speakers are joined over windows and an utterance that a window's border cut in two becomes one again, before any
emotion is asked about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mmer_ray.errors import Flag
from mmer_ray.models.members import KeyPart
from mmer_ray.profiles import Profile
from mmer_ray.records import AudioFacts, Recording, ScoredRecording, SpeakerTurn, Utterance, Window
from mmer_ray.stages.borders import merge_over_borders, number_dialogues
from mmer_ray.stages.intervals import Interval, gaps, intersection, seconds, union
from mmer_ray.stages.talk import overlap_of_each, overlap_s, stretches
from mmer_ray.stages.utterances import voted_language

VERSION = "1"
"""Goes up whenever the same heard windows give other utterances or turns."""

Local = tuple[int, int]
"""A speaker before joining: window index and local number. Of a channel that holds one party: -1 and the channel."""


def key_part(profile: Profile) -> KeyPart:
    """What the rows of heard windows hang on."""
    return {"version": VERSION, "options": profile.join.model_dump(mode="json")}


def join(
    recording: Recording, facts: AudioFacts, windows: Sequence[Window], distance_threshold: float
) -> ScoredRecording:
    """Make a recording's rows but for emotions, roles and measures; windows in any order, each once.

    Embeddings of two windows that are further apart than `distance_threshold` are of two people. A window that is
    missing leaves the ledger (`speech_s` + `non_speech_s`) short of the duration.
    """
    windows = sorted(windows, key=lambda window: window.index)
    persons = _persons(windows, distance_threshold)
    named = [_with_persons(window, persons) for window in windows]
    numbered = number_dialogues(merge_over_borders(named), windows)
    in_order = sorted(numbered, key=lambda one: (one.start_s, one.end_s, one.channel))
    turns = _turns(windows, persons)
    names = _names(in_order, turns)
    talk = stretches(in_order, turns)
    overlaps_s = overlap_of_each(in_order, talk)
    utterances = tuple(
        replace(utterance, speaker=names[utterance.speaker], overlap_s=overlap)
        for utterance, overlap in zip(in_order, overlaps_s, strict=True)
    )
    speech, non_speech = _ledger(windows)
    language, language_p = voted_language((one.language, one.language_p, one.end_s - one.start_s) for one in utterances)
    flags = facts.flags if turns else (*facts.flags, Flag.NO_SPEECH)
    return ScoredRecording(
        recording=recording,
        status="scored",
        audio=replace(facts, flags=tuple(dict.fromkeys(flags))),
        utterances=utterances,
        turns=tuple(replace(turn, speaker=names[turn.speaker]) for turn in turns),
        dropped=tuple(sorted((one for window in windows for one in window.dropped), key=lambda one: one.start_s)),
        num_speakers=len(set(persons.values())),
        speech_s=seconds(speech),
        non_speech_s=seconds(non_speech),
        overlap_s=overlap_s(talk),
        language=language,
        language_p=language_p,
    )


def _persons(windows: Sequence[Window], distance_threshold: float) -> dict[Local, int]:
    """Number the people of a recording: local speaker -> person."""
    # scipy's clustering: only a recording with a mixed channel pays for its import.
    from mmer_ray.diarizers.agglomerative import cluster, stack

    persons: dict[Local, int] = {}
    mixed = [(window, speaker) for window in windows if not window.one_speaker for speaker in _speakers(window)]
    if mixed:
        embeddings = stack([window.embeddings[speaker] for window, speaker in mixed])
        indices = np.array([window.index for window, _ in mixed])
        groups = cluster(embeddings, distance_threshold, len(mixed), window_N=indices).tolist()
        persons = {(window.index, speaker): group for (window, speaker), group in zip(mixed, groups, strict=True)}
    channels = sorted({window.channel for window in windows if window.one_speaker and window.turns})
    first = len(set(persons.values()))
    return persons | {(-1, channel): first + number for number, channel in enumerate(channels)}


def _speakers(window: Window) -> list[int]:
    return sorted({turn.speaker for turn in window.turns})


def _local(window: Window, speaker: int) -> Local:
    return (-1, window.channel) if window.one_speaker else (window.index, speaker)


def _with_persons(window: Window, persons: Mapping[Local, int]) -> Window:
    """The same window, its utterances under their person's number."""
    named = (
        replace(one, speaker=str(persons[_local(window, int(one.speaker.rpartition(":")[2]))]))
        for one in window.utterances
    )
    return replace(window, utterances=tuple(named))


def _turns(windows: Sequence[Window], persons: Mapping[Local, int]) -> list[SpeakerTurn]:
    """The turns of all windows in whole milliseconds, sorted by start; those of one speaker that touch are one."""
    spans: dict[tuple[int, str], list[Interval]] = {}
    for window in windows:
        for turn in window.turns:
            whose = window.channel, str(persons[_local(window, turn.speaker)])
            spans.setdefault(whose, []).append((round(turn.start_s * 1000), round(turn.end_s * 1000)))
    turns = [
        SpeakerTurn(start_ms / 1000, end_ms / 1000, channel, speaker)
        for (channel, speaker), intervals in spans.items()
        for start_ms, end_ms in union(intervals)
    ]
    return sorted(turns, key=lambda turn: (turn.start_s, turn.end_s, turn.channel))


def _names(utterances: Sequence[Utterance], turns: Sequence[SpeakerTurn]) -> dict[str, str]:
    """Person's number -> S1, S2, .. by first words, then, without words, by first turns."""
    names: dict[str, str] = {}
    for number in (*(one.speaker for one in utterances), *(turn.speaker for turn in turns)):
        names.setdefault(number, f"S{len(names) + 1}")
    return names


def _ledger(windows: Sequence[Window]) -> tuple[list[Interval], list[Interval]]:
    """Split the seconds that every channel's windows cover into speech (on any channel) and the gaps between it."""
    covered: list[Interval] | None = None
    for channel in sorted({window.channel for window in windows}):
        spans = union((window.start_s, window.end_s) for window in windows if window.channel == channel)
        covered = spans if covered is None else intersection(covered, spans)
    turns = union((turn.start_s, turn.end_s) for window in windows for turn in window.turns)
    return intersection(covered or [], turns), gaps(covered or [], turns)

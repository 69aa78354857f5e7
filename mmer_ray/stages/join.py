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
from mmer_ray.records import (
    SAMPLE_RATE_HZ,
    AudioFacts,
    KeptPieces,
    Recording,
    ScoredRecording,
    SpeakerTurn,
    Utterance,
    Window,
    WindowPieces,
)
from mmer_ray.stages.borders import merge_over_borders, number_dialogues
from mmer_ray.stages.confidence import Sure, confidence_of_each, mean_confidence
from mmer_ray.stages.intervals import Interval, gaps, intersection, seconds, union
from mmer_ray.stages.talk import overlap_of_each, overlap_s, stretches
from mmer_ray.stages.utterances import voted_language

VERSION = "2"
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
    persons = persons_of(windows, distance_threshold)
    named = [_with_persons(window, persons) for window in windows]
    numbered = number_dialogues(merge_over_borders(named), windows)
    joined = with_speakers(recording, facts, windows, persons, numbered)
    dropped = tuple(sorted((one for window in windows for one in window.dropped), key=lambda one: one.start_s))
    return replace(joined, dropped=dropped, pieces=_pieces(windows))


def with_speakers(
    recording: Recording,
    facts: AudioFacts,
    windows: Sequence[Window],
    persons: Mapping[Local, int],
    utterances: Sequence[Utterance],
) -> ScoredRecording:
    """Make the rows that hang on who is who; the `speaker` of each utterance is the number of its person."""
    in_order = sorted(utterances, key=lambda one: (one.start_s, one.end_s, one.channel))
    turns = _turns(windows, persons)
    names = _names(in_order, turns)
    talk = stretches(in_order, turns)
    overlaps_s = overlap_of_each(in_order, talk)
    confidences = confidence_of_each(in_order, turns)
    final = tuple(
        replace(utterance, speaker=names[utterance.speaker], overlap_s=overlap, speaker_confidence=confidence)
        for utterance, overlap, confidence in zip(in_order, overlaps_s, confidences, strict=True)
    )
    speech, non_speech = _ledger(windows)
    language, language_p = voted_language((one.language, one.language_p, one.end_s - one.start_s) for one in final)
    flags = facts.flags if turns else (*facts.flags, Flag.NO_SPEECH)
    return ScoredRecording(
        recording=recording,
        status="scored",
        audio=replace(facts, flags=tuple(dict.fromkeys(flags))),
        utterances=final,
        turns=tuple(replace(turn, speaker=names[turn.speaker]) for turn in turns),
        num_speakers=len(set(persons.values())),
        speech_s=seconds(speech),
        non_speech_s=seconds(non_speech),
        overlap_s=overlap_s(talk),
        language=language,
        language_p=language_p,
    )


def persons_of(
    windows: Sequence[Window],
    distance_threshold: float,
    max_persons: int | None = None,
    *,
    is_exact: bool = False,
) -> dict[Local, int]:
    """Number the people of a recording: local speaker -> person.

    At most `max_persons` on its mixed channels, or so many whatever the threshold says (`is_exact`); those of one
    window stay apart all the same.
    """
    # scipy's clustering: only a recording with a mixed channel pays for its import.
    from mmer_ray.diarizers.agglomerative import cluster, stack

    persons: dict[Local, int] = {}
    mixed = [(window, speaker) for window in windows if not window.one_speaker for speaker in _speakers(window)]
    if mixed:
        embeddings = stack([window.embeddings[speaker] for window, speaker in mixed])
        indices = np.array([window.index for window, _ in mixed])
        threshold = 0.0 if is_exact else distance_threshold
        groups = cluster(embeddings, threshold, max_persons or len(mixed), window_N=indices).tolist()
        persons = {(window.index, speaker): group for (window, speaker), group in zip(mixed, groups, strict=True)}
    channels = sorted({window.channel for window in windows if window.one_speaker and window.turns})
    first = len(set(persons.values()))
    return persons | {(-1, channel): first + number for number, channel in enumerate(channels)}


def _speakers(window: Window) -> list[int]:
    return sorted({turn.speaker for turn in window.turns})


def local_of(window: Window, speaker: int) -> Local:
    """Name a window's speaker among those of the recording."""
    return (-1, window.channel) if window.one_speaker else (window.index, speaker)


def _with_persons(window: Window, persons: Mapping[Local, int]) -> Window:
    """The same window, its utterances under their person's number."""
    named = (
        replace(one, speaker=str(persons[local_of(window, int(one.speaker.rpartition(":")[2]))]))
        for one in window.utterances
    )
    return replace(window, utterances=tuple(named))


def _turns(windows: Sequence[Window], persons: Mapping[Local, int]) -> list[SpeakerTurn]:
    """The turns of all windows in whole milliseconds, sorted by start; those of one speaker that touch are one."""
    spans_of: dict[tuple[int, str], list[Sure]] = {}
    for window in windows:
        for turn in window.turns:
            whose = window.channel, str(persons[local_of(window, turn.speaker)])
            span = round(turn.start_s * 1000) / 1000, round(turn.end_s * 1000) / 1000
            spans_of.setdefault(whose, []).append((*span, turn.confidence))
    turns: list[SpeakerTurn] = []
    for (channel, speaker), some in spans_of.items():
        some.sort(key=lambda one: one[:2])
        for start_s, end_s in union((start_s, end_s) for start_s, end_s, _ in some):
            turns.append(SpeakerTurn(start_s, end_s, channel, speaker, mean_confidence(start_s, end_s, some)))
    return sorted(turns, key=lambda turn: (turn.start_s, turn.end_s, turn.channel))


def _pieces(windows: Sequence[Window]) -> tuple[WindowPieces, ...]:
    """What was kept of each window; nothing where no window has anything to count speakers from."""
    if all(window.kept is None for window in windows):
        return ()
    return tuple(
        WindowPieces(
            window_idx=window.index,
            channel=window.channel,
            start_sample=round(window.start_s * SAMPLE_RATE_HZ),
            num_samples=round((window.end_s - window.start_s) * SAMPLE_RATE_HZ),
            one_speaker=window.one_speaker,
            kept=window.kept or KeptPieces(),
        )
        for window in windows
    )


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

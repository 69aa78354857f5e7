"""From the windows of one recording to its final rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mmer_ray.errors import Flag
from mmer_ray.profiles import LinkOptions
from mmer_ray.records import AudioFacts, Recording, ScoredRecording, Utterance, Window
from mmer_ray.stages.borders import mend_borders
from mmer_ray.stages.clustering import cluster, stack
from mmer_ray.stages.intervals import Interval, gaps, intersection, seconds, union
from mmer_ray.stages.measures import measure, overlap_of_each

DISTANCE_THRESHOLD = 0.25
"""Between the mean voices of two windows, which are steadier than those of single stretches. On 15 synthetic calls cut
into windows of 20 or 30 s, every value from 0.2 to 0.35 joins the same speakers; at 0.15 some stay apart."""

Local = tuple[int, int]
"""A speaker before linking: window index and local number. Of a channel that holds one party: -1 and the channel."""


class Link:
    """Joins speakers across windows, mends utterances at window borders, and measures the conversation."""

    name = "link"

    def __init__(self, options: LinkOptions) -> None:
        self._threshold = options.distance_threshold or DISTANCE_THRESHOLD
        self._roles = options.channel_roles

    def join(self, recording: Recording, facts: AudioFacts, windows: Sequence[Window]) -> ScoredRecording:
        """Make the recording's rows; windows in any order, each once. A window that is missing leaves the ledger
        (`speech_s` + `non_speech_s`) short of the duration.
        """
        windows = sorted(windows, key=lambda window: window.index)
        persons = self._persons(windows)
        utterances = _finish(mend_borders([_named(window, persons, self._roles) for window in windows]))
        speech, non_speech = _ledger(windows)
        has_turns = any(window.turns for window in windows)
        flags = facts.flags if has_turns else (*facts.flags, Flag.NO_SPEECH)
        measures = measure(utterances, facts.duration_s)
        language, language_p = _language(utterances)
        return ScoredRecording(
            recording=recording,
            status="scored",
            audio=replace(facts, flags=tuple(dict.fromkeys(flags))),
            utterances=utterances,
            measures=measures,
            num_speakers=len(set(persons.values())),
            speech_s=seconds(speech),
            non_speech_s=seconds(non_speech),
            overlap_s=measures.overlap_s,
            language=language,
            language_p=language_p,
        )

    def _persons(self, windows: Sequence[Window]) -> dict[Local, int]:
        """Number the people of a recording: local speaker -> person."""
        persons: dict[Local, int] = {}
        mixed = [(window, speaker) for window in windows if not window.apart for speaker in _speakers(window)]
        if mixed:
            embeddings = stack([window.embeddings[speaker] for window, speaker in mixed])
            indices = np.array([window.index for window, _ in mixed])
            groups = cluster(embeddings, self._threshold, len(mixed), apart_N=indices).tolist()
            persons = {(window.index, speaker): group for (window, speaker), group in zip(mixed, groups, strict=True)}
        channels = sorted({window.channel for window in windows if window.apart and window.turns})
        first = len(set(persons.values()))
        return persons | {(-1, channel): first + number for number, channel in enumerate(channels)}


def _speakers(window: Window) -> list[int]:
    return sorted({turn.speaker for turn in window.turns})


def _local(window: Window, utterance: Utterance) -> Local:
    return (-1, window.channel) if window.apart else (window.index, int(utterance.speaker.rpartition(":")[2]))


def _named(window: Window, persons: Mapping[Local, int], roles: Sequence[str]) -> Window:
    """The same window, its utterances under their person's number and, where a channel is a party, with its role."""
    role = roles[window.channel] if window.apart and window.channel < len(roles) else None
    named = (
        replace(utterance, speaker=str(persons[_local(window, utterance)]), role=role)
        for utterance in window.utterances
    )
    return replace(window, utterances=tuple(named))


def _finish(utterances: Sequence[Utterance]) -> tuple[Utterance, ...]:
    """Sort, name the speakers S1, S2, .. by their first words, and fill in overlaps."""
    in_order = sorted(utterances, key=lambda one: (one.start_s, one.end_s, one.channel))
    names: dict[str, str] = {}
    for utterance in in_order:
        names.setdefault(utterance.speaker, f"S{len(names) + 1}")
    overlaps_s = overlap_of_each(in_order)
    return tuple(
        replace(utterance, speaker=names[utterance.speaker], overlap_s=overlap)
        for utterance, overlap in zip(in_order, overlaps_s, strict=True)
    )


def _ledger(windows: Sequence[Window]) -> tuple[list[Interval], list[Interval]]:
    """Split the seconds that every channel's windows cover into speech (on any channel) and the gaps between it."""
    covered: list[Interval] | None = None
    for channel in sorted({window.channel for window in windows}):
        spans = union((window.start_s, window.end_s) for window in windows if window.channel == channel)
        covered = spans if covered is None else intersection(covered, spans)
    turns = union((turn.start_s, turn.end_s) for window in windows for turn in window.turns)
    return intersection(covered or [], turns), gaps(covered or [], turns)


def _language(utterances: Sequence[Utterance]) -> tuple[str | None, float | None]:
    """Choose the language with the most seconds, and its probability averaged over them."""
    seconds_of: dict[str, float] = defaultdict(float)
    probability_s: dict[str, float] = defaultdict(float)
    for one in utterances:
        if one.language is not None:
            seconds_of[one.language] += one.end_s - one.start_s
            probability_s[one.language] += (one.end_s - one.start_s) * (one.language_p or 0.0)
    if not seconds_of:
        return None, None
    language = max(sorted(seconds_of), key=lambda name: seconds_of[name])
    return language, probability_s[language] / max(seconds_of[language], 1e-9)

"""Speakers counted again, from what a diarizer kept of a recording: no sound, no models, no torch.

Words and the borders of utterances stay, so that the emotions that were felt in them stay true; who speaks changes. An
utterance whose words now belong to several speakers goes to the one with most of their seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmer_ray.diarizers.assignment import HeardPieces
from mmer_ray.errors import UsageError
from mmer_ray.records import SAMPLE_RATE_HZ, ScoredRecording, SpeakerTurn, Turn, Utterance, Window, WindowPieces
from mmer_ray.stages.join import Local, local_of, persons_of, with_speakers

VERSION = "1"
"""Goes up whenever the same pieces and options give other speakers."""
LEAST_THRESHOLD = 0.02
"""Below, pieces of one breath are voices of their own."""
SEARCH_STEPS = 8
"""Halvings of the distance threshold's range in search of a number of speakers: to 0.002."""


@dataclass(frozen=True)
class Counting:
    """How speakers are counted; distances as in `profiles.DiarizeOptions` and `profiles.JoinOptions`."""

    threshold: float
    between_windows: float
    max_speakers: int
    num_speakers: int | None = None
    """So many, whatever the thresholds say."""


def recount(known: ScoredRecording, pieces: Sequence[WindowPieces], counting: Counting) -> ScoredRecording:
    """The recording with its speakers counted again: utterances in their order, without roles and measures.

    Within windows speakers are counted by the threshold, and over windows they are joined. A given number is met by
    joining the closest; where there are too few to join, by the largest threshold within windows that gives enough,
    else by parting the window with most pieces. Raises `UsageError` where that is not enough either.
    """
    heard = {one.window_idx: HeardPieces.unpacked(one.kept) for one in pieces if one.kept.num_pieces}
    windows, persons = _counted(known, pieces, heard, counting)
    utterances = _assigned(known.utterances, windows, persons)
    assert known.audio is not None
    counted = with_speakers(known.recording, known.audio, windows, persons, utterances)
    return replace(counted, audio=known.audio, language=known.language, language_p=known.language_p)


def _counted(
    known: ScoredRecording, pieces: Sequence[WindowPieces], heard: Mapping[int, HeardPieces], counting: Counting
) -> tuple[list[Window], dict[Local, int]]:
    """The windows with their turns, and who is who over all of them."""
    wanted = counting.num_speakers
    most = counting.max_speakers if wanted is None else wanted
    longest = max(heard, key=lambda index: len(heard[index].pieces), default=-1)

    def windows_at(threshold: float, least: int = 1) -> list[Window]:
        return [
            _window(known, one, heard.get(one.window_idx), threshold, (least if one.window_idx == longest else 1, most))
            for one in pieces
        ]

    def at(threshold: float, least: int = 1) -> tuple[list[Window], int]:
        windows = windows_at(threshold, least)
        persons = persons_of([one for one in windows if not one.one_speaker], counting.between_windows)
        return windows, len(set(persons.values()))

    if wanted is None:
        windows = windows_at(counting.threshold)
        return windows, persons_of(windows, counting.between_windows, most)
    windows, num_found = at(counting.threshold)
    if num_found < wanted:
        windows, num_found = _search(at, wanted, counting.threshold) or at(counting.threshold, wanted)
    if num_found < wanted:
        raise UsageError(f"{known.recording.uri}: its voices cannot be told apart into more than {num_found} speakers")
    return windows, persons_of(windows, counting.between_windows, wanted, is_exact=True)


def _search(
    at: Callable[[float], tuple[list[Window], int]], wanted: int, threshold: float
) -> tuple[list[Window], int] | None:
    """The answer at the largest threshold that gives enough speakers; None where none does."""
    best = at(LEAST_THRESHOLD)
    if best[1] < wanted:
        return None
    low, high = LEAST_THRESHOLD, threshold
    for _ in range(SEARCH_STEPS):
        middle = (low + high) / 2
        found = at(middle)
        if found[1] >= wanted:
            best, low = found, middle
        else:
            high = middle
    return best


def _window(
    known: ScoredRecording,
    one: WindowPieces,
    heard: HeardPieces | None,
    threshold: float,
    num_speakers: tuple[int, int],
) -> Window:
    """A window with its turns, as the diarizer would answer; `num_speakers`: the fewest and the most."""
    start_s = one.start_sample / SAMPLE_RATE_HZ
    end_s = (one.start_sample + one.num_samples) / SAMPLE_RATE_HZ
    window = Window(
        known.recording, one.window_idx, one.channel, start_s, end_s, np.empty(0, np.int16), one.one_speaker
    )
    if one.one_speaker:
        return replace(window, turns=_party(known.turns, window))
    if heard is None:
        return window
    least, most = num_speakers
    answer = heard.assign(heard.speakers(threshold, least, most), start_s, end_s)
    return replace(window, turns=answer.turns, embeddings=answer.embeddings, exclusive_turns=answer.exclusive_turns)


def _party(turns: Sequence[SpeakerTurn], window: Window) -> tuple[Turn, ...]:
    """The turns in a window whose channel holds one party, as they were found."""
    spans = [
        (max(turn.start_s, window.start_s), min(turn.end_s, window.end_s))
        for turn in turns
        if turn.channel == window.channel
    ]
    return tuple(Turn(start_s, end_s, 0) for start_s, end_s in spans if end_s > start_s)


def _assigned(
    utterances: Sequence[Utterance], windows: Sequence[Window], persons: Mapping[Local, int]
) -> list[Utterance]:
    """The utterances, each under the number of the person who says most of it."""
    lines: dict[int, _Line] = {
        channel: _Line([one for one in windows if one.channel == channel], persons)
        for channel in {one.channel for one in windows}
    }
    return [replace(one, speaker=str(lines[one.channel].person_of(one))) for one in utterances]


class _Line:
    """Who is heard when on one channel, one person at a time."""

    def __init__(self, windows: Sequence[Window], persons: Mapping[Local, int]) -> None:
        turns = sorted(
            (turn.start_s, turn.end_s, persons[local_of(window, turn.speaker)])
            for window in windows
            for turn in (window.exclusive_turns or window.turns)
        )
        self._starts_s, self._ends_s, self._persons = (np.array(column) for column in zip(*turns, strict=True))

    def person_of(self, utterance: Utterance) -> int:
        """The person with most seconds of the words; each word is whose turn covers most of it, or is nearest."""
        seconds_of: dict[int, float] = defaultdict(float)
        for start_s, end_s in _timed(utterance):
            # Turns are apart: those that touch the word, and the one on either side.
            first = max(0, int(np.searchsorted(self._ends_s, start_s)) - 1)
            near = slice(first, int(np.searchsorted(self._starts_s, end_s)) + 1)
            shared_s = np.minimum(self._ends_s[near], end_s) - np.maximum(self._starts_s[near], start_s)
            seconds_of[int(self._persons[near][shared_s.argmax()])] += end_s - start_s
        return max(seconds_of, key=lambda person: seconds_of[person])


def _timed(utterance: Utterance) -> list[tuple[float, float]]:
    """Start and end of each word; those of the utterance where no word has any."""
    words = [(one.start_s, one.end_s) for one in utterance.words]
    timed = [(start_s, end_s) for start_s, end_s in words if start_s is not None and end_s is not None]
    return timed or [(utterance.start_s, utterance.end_s)]

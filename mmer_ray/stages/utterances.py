"""From words with times to utterances: one speaker, no long pause, at most half a minute."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mmer_ray.records import SAMPLE_RATE_HZ, Samples, Turn, Utterance, Window, Word
from mmer_ray.stages.intervals import gaps, union
from mmer_ray.stages.measures import MAX_UTTERANCE_S

MAX_PAUSE_S = 0.8
"""A longer pause between two words ends the utterance. Pauses inside a sentence are mostly below half a second, and
one second is where a partner starts to answer (Jefferson 1989, the "standard maximum" silence)."""
MIN_FLOOR_S = 0.2
"""Less sound without speech gives no noise floor."""
QUANTISATION_POWER = 1 / 12
"""Power of int16 rounding: digital silence has at least this, so that a ratio to it stays finite."""


class HeardWord(NamedTuple):
    """A word as the transcriber gives it: times always known, with what its frames say of the transcript."""

    word: str
    start_s: float
    end_s: float
    p: float
    """Mean probability of its characters."""
    logprob: float
    """Mean log probability of the transcript's path over its frames."""


def to_utterances(window: Window, words: Sequence[HeardWord]) -> tuple[Utterance, ...]:
    """Group a window's words, sorted by time, into its utterances, sorted by start."""
    runs: list[tuple[int, list[HeardWord]]] = []
    for word in words:
        speaker = speaker_of(word, window.turns)
        if runs and runs[-1][0] == speaker and word.start_s - runs[-1][1][-1].end_s <= MAX_PAUSE_S:
            runs[-1][1].append(word)
        else:
            runs.append((speaker, [word]))
    floor = noise_power(window)
    utterances = (
        _utterance(window, speaker, part, floor) for speaker, run in runs for part in split_long(run, MAX_UTTERANCE_S)
    )
    return tuple(sorted(utterances, key=lambda utterance: utterance.start_s))


def speaker_of(word: HeardWord, turns: Sequence[Turn]) -> int:
    """Choose the turn that covers most of a word, or the nearest where none does; its speaker."""
    # Negative where they do not touch: then the smallest distance wins.
    return max(turns, key=lambda turn: min(turn.end_s, word.end_s) - max(turn.start_s, word.start_s)).speaker


def split_long(words: list[HeardWord], max_s: float) -> list[list[HeardWord]]:
    """Split words at their largest pauses until no part is longer than `max_s`."""
    if len(words) < 2 or words[-1].end_s - words[0].start_s <= max_s:
        return [words]
    pauses_s = [after.start_s - before.end_s for before, after in pairwise(words)]
    # Of equal pauses, the one nearest to the middle.
    cut = max(range(len(pauses_s)), key=lambda i: (pauses_s[i], -abs(i - len(pauses_s) / 2))) + 1
    return split_long(words[:cut], max_s) + split_long(words[cut:], max_s)


def noise_power(window: Window) -> float | None:
    """Mean power of a window's samples outside all turns; None when there is too little of it."""
    silence = gaps([(window.start_s, window.end_s)], union((turn.start_s, turn.end_s) for turn in window.turns))
    quiet = [_cut(window, start_s, end_s) for start_s, end_s in silence]
    num_samples = sum(len(part) for part in quiet)
    if num_samples < MIN_FLOOR_S * SAMPLE_RATE_HZ:
        return None
    return max(sum(_energy(part) for part in quiet) / num_samples, QUANTISATION_POWER)


def _utterance(window: Window, speaker: int, words: Sequence[HeardWord], floor: float | None) -> Utterance:
    start_s, end_s = max(window.start_s, words[0].start_s), min(window.end_s, words[-1].end_s)
    weights = np.array([max(word.end_s - word.start_s, 1e-3) for word in words])
    return Utterance(
        start_s=start_s,
        end_s=end_s,
        channel=window.channel,
        speaker=f"W{window.index}:{speaker}",
        text=" ".join(word.word for word in words),
        words=tuple(Word(word.word, word.start_s, word.end_s, word.p) for word in words),
        asr_logprob=float(np.average([word.logprob for word in words], weights=weights)),
        snr_db=_snr_db(_cut(window, start_s, end_s), floor),
    )


def _snr_db(samples: Samples, floor: float | None) -> float | None:
    """Compare the power of an utterance, noise included, with the window's noise, in decibels."""
    if floor is None or len(samples) == 0:
        return None
    return float(10 * np.log10(max(_energy(samples) / len(samples), QUANTISATION_POWER) / floor))


def _cut(window: Window, start_s: float, end_s: float) -> Samples:
    begin, end = (round((time_s - window.start_s) * SAMPLE_RATE_HZ) for time_s in (start_s, end_s))
    return window.samples[max(begin, 0) : max(end, 0)]


def _energy(samples: Samples) -> float:
    return float(np.square(samples, dtype=np.float64).sum())

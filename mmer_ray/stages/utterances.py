"""From words with times to utterances: one speaker, no long pause, at most half a minute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mmer_ray.records import SAMPLE_RATE_HZ, SAMPLES_PER_MS, Samples, Turn, Utterance, Window, Word
from mmer_ray.stages.intervals import gaps, union

MAX_UTTERANCE_S = 30.0

MAX_PAUSE_S = 0.8
"""A longer pause between two words ends the utterance. Pauses inside a sentence are mostly below half a second, and
one second is where a partner starts to answer (Jefferson 1989, the "standard maximum" silence)."""
MIN_FLOOR_S = 0.2
"""Less sound without speech gives no noise floor."""
QUANTISATION_POWER = 1 / 12
"""Power of int16 rounding: digital silence has at least this, so that a ratio to it stays finite."""


class HeardWord(NamedTuple):
    """A word of the recording, with what its transcript says of it."""

    word: str
    start_s: float
    end_s: float
    p: float
    """Mean probability of its characters."""
    logprob: float | None
    """Mean log probability of the transcript over its frames."""
    language: str | None = None
    language_p: float | None = None
    fallback_reason: str | None = None


def to_utterances(window: Window, words: Sequence[HeardWord]) -> tuple[Utterance, ...]:
    """Group a window's words, sorted by time, into its utterances, sorted by start. Their times are whole ms."""
    runs: list[tuple[int, list[HeardWord]]] = []
    for word in words:
        speaker = speaker_of(word, window.exclusive_turns or window.turns)
        if runs and runs[-1][0] == speaker and word.start_s - runs[-1][1][-1].end_s <= MAX_PAUSE_S:
            runs[-1][1].append(word)
        else:
            runs.append((speaker, [word]))
    floor = noise_power(window)
    utterances = (
        _utterance(window, speaker, part, floor) for speaker, run in runs for part in split_long(run, MAX_UTTERANCE_S)
    )
    return tuple(sorted(utterances, key=lambda utterance: (utterance.start_s, utterance.end_s)))


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


def voted_language(votes: Iterable[tuple[str | None, float | None, float]]) -> tuple[str | None, float | None]:
    """Choose the language with the most seconds among (language, its probability, seconds).

    Its probability is the mean over the seconds for which one is known, None where none is.
    """
    seconds_of: dict[str, float] = defaultdict(float)
    known_s: dict[str, float] = defaultdict(float)
    sums: dict[str, float] = defaultdict(float)
    for language, probability, seconds in votes:
        if language is None:
            continue
        seconds_of[language] += seconds
        if probability is not None:
            known_s[language] += seconds
            sums[language] += seconds * probability
    if not seconds_of:
        return None, None
    language = max(sorted(seconds_of), key=lambda name: seconds_of[name])
    return language, sums[language] / known_s[language] if known_s[language] else None


def _utterance(window: Window, speaker: int, words: Sequence[HeardWord], floor: float | None) -> Utterance:
    timed = tuple(_in_whole_ms(word, window) for word in words)
    start_s, end_s = timed[0].start_s, timed[-1].end_s
    assert start_s is not None
    assert end_s is not None
    weights = [max(word.end_s - word.start_s, 1e-3) for word in words]
    language, language_p = voted_language(
        (word.language, word.language_p, weight) for word, weight in zip(words, weights, strict=True)
    )
    return Utterance(
        start_s=start_s,
        end_s=end_s,
        channel=window.channel,
        speaker=f"W{window.index}:{speaker}",
        text=" ".join(word.word for word in words),
        words=timed,
        language=language,
        language_p=language_p,
        asr_logprob=_mean_logprob(words, weights),
        fallback_reason=next((word.fallback_reason for word in words if word.fallback_reason), None),
        snr_db=_snr_db(_cut(window, start_s, end_s), floor),
        speaker_is_channel=window.one_speaker,
    )


def _mean_logprob(words: Sequence[HeardWord], weights: Sequence[float]) -> float | None:
    known = [(word.logprob, weight) for word, weight in zip(words, weights, strict=True) if word.logprob is not None]
    if not known:
        return None
    return float(np.average([logprob for logprob, _ in known], weights=[weight for _, weight in known]))


def _in_whole_ms(word: HeardWord, window: Window) -> Word:
    """Round a word's times to milliseconds, which are exact samples, inside its window; it lasts one at least."""
    first_ms = round(window.start_s * 1000)
    # A recording need not end on a whole millisecond.
    last_ms = max(first_ms + 1, round(window.end_s * SAMPLE_RATE_HZ) // SAMPLES_PER_MS)
    start_ms = min(max(round(word.start_s * 1000), first_ms), last_ms - 1)
    end_ms = max(min(round(word.end_s * 1000), last_ms), start_ms + 1)
    return Word(word.word, start_ms / 1000, end_ms / 1000, word.p)


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

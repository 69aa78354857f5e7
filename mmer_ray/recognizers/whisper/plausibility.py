"""Which words of a transcript cannot have been said. The rules look at numbers and at form, never at phrases."""

from __future__ import annotations

from collections.abc import Sequence

from mmer_ray.recognizers.interface import TimedWord
from mmer_ray.recognizers.whisper.network import Generated
from mmer_ray.records import DroppedWords

NO_SPEECH_BOUNDS = ((0.6, -0.5), (0.4, -1.0))
"""A chunk holds no speech where its no-speech probability is above the first and its log probability below the second
of a pair. The published pair is 0.6 and -1.0 (Radford et al. 2023, section 4.5). With tiny.en, noise, tones and music
have 0.42 to 0.97 and half of them more than -1.0; RAVDESS and EmoDB, which it cannot read, have at most 0.29, 3 s
pieces of a meeting at most 0.34."""
HOPELESS_LOGPROB = -1.5
"""A text that is less probable than this after the second search too was guessed."""
MAX_WORDS_PER_S = 8.0
"""Fast speech has six words a second; a short burst may have more, so a few words are free."""
FREE_WORDS = 3
MIN_REPEATS = 4
"""A run of words that follows itself so often is a loop of the decoder, unless it is short: people stammer."""
MIN_LOOP_WORDS = 8
LONGEST_LOOP_WORDS = 12
SENTENCE_REPEATS = 3
MIN_SENTENCE_WORDS = 3
"""So long a sentence, so often in a row, is not said either."""

NO_SPEECH = "no_speech"
GUESSED = "low_log_probability"
TOO_FAST = "too_fast"
REPEATED = "repeated"
NO_ROOM = "outside_sound"


def plausible_words(
    words: Sequence[TimedWord], generated: Generated, duration_s: float
) -> tuple[list[TimedWord], list[DroppedWords]]:
    """Part what can have been said in a chunk of `duration_s` from what cannot, each stretch of it with a reason."""
    if not words:
        return [], []
    if reason := _unbelievable(words, generated, duration_s):
        return [], [_dropped(reason, words)]
    kept, repeated = _without_loops(words)
    placed, unplaced = _without_crowds(kept, duration_s)
    return placed, [*repeated, *unplaced]


def _unbelievable(words: Sequence[TimedWord], generated: Generated, duration_s: float) -> str | None:
    """Why nothing of a chunk is believed; None where something is."""
    if any(generated.no_speech_p > p and generated.logprob < logprob for p, logprob in NO_SPEECH_BOUNDS):
        return NO_SPEECH
    if generated.logprob < HOPELESS_LOGPROB:
        return GUESSED
    kept, _ = _without_loops(words)
    return TOO_FAST if len(kept) > FREE_WORDS + MAX_WORDS_PER_S * duration_s else None


def _without_loops(words: Sequence[TimedWord]) -> tuple[list[TimedWord], list[DroppedWords]]:
    """Keep the first turn of each loop."""
    keys = [_key(word.word) for word in words]
    kept: list[TimedWord] = []
    dropped: list[DroppedWords] = []
    at = 0
    while at < len(words):
        period, turns = _loop_at(keys, at)
        kept.extend(words[at : at + period])
        if turns > 1:
            dropped.append(_dropped(REPEATED, words[at + period : at + period * turns]))
        at += period * turns
    return kept, dropped


def _loop_at(keys: Sequence[str], at: int) -> tuple[int, int]:
    """The shortest run of words at a place that goes round too often, and how often; (1, 1) where none does."""
    for period in range(1, LONGEST_LOOP_WORDS + 1):
        turns = 1
        while keys[at + period * turns : at + period * (turns + 1)] == keys[at : at + period]:
            turns += 1
        enough = SENTENCE_REPEATS if period >= MIN_SENTENCE_WORDS else MIN_REPEATS
        if turns >= enough and period * turns >= MIN_LOOP_WORDS:
            return period, turns
    return 1, 1


def _without_crowds(words: Sequence[TimedWord], duration_s: float) -> tuple[list[TimedWord], list[DroppedWords]]:
    """Drop what is crowded at the chunk's end: words for which there was no sound left."""
    end = len(words)
    while end > 0 and words[end - 1].end_s - words[end - 1].start_s <= 0 and words[end - 1].start_s >= duration_s - 0.1:
        end -= 1
    crowd = words[end:]
    if len(crowd) <= 1:
        return list(words), []
    return list(words[:end]), [_dropped(NO_ROOM, crowd)]


def _key(word: str) -> str:
    return "".join(char for char in word.lower() if char.isalnum())


def _dropped(reason: str, words: Sequence[TimedWord]) -> DroppedWords:
    return DroppedWords(reason, len(words), words[0].start_s, words[-1].end_s)

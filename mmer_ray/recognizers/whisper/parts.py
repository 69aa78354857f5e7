"""A chunk of several stretches of which little was read, and its second reading: each stretch by itself.

Speech that lies apart is read together, without the pauses between. A small model then at times leaves out all but one
stretch, or says one sentence over and over. Its log probability tells nothing: what it wrote is likely.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from mmer_ray.recognizers.interface import Chunk, TimedWord, Transcript
from mmer_ray.recognizers.whisper.plausibility import GUESSED, REPEATED
from mmer_ray.recognizers.whisper.tokens import UNSPACED
from mmer_ray.records import SAMPLE_RATE_HZ, DroppedWords

FEW_WORDS = "few_words"
"""The reason for a second reading, in `Transcript.fallback_reason`."""
MIN_LETTERS_PER_S = 6.0
"""Of the 35 chunks of several stretches in the demo's calls and the clips for development, tiny.en read six in part,
with 1 to 4 letters a second, and the others with 7.7 to 14."""
MIN_GAIN = 1.2
"""The second reading counts if it has so many times the letters of the first one."""


def needs_parts(chunk: Chunk, transcript: Transcript) -> bool:
    """Whether to read the stretches of a chunk one by one.

    Where nothing was read there may be no speech; languages without spaces have other bounds.
    """
    if not chunk.splices or transcript.language in UNSPACED:
        return False
    if any(one.reason in (REPEATED, GUESSED) for one in transcript.dropped):
        return True
    return 0 < num_letters([transcript]) < MIN_LETTERS_PER_S * len(chunk.samples) / SAMPLE_RATE_HZ


def parts_of(chunk: Chunk, transcript: Transcript) -> list[Chunk]:
    """The stretches of a chunk, in the language that was found for the whole."""
    return [
        Chunk(chunk.samples[begin:end], transcript.language, expected=chunk.expected) for begin, end in _places(chunk)
    ]


def fuller(chunk: Chunk, whole: Transcript, parts: Sequence[Transcript]) -> Transcript:
    """Of the transcripts of a chunk and of its parts, the parts' as one where they have clearly more."""
    if num_letters(parts) < MIN_GAIN * num_letters([whole]):
        return whole
    words: list[TimedWord] = []
    dropped: list[DroppedWords] = []
    for (begin, end), part in zip(_places(chunk), parts, strict=True):
        shift_s, end_s = begin / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ
        # A word may be placed past the sound: behind a splice it would stand in the next stretch.
        words += [
            word._replace(
                start_s=min(word.start_s + shift_s, end_s),
                end_s=min(word.end_s + shift_s, end_s),
                logprob=part.logprob if word.logprob is None else word.logprob,
            )
            for word in part.words
        ]
        dropped += [
            one._replace(start_s=min(one.start_s + shift_s, end_s), end_s=min(one.end_s + shift_s, end_s))
            for one in part.dropped
        ]
    return replace(whole, words=tuple(words), dropped=tuple(dropped), fallback_reason=FEW_WORDS)


def num_letters(transcripts: Sequence[Transcript]) -> int:
    """Letters and digits of all words."""
    return sum(char.isalnum() for one in transcripts for word in one.words for char in word.word)


def _places(chunk: Chunk) -> Iterator[tuple[int, int]]:
    yield from pairwise([0, *chunk.splices, len(chunk.samples)])

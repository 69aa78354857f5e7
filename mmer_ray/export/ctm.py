"""CTM: a line per word, as NIST's `sclite` reads it."""

from __future__ import annotations

from collections.abc import Sequence

from mmer_ray.export.fields import field, file_field, time_fields
from mmer_ray.export.word_times import timed_words
from mmer_ray.records import Utterance


def to_ctm(recording: str, utterances: Sequence[Utterance]) -> str:
    """NIST CTM (SCTK, doc/infmts.htm): file, channel, start, duration, word, confidence.

    File and channel are written as in RTTM, lines are sorted by channel and start as `sclite` asks. Words without times
    get some as `word_times.timed_words` says; those of a text without words have no confidence.
    """
    name = file_field(recording)
    words = [(one.channel, word) for one in utterances for word in timed_words(one)]
    words.sort(key=lambda placed: (placed[0], placed[1].start_s))
    return "".join(
        f"{name} {channel + 1} {time_fields(word.start_s, word.end_s)} {field(word.word)}"
        f"{'' if word.p is None else f' {word.p:.3f}'}\n"
        for channel, word in words
    )

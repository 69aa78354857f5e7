"""What is given of a recording, window by window, in the form in which the stages would have found it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mmer_ray.diarizers.interface import Diarization
from mmer_ray.records import Given, SpeakerTurn, Turn, Window
from mmer_ray.stages.utterances import HeardWord


def cut_given(window: Window, given: Given) -> Window:
    """The window with what is given of it: words by their middle, so that each is in one window, and parts of turns.

    The turns of a recording keep the order of its speakers, also of those who are silent in this window.
    """
    words = given.words
    if words is not None:
        words = tuple(word for word in words if window.start_s <= (word.start_s + word.end_s) / 2 < window.end_s)
    return replace(window, given=replace(given, words=words))


def given_words(window: Window) -> list[HeardWord] | None:
    """The words that need not be transcribed; None where none are given.

    Without a turn in the window there is nobody to say them: then there are none, and the recording is flagged
    (`transcript_mismatch`) once its words are counted.
    """
    given = window.given
    if given is None or given.words is None:
        return None
    if not window.turns:
        return []
    return [
        HeardWord(word.word, word.start_s, word.end_s, word.p, word.logprob, given.language, given.language_p)
        for word in given.words
    ]


def given_diarization(window: Window) -> Diarization | None:
    """The turns that need not be found; None where none are given.

    The embedding of a given speaker is an axis of its own, float32, shape (num_speakers,) over the whole recording: one
    speaker in two windows is at cosine distance 0, two speakers are at 1, whatever they sound like.
    """
    if window.given is None or window.given.turns is None:
        return None
    speakers = list(dict.fromkeys(turn.speaker for turn in window.given.turns))
    clipped = [(turn, _clip(turn, window)) for turn in window.given.turns]
    inside = [(turn.speaker, start_s, end_s) for turn, (start_s, end_s) in clipped if end_s > start_s]
    here = [speaker for speaker in speakers if any(speaker == other for other, _, _ in inside)]
    axes = np.eye(len(speakers), dtype=np.float32)
    return Diarization(
        turns=tuple(Turn(start_s, end_s, here.index(speaker)) for speaker, start_s, end_s in inside),
        embeddings=tuple(axes[speakers.index(speaker)] for speaker in here),
    )


def _clip(turn: SpeakerTurn, window: Window) -> tuple[float, float]:
    return max(turn.start_s, window.start_s), min(turn.end_s, window.end_s)

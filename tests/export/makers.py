"""Small conversations."""

from __future__ import annotations

from collections.abc import Sequence

from mmer_ray.export.exported import Exported
from mmer_ray.records import Emotion, Utterance, Word


def said(start_s: float, end_s: float, text: str, speaker: str = "S1", label: str | None = None) -> Utterance:
    emotions = (Emotion(scorer="test", label=label),) if label else ()
    return Utterance(start_s, end_s, channel=0, speaker=speaker, text=text, emotions=emotions)


def spoken(start_s: float, words: list[str], word_s: float = 0.5) -> Utterance:
    timed = tuple(
        Word(word, start_s + index * word_s, start_s + (index + 1) * word_s, p=0.9) for index, word in enumerate(words)
    )
    return Utterance(start_s, start_s + len(words) * word_s, 0, "S1", " ".join(words), timed)


TALK = [said(0.5, 2.25, "hello there", "S1", "neutral"), said(3599.9, 3601.5, 'so "what" now', "S2", "angry")]


def conversation(utterances: Sequence[Utterance], name: str = "a", corpus: str = "calls") -> Exported:
    """A stereo recording of an hour and a bit, `/calls/NAME.wav`."""
    return Exported(f"id-{name}", f"/calls/{name}.wav", corpus, 3602.125, 8_000, 2, tuple(utterances))

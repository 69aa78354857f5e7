"""Subtitles: SRT and WebVTT.

They are cut at words to what can be read: at most `MAX_CUE_CHARS` characters and `MAX_CUE_S` seconds a cue
(two lines of 42 and 7 s, as the timed text guides of broadcasters ask). Text is escaped for the format it goes to,
so that a transcript with `-->` or `<b>` in it can neither break a file nor a player.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mmer_ray.records import Utterance, Word

MAX_CUE_CHARS = 84
MAX_CUE_S = 7.0
MIN_CUE_S = 0.001
"""WebVTT refuses a cue that does not end after its start."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A piece of one utterance, short enough to be read at once."""

    start_s: float
    end_s: float
    speaker: str
    text: str
    label: str | None
    """The utterance's emotion; None when not scored."""


def to_srt(utterances: Sequence[Utterance], *, speakers: bool = True) -> str:
    """SubRip: numbered cues, `S1: text`, or the text alone. Empty for an empty conversation."""
    return "\n".join(
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n"
        f"{_srt_text(f'{cue.speaker}: {cue.text}' if speakers else cue.text)}\n"
        for number, cue in enumerate(cues(utterances), start=1)
    )


def to_vtt(utterances: Sequence[Utterance]) -> str:
    """WebVTT (w3.org/TR/webvtt1): the speaker is the cue's voice, the emotion its class: `<v.angry S2>text`."""
    blocks = ["WEBVTT\n"]
    for cue in cues(utterances):
        voice = f"v.{_vtt_class(cue.label)}" if cue.label else "v"
        text = f"<{voice} {_vtt_text(cue.speaker)}>{_vtt_text(cue.text)}"
        blocks.append(f"{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n{text}\n")
    return "\n".join(blocks)


def cues(utterances: Sequence[Utterance]) -> list[Cue]:
    """Cut utterances at words into readable cues, in the order of their starts.

    WebVTT allows no other order (w3.org/TR/webvtt1, section 4.1): where people speak at once, the pieces of one
    utterance lie between those of another.
    """
    return sorted(_cues(utterances), key=lambda cue: cue.start_s)


def _cues(utterances: Sequence[Utterance]) -> Iterator[Cue]:
    for one in sorted(utterances, key=lambda utterance: (utterance.start_s, utterance.channel)):
        label = next((emotion.label for emotion in one.emotions if emotion.label), None)
        for start_s, end_s, text in _pieces(one):
            yield Cue(start_s, max(end_s, start_s + MIN_CUE_S), one.called, text, label)


def _pieces(one: Utterance) -> Iterator[tuple[float, float, str]]:
    """(start, end, text) of each cue of an utterance; one piece when its words carry no times."""
    groups = _groups(one.words)
    if len(groups) < 2:
        yield one.start_s, one.end_s, one.text
        return
    starts_s = [one.start_s, *(_start_s(group) for group in groups[1:])]
    for index, group in enumerate(groups):
        is_last = index + 1 == len(groups)
        end_s = one.end_s if is_last else _end_s(group, starts_s[index + 1])
        yield starts_s[index], end_s, " ".join(word.word for word in group)


def _groups(words: Sequence[Word]) -> list[list[Word]]:
    """Words in runs that fit a cue. A run begins only at a word with a start time."""
    groups: list[list[Word]] = []
    for word in words:
        if not groups or (word.start_s is not None and not _fits(groups[-1], word)):
            groups.append([])
        groups[-1].append(word)
    return groups


def _fits(group: list[Word], word: Word) -> bool:
    num_chars = sum(len(one.word) + 1 for one in group) + len(word.word)
    starts_s = [one.start_s for one in group if one.start_s is not None]
    end_s = word.end_s if word.end_s is not None else word.start_s
    too_long = bool(starts_s) and end_s is not None and end_s - starts_s[0] > MAX_CUE_S
    return num_chars <= MAX_CUE_CHARS and not too_long


def _start_s(group: Sequence[Word]) -> float:
    start_s = group[0].start_s
    assert start_s is not None, "a group begins at a word with a start time"
    return start_s


def _end_s(group: Sequence[Word], next_start_s: float) -> float:
    return next((word.end_s for word in reversed(group) if word.end_s is not None), next_start_s)


def _clock(time_s: float, point: str) -> str:
    """HH:MM:SS and milliseconds; hours grow beyond two digits where they must.

    >>> _clock(3661.0625, ",")
    '01:01:01,062'
    """
    total_ms = round(max(time_s, 0.0) * 1000)
    seconds, ms = divmod(total_ms, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}{point}{ms:03d}"


def _srt_text(text: str) -> str:
    # SubRip has no escapes: players read <b> as markup, parsers read --> as a timing line, an empty line ends a cue.
    return _one_line(text).replace("-->", "->").replace("<", "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}")


def _vtt_text(text: str) -> str:
    return html.escape(_one_line(text), quote=False)


def _vtt_class(label: str) -> str:
    return re.sub(r"[^\w-]", "_", label)


def _one_line(text: str) -> str:
    return " ".join(text.split())

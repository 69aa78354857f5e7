"""Praat's TextGrid, in its long text form (Praat manual, "TextGrid file formats")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mmer_ray.export.word_times import timed_words
from mmer_ray.records import Utterance


class Interval(NamedTuple):
    """A labelled stretch of a tier."""

    start_ms: int
    end_ms: int
    text: str


def to_textgrid(utterances: Sequence[Utterance], duration_s: float) -> str:
    """Three interval tiers per speaker: utterances, `words` and, where there are any, `emotion` labels.

    A tier of Praat covers the whole recording (`duration_s`, or up to the last word) without overlaps: gaps are empty
    intervals, and what overlaps in a tier goes to a further tier of the same name and a number. Words without times
    get some as `word_times.timed_words` says. A grid needs a tier: that of an empty conversation is `utterances`.
    """
    tiers = [tier for speaker in _speakers(utterances) for tier in _tiers(speaker, utterances)] or [("utterances", [])]
    ends_ms = [interval.end_ms for _, intervals in tiers for interval in intervals]
    end_ms = max([round(duration_s * 1000), *ends_ms])
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    head += ["xmin = 0", f"xmax = {_s(end_ms)}", "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    lines = [*head, *(line for at, tier in enumerate(tiers, start=1) for line in _tier_lines(at, *tier, end_ms))]
    return "\n".join(lines) + "\n"


def _speakers(utterances: Sequence[Utterance]) -> list[str]:
    return list(dict.fromkeys(one.called for one in sorted(utterances, key=lambda one: one.start_s)))


def _tiers(speaker: str, utterances: Sequence[Utterance]) -> Iterator[tuple[str, list[Interval]]]:
    mine = [one for one in utterances if one.called == speaker]
    yield from _without_overlaps(speaker, (_interval(one.start_s, one.end_s, one.text) for one in mine))
    words = (word for one in mine for word in timed_words(one))
    yield from _without_overlaps(f"{speaker} words", (_interval(word.start_s, word.end_s, word.word) for word in words))
    labels = ((one, emotion.label) for one in mine for emotion in one.emotions)
    yield from _without_overlaps(
        f"{speaker} emotion", (_interval(one.start_s, one.end_s, label) for one, label in labels if label)
    )


def _interval(start_s: float, end_s: float, text: str) -> Interval:
    start_ms = round(start_s * 1000)
    # Praat refuses an interval without length.
    return Interval(start_ms, max(round(end_s * 1000), start_ms + 1), text)


def _without_overlaps(name: str, intervals: Iterable[Interval]) -> Iterator[tuple[str, list[Interval]]]:
    """Tiers `name`, `name (2)`, ..: each interval in the first one that is free at its start."""
    tiers: list[list[Interval]] = []
    for interval in sorted(intervals):
        free = next((tier for tier in tiers if tier[-1].end_ms <= interval.start_ms), None)
        if free is None:
            tiers.append([interval])
        else:
            free.append(interval)
    for number, tier in enumerate(tiers, start=1):
        yield (name if number == 1 else f"{name} ({number})"), tier


def _tier_lines(at: int, name: str, intervals: Sequence[Interval], end_ms: int) -> Iterator[str]:
    covering = list(_with_gaps(intervals, end_ms))
    yield f"    item [{at}]:"
    yield '        class = "IntervalTier"'
    yield f"        name = {_quoted(name)}"
    yield "        xmin = 0"
    yield f"        xmax = {_s(end_ms)}"
    yield f"        intervals: size = {len(covering)}"
    for number, interval in enumerate(covering, start=1):
        yield f"        intervals [{number}]:"
        yield f"            xmin = {_s(interval.start_ms)}"
        yield f"            xmax = {_s(interval.end_ms)}"
        yield f"            text = {_quoted(interval.text)}"


def _with_gaps(intervals: Iterable[Interval], end_ms: int) -> Iterator[Interval]:
    at_ms = 0
    for interval in intervals:
        if interval.start_ms > at_ms:
            yield Interval(at_ms, interval.start_ms, "")
        yield interval
        at_ms = interval.end_ms
    if at_ms < end_ms:
        yield Interval(at_ms, end_ms, "")


def _s(time_ms: int) -> str:
    return f"{time_ms / 1000:.3f}"


def _quoted(text: str) -> str:
    """Between quotes, with those inside doubled, on one line."""
    return '"' + " ".join(text.split()).replace('"', '""') + '"'

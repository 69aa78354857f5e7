"""Utterances without what the rules find: in the text, in the words, and in names that people gave to speakers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any, NamedTuple

from mmer_ray.records import Utterance, Word
from mmer_ray.redact.passage import Passage, Span, passage
from mmer_ray.redact.rules import RuleSet, placeholder

_OWN_NAME = re.compile(r"[SN]\d{1,3}")
"""What speakers are called until somebody renames them, and what they are called here in place of a name that is taken
out: a number that says nothing."""
_OF_THE_PIPELINE = frozenset({"speaker", "text", "language", "fallback_reason"})
"""Fields of an utterance that are no label: the first two are treated by themselves, the others are ours."""


class WordsDoNotFitError(ValueError):
    """An utterance has words that its text does not: nobody can say which of them a span covers."""


class Stretch(NamedTuple):
    """Sound that must not be published."""

    start_s: float
    end_s: float
    kind: str


@dataclass(frozen=True, slots=True)
class Redacted:
    """A conversation that may be published, as far as its text goes."""

    utterances: tuple[Utterance, ...]
    """As many as before, in the same order."""
    stretches: tuple[Stretch, ...]
    """What was taken out, in seconds of the recording, sorted by start."""
    has_all_times: bool
    """Whether `stretches` has all that was taken out: an utterance without words does not say when it was said."""


class _Piece(NamedTuple):
    """Where a word stands in its utterance's text."""

    start: int
    end: int
    word: Word | None
    """None for words of a text that has no words of its own."""


def redact(utterances: Sequence[Utterance], rules: RuleSet) -> Redacted:
    """Put a placeholder in place of each span that the rules find in what a speaker says, over all utterances.

    A word that a span covers in part is covered whole. Several words become one, from the start of the first to the
    end of the last. Where a covered word has no times, the whole utterance counts as its stretch. Raises
    `WordsDoNotFitError`.
    """
    names = _names(utterances, rules)
    found = _spans_of_utterances(utterances, rules)
    done = [_redacted(one, found.get(at, [])) for at, one in enumerate(utterances)]
    stretches = [stretch for _, some in done for stretch in some or ()]
    return Redacted(
        tuple(replace(_without_labels(one, rules), speaker=names[one.speaker]) for one, _ in done),
        tuple(sorted(stretches)),
        all(some is not None for _, some in done),
    )


def kinds_left(utterances: Sequence[Utterance], rules: RuleSet) -> list[str]:
    """The kinds of what the rules still find in redacted utterances: empty where they may be published. Texts, words
    and labels are asked, each for itself."""
    names = {one.speaker for one in utterances if not _OWN_NAME.fullmatch(one.speaker)}
    labels = [passage([label]) for label in names.union(*(_labels(one).values() for one in utterances))]
    return sorted({span.kind for said in labels for span in rules.left(said)} | set(kinds_said(utterances, rules)))


def kinds_said(utterances: Sequence[Utterance], rules: RuleSet) -> list[str]:
    """The kinds of what the rules find in texts and words, placeholders left out."""
    texts = [replace(one, words=()) for one in utterances]
    words = [replace(one, text=" ".join(word.word for word in one.words)) for one in utterances]
    passages = [said for some in (texts, words) for said, _ in _passages(some)]
    return sorted({span.kind for said in passages for span in rules.left(said)})


def _passages(utterances: Sequence[Utterance]) -> Iterator[tuple[Passage, list[int]]]:
    """What each speaker says on each channel, and the positions of the utterances that it is made of."""
    places = sorted(range(len(utterances)), key=lambda at: (_party(utterances[at]), utterances[at].start_s, at))
    for _, some in groupby(places, key=lambda at: _party(utterances[at])):
        mine = list(some)
        yield passage([utterances[at].text for at in mine], [utterances[at].language for at in mine]), mine


def _party(one: Utterance) -> tuple[int, str]:
    return one.channel, one.speaker


def _spans_of_utterances(utterances: Sequence[Utterance], rules: RuleSet) -> dict[int, list[Span]]:
    """Position of an utterance -> its spans, in characters of its own text, in order."""
    found: dict[int, list[Span]] = {}
    for said, places in _passages(utterances):
        for span in rules.spans(said):
            for at, (start, end) in zip(places, said.lines, strict=True):
                first, last = max(span.start, start), min(span.end, end)
                if first < last:
                    found.setdefault(at, []).append(Span(first - start, last - start, span.kind))
    return found


def _redacted(one: Utterance, spans: Sequence[Span]) -> tuple[Utterance, list[Stretch] | None]:
    """The utterance without its spans, and when they were said; None where nothing says when."""
    pieces = _pieces(one)
    covered = _widened(spans, pieces)
    if not covered:
        return one, []
    text, at = "", 0
    for span in covered:
        text += one.text[at : span.start] + placeholder(span.kind)
        at = span.end
    kept = replace(one, text=text + one.text[at:])
    if not one.words:
        return kept, None
    return replace(kept, words=_words(pieces, covered)), [_stretch(one, pieces, span) for span in covered]


def _pieces(one: Utterance) -> list[_Piece]:
    if not one.words:
        return [_Piece(found.start(), found.end(), None) for found in re.finditer(r"\S+", one.text)]
    pieces: list[_Piece] = []
    at = 0
    for word in one.words:
        start = one.text.find(word.word, at)
        if start < 0 or one.text[at:start].strip():
            raise WordsDoNotFitError
        at = start + len(word.word)
        pieces.append(_Piece(start, at, word))
    if one.text[at:].strip():
        raise WordsDoNotFitError
    return pieces


def _widened(spans: Sequence[Span], pieces: Sequence[_Piece]) -> list[Span]:
    """The spans, each from the start of its first word to the end of its last; those that then meet are one. One that
    touches no word covers nothing but blanks."""
    widened: list[Span] = []
    for span in spans:
        touched = [piece for piece in pieces if _covering(piece, [span])]
        if not touched:
            continue
        start, end = touched[0].start, touched[-1].end
        if widened and start < widened[-1].end:
            widened[-1] = widened[-1]._replace(end=max(end, widened[-1].end))
        else:
            widened.append(Span(start, end, span.kind))
    return widened


def _words(pieces: Sequence[_Piece], spans: Sequence[Span]) -> tuple[Word, ...]:
    """The words that are left; those that a span covers are one."""
    words: list[Word] = []
    for span, some in groupby(pieces, key=lambda piece: _covering(piece, spans)):
        said = [piece.word for piece in some if piece.word is not None]
        if span is None:
            words += said
        else:
            ends_s = [word.end_s for word in said if word.end_s is not None]
            p = sum(word.p for word in said) / len(said)
            words.append(Word(placeholder(span.kind), said[0].start_s, max(ends_s, default=None), p))
    return tuple(words)


def _covering(piece: _Piece, spans: Sequence[Span]) -> Span | None:
    return next((span for span in spans if piece.start < span.end and span.start < piece.end), None)


def _stretch(one: Utterance, pieces: Sequence[_Piece], span: Span) -> Stretch:
    words = [piece.word for piece in pieces if piece.word is not None and _covering(piece, [span])]
    starts_s = [word.start_s for word in words if word.start_s is not None]
    ends_s = [word.end_s for word in words if word.end_s is not None]
    if len(starts_s) < len(words) or len(ends_s) < len(words):
        starts_s, ends_s = [*starts_s, one.start_s], [*ends_s, one.end_s]
    return Stretch(min(starts_s), max(ends_s), span.kind)


def _names(utterances: Sequence[Utterance], rules: RuleSet) -> dict[str, str]:
    """Every speaker's name; one in which the rules find something becomes N1, N2, .."""
    given = dict.fromkeys(one.speaker for one in utterances)
    hidden = [name for name in given if not _OWN_NAME.fullmatch(name) and rules.spans(passage([name]))]
    return {name: f"N{1 + hidden.index(name)}" if name in hidden else name for name in given}


def _labels(one: Utterance) -> dict[str, str]:
    """What people may have called something of an utterance: field -> text. Whatever field comes new is among them."""
    values = {field.name: getattr(one, field.name) for field in fields(one) if field.name not in _OF_THE_PIPELINE}
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _without_labels(one: Utterance, rules: RuleSet) -> Utterance:
    """The utterance without the labels in which the rules find something."""
    hidden: dict[str, Any] = {name: None for name, label in _labels(one).items() if rules.spans(passage([label]))}
    return replace(one, **hidden)

"""The rules by name, a user's own function, and all of them together."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmer_ray.errors import UsageError
from mmer_ray.redact.emails import emails
from mmer_ray.redact.numbers import cards, numbers, phones
from mmer_ray.redact.passage import Passage, Span
from mmer_ray.redact.word_list import listed_words

Rule = Callable[[Passage], Iterable[Span]]

RULES: Mapping[str, Rule] = {"numbers": numbers, "email": emails, "phone": phones, "card": cards}
"""A new rule is a function in a file here and a line in this table."""

_KIND = re.compile(r"[A-Z][A-Z0-9_]*")
_PLACEHOLDER = re.compile(rf"\[{_KIND.pattern}\]")


class RuleSet:
    """What is taken out: the spans of every rule, put together where they overlap."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)

    def spans(self, passage: Passage) -> list[Span]:
        """Spans in order; none overlap. Of spans that do, the longest says what it is."""
        found = sorted(span for rule in self._rules for span in rule(passage) if span.start < span.end)
        joined: list[list[Span]] = []
        end = -1
        for span in found:
            if span.start < end:
                joined[-1].append(span)
            else:
                joined.append([span])
            end = max(end, span.end)
        return [_union(some) for some in joined]

    def left(self, passage: Passage) -> list[Span]:
        """What the rules find in text that was redacted: spans in order, but for those inside a placeholder."""
        placeholders = [found.span() for found in _PLACEHOLDER.finditer(passage.text)]
        return [
            span
            for span in self.spans(passage)
            if not any(start <= span.start and span.end <= end for start, end in placeholders)
        ]


def placeholder(kind: str) -> str:
    """What stands for a span of this kind.

    >>> placeholder("NUMBER")
    '[NUMBER]'
    """
    return f"[{kind}]"


def rule_set(names: Iterable[str], words: str | Path | None = None, function: str | None = None) -> RuleSet:
    """The rules that a user names: `RULES`, a file with a word a line, `module:name` of a function of theirs.

    Raises `UsageError` where none is named, for an unknown name, and for a file or a function that cannot be used.
    """
    rules: list[Rule] = []
    for name in names:
        if name not in RULES:
            raise UsageError(f"unknown rule {name!r}; valid: {', '.join(RULES)}")
        rules.append(RULES[name])
    if words is not None:
        rules.append(listed_words(_lines(Path(words))))
    if function is not None:
        rules.append(own_rule(function))
    if not rules:
        raise UsageError(f"no rule is named; give --rules {','.join(RULES)}, --words FILE or --function module:name")
    return RuleSet(rules)


def own_rule(name: str) -> Rule:
    """The rule behind `module:name`: a function from the text of an utterance to (start, end, kind) of each span, in
    characters; `kind` is written in capital letters. Raises `UsageError` where there is none."""
    if ":" not in name:
        raise UsageError(f"--function {name!r}: write module:name")
    try:
        function = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise UsageError(f"--function {name}: {exc}; put its folder on PYTHONPATH") from exc
    if not callable(function):
        raise UsageError(f"--function {name} is no function")
    return _Own(name, function)


class _Own:
    def __init__(self, name: str, function: Callable[[str], Any]) -> None:
        self._name, self._function = name, function

    def __call__(self, passage: Passage) -> Iterator[Span]:
        for start, end in passage.lines:
            text = passage.text[start:end]
            for span in self._function(text):
                first, last, kind = self._checked(span, text)
                yield Span(start + first, start + last, kind)

    def _checked(self, span: Any, text: str) -> Span:
        try:
            start, end, kind = span
        except (TypeError, ValueError) as exc:
            raise UsageError(f"--function {self._name} gave {span!r}; a span is (start, end, kind)") from exc
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start <= end <= len(text)):
            raise UsageError(f"--function {self._name} gave {span!r} for a text of {len(text)} characters")
        if not _KIND.fullmatch(str(kind)):
            raise UsageError(f"--function {self._name} gave the kind {kind!r}; use capital letters, such as NAME")
        return Span(start, end, str(kind))


def _union(spans: Sequence[Span]) -> Span:
    longest = max(spans, key=lambda span: span.end - span.start)
    return Span(spans[0].start, max(span.end for span in spans), longest.kind)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        raise UsageError(f"--words {path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(f"--words {path} is not UTF-8 text; save it as such") from exc

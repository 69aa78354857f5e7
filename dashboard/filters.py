"""What a viewer has chosen to look at: the same on every page, part of each page's address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import urlencode

from dashboard.access import Viewer

UNKNOWN_ROLE = "unknown"
"""Stands for an utterance whose speaker has no role."""
ROLES = ("customer", "agent", UNKNOWN_ROLE)

CORPUS, DAYS, LABEL, ROLE, CONFIDENCE, TEXT, ABSTAINED = (
    "corpus", "days", "label", "role", "confidence", "text", "abstained",
)  # fmt: skip
"""Names in the address, which are the keys of the widgets too."""
MAX_TEXT_CHARS = 200


@dataclass(frozen=True, slots=True)
class Filters:
    """What to look at; an empty tuple or None sets no limit."""

    corpora: tuple[str, ...] = ()
    first_day: date | None = None
    last_day: date | None = None
    """Included."""
    labels: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    """Of `ROLES`."""
    min_confidence: float = 0.0
    """Of the emotion, 0..1; utterances below it are left out."""
    text: str = ""
    """That an utterance contains, in any case."""
    abstained: bool = True
    """Whether utterances without an answer count too."""

    @property
    def needs_utterances(self) -> bool:
        """Whether the sums of days cannot answer: they know neither confidence nor text."""
        return bool(self.min_confidence or self.text)

    @property
    def is_narrower(self) -> bool:
        """Whether anything is left out."""
        return self != Filters()

    @property
    def chooses_utterances(self) -> bool:
        """Whether utterances are chosen, not only corpora and days."""
        return replace(self, corpora=(), first_day=None, last_day=None) != Filters()

    def of_speakers(self) -> Filters:
        """The same without what was said and felt: whose speech a share is taken of, and from which confidence on."""
        return replace(self, labels=(), text="", abstained=True)

    def previous(self) -> Filters | None:
        """As many days right before these; None where the days are not limited on both sides."""
        if self.first_day is None or self.last_day is None:
            return None
        num_days = (self.last_day - self.first_day).days + 1
        return replace(self, first_day=self.first_day - timedelta(num_days), last_day=self.first_day - timedelta(1))

    def scope(self, viewer: Viewer, lake_corpora: Sequence[str]) -> tuple[str, ...]:
        """The corpora to ask about: those chosen, of those the viewer may see. None chosen: all of these."""
        allowed = viewer.of_lake(lake_corpora)
        return tuple(one for one in allowed if one in self.corpora) if self.corpora else allowed

    def to_address(self) -> str:
        """The part of an address after the question mark; empty where nothing is limited."""
        pairs: list[tuple[str, str]] = [(CORPUS, one) for one in self.corpora]
        if self.first_day or self.last_day:
            pairs += [(DAYS, one.isoformat()) for one in (self.first_day, self.last_day) if one]
        pairs += [(LABEL, one) for one in self.labels] + [(ROLE, one) for one in self.roles]
        if self.min_confidence:
            pairs.append((CONFIDENCE, f"{self.min_confidence:g}"))
        if self.text:
            pairs.append((TEXT, self.text))
        if not self.abstained:
            pairs.append((ABSTAINED, "false"))
        return urlencode(pairs)


def filters_of(address: Mapping[str, Sequence[str]]) -> Filters:
    """Filters from the values of each name in an address, as `urllib.parse.parse_qs` gives them.

    What cannot be read sets no limit, but for corpora: those are taken as they stand, so that a name nobody may see
    finds nothing.
    """
    first, last = _days(address.get(DAYS, ()))
    return Filters(
        corpora=tuple(address.get(CORPUS, ())),
        first_day=first,
        last_day=last,
        labels=tuple(address.get(LABEL, ())),
        roles=tuple(one for one in address.get(ROLE, ()) if one in ROLES),
        min_confidence=_share(address.get(CONFIDENCE, ())),
        text="".join(address.get(TEXT, ())[:1])[:MAX_TEXT_CHARS],
        abstained="".join(address.get(ABSTAINED, ())[:1]).lower() != "false",
    )


def unheeded(
    address: Mapping[str, Sequence[str]], days: tuple[date | None, date | None], labels: Sequence[str]
) -> list[str]:
    """`name=value` of what an address asks and no filter takes: days outside of `days`, the first and last one of the
    lake, labels that are not among `labels`, roles and numbers that are none. Corpora are not looked at."""
    asked, (first, last), (earliest, latest) = address.get(DAYS, ()), _days(address.get(DAYS, ())), days
    is_held = first and last and earliest and latest and earliest <= first and last <= latest
    found = [] if is_held else [(DAYS, one) for one in asked]
    found += [(LABEL, one) for one in address.get(LABEL, ()) if one not in labels]
    found += [(ROLE, one) for one in address.get(ROLE, ()) if one not in ROLES]
    found += [(CONFIDENCE, one) for one in address.get(CONFIDENCE, ()) if not _share([one]) and one not in ("0", "0.0")]
    return [f"{name}={value}" for name, value in found]


def _days(values: Sequence[str]) -> tuple[date | None, date | None]:
    days = []
    for value in values[:2]:
        try:
            days.append(date.fromisoformat(value))
        except ValueError:
            return None, None
    if not days:
        return None, None
    return min(days), max(days)


def _share(values: Sequence[str]) -> float:
    try:
        value = float(values[0]) if values else 0.0
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0

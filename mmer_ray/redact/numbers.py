"""Numbers in digits and in words, of English and German: "+49 170 1234567", "five five five", "einundzwanzig".

Number words of both languages are known in any text: which language somebody counts in is not always the one that was
recognised. Words that are mostly no numbers ("one", "oh", "first", "ein") count beside another number alone, so that
"no one" stays; what stands between two numbers ("dash", "point", "and") belongs to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mmer_ray.redact.passage import Passage, Span

MIN_PHONE_DIGITS, MAX_PHONE_DIGITS = 7, 15
"""ITU-T E.164 allows 15; local numbers have seven at least."""
MIN_CARD_DIGITS, MAX_CARD_DIGITS = 12, 19
"""ISO/IEC 7812-1: a card's number has up to 19."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_UNITS = _words(
    "zero nought naught two three four five six seven eight nine null eins zwei zwo drei vier fünf fuenf sechs sieben "
    "acht neun"
)
_TEENS = _words(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen zehn elf zwölf zwoelf dreizehn "
    "vierzehn fünfzehn fuenfzehn sechzehn siebzehn achtzehn neunzehn"
)
_TENS = _words(
    "twenty thirty forty fourty fifty sixty seventy eighty ninety zwanzig dreißig dreissig vierzig fünfzig fuenfzig "
    "sechzig siebzig achtzig neunzig"
)
_LARGE = _words("hundred thousand million billion dozen hundert tausend millionen milliarde milliarden dutzend")
_ORDINALS = _words(
    "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
    "seventeenth eighteenth nineteenth twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth "
    "hundredth thousandth"
)
_NUMBERS = _UNITS | _TEENS | _TENS | _LARGE | _ORDINALS
_PLURALS = {f"{word}s" for word in _NUMBERS} | _words("sixes twenties thirties forties fifties sixties nineties")
_ONES = _words("one ones ein eine einer einen einem")
_ZEROS = _words("oh o double triple treble doppel doppelt")
_BESIDE = _ONES | _ZEROS | _words("first second erste erster ersten zweite zweiter zweiten")
_JOINING = _words(
    "and point dot comma dash hyphen minus plus slash stroke star hash und komma punkt strich bindestrich"
)
_GERMAN_PARTS = "|".join(
    sorted(
        (*_UNITS, *_TEENS, *_TENS, "hundert", "tausend", "ein", "eine", "und", "sech", "sieb"), key=len, reverse=True
    )
)
_GERMAN_COMPOUND = re.compile(rf"(?:{_GERMAN_PARTS})+(?:ste[rnms]?|te[rnms]?)?")
_MIN_COMPOUND_PARTS = re.compile("zig|ßig|ssig|zehn|hundert|tausend")


class _Run(NamedTuple):
    """Tokens of a passage that make one number: the first and one past the last."""

    first: int
    end: int
    num_digits: int
    """Of words about as many as they would be written with."""


def numbers(passage: Passage) -> Iterator[Span]:
    """Every number."""
    return (_span(passage, run, "NUMBER") for run in _runs(passage))


def phones(passage: Passage) -> Iterator[Span]:
    """Numbers as long as those of telephones, whatever parts their digits."""
    runs = _runs(passage)
    return (_span(passage, run, "PHONE") for run in runs if MIN_PHONE_DIGITS <= run.num_digits <= MAX_PHONE_DIGITS)


def cards(passage: Passage) -> Iterator[Span]:
    """Numbers as long as those of payment cards. The check digit is not asked: a misheard digit would let one pass."""
    return (
        _span(passage, run, "CARD") for run in _runs(passage) if MIN_CARD_DIGITS <= run.num_digits <= MAX_CARD_DIGITS
    )


def is_number(word: str) -> bool:
    """Whether a normalised word is a number by itself.

    >>> [is_number(word) for word in ("b2b", "fives", "zweihundertfünf", "one", "hunderte von")]
    [True, True, True, False, False]
    """
    if word in _NUMBERS or word in _PLURALS or any(char.isnumeric() for char in word):
        return True
    return bool(_GERMAN_COMPOUND.fullmatch(word) and _MIN_COMPOUND_PARTS.search(word))


def _runs(passage: Passage) -> Iterator[_Run]:
    words = [token.word for token in passage.tokens]
    first = 0
    while first < len(words):
        end = first
        while end < len(words) and (words[end] in _BESIDE or words[end] in _JOINING or is_number(words[end])):
            end += 1
        yield from _counted(words, first, end)
        first = max(end, first + 1)


def _counted(words: list[str], first: int, end: int) -> Iterator[_Run]:
    """The run without what joins nothing; none where its words are no number together."""
    while first < end and words[first] in _JOINING:
        first += 1
    while first < end and words[end - 1] in _JOINING:
        end -= 1
    run = words[first:end]
    num_ones, num_zeros = (sum(word in some for word in run) for some in (_ONES, _ZEROS))
    if any(map(is_number, run)) or num_ones > 1 or (num_ones and num_zeros):
        yield _Run(first, end, sum(_num_digits(run, at) for at in range(len(run))))


def _num_digits(words: list[str], at: int) -> int:
    word = words[at]
    num_written = sum(char.isnumeric() for char in word)
    if num_written:
        return num_written
    follows_unit = at + 1 < len(words) and words[at + 1] in _UNITS | _ONES
    if word in _TEENS or (word in _TENS and not follows_unit):
        return 2
    repeats = {"double": 1, "doppel": 1, "doppelt": 1, "triple": 2, "treble": 2}
    return repeats.get(word, 0 if word in _JOINING else 1)


def _span(passage: Passage, run: _Run, kind: str) -> Span:
    return Span(passage.tokens[run.first].start, passage.tokens[run.end - 1].end, kind)

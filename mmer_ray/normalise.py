"""Text as words are compared: one function a language. A new language is one entry in `NORMALISERS`.

What a language's function does not fold stays different: "ten" and "10" are two words everywhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

KEPT_CATEGORIES = "LMN"
"""Of Unicode: letters, the marks that belong to them, numbers. All else parts words."""
_APOSTROPHES = str.maketrans(dict.fromkeys("\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}", "'"))
_TURKIC = str.maketrans({"\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}": "i", "I": "\N{LATIN SMALL LETTER DOTLESS I}"})


def normalise(text: str, language: str | None) -> str:
    """Lower-case words with single spaces, without marks other than apostrophes inside words.

    `language`: an ISO 639-1 code, or None where it is not known. One without an entry is treated like English.

    >>> normalise("Well, that's NOT 'good' - is it?", "en")
    "well that's not good is it"
    """
    return NORMALISERS.get(language or "", _spaced)(text)


def _spaced(text: str) -> str:
    """Languages that put spaces between words."""
    folded = unicodedata.normalize("NFKC", text).lower().translate(_APOSTROPHES)
    kept = "".join(char if char == "'" or unicodedata.category(char)[0] in KEPT_CATEGORIES else " " for char in folded)
    # An apostrophe at the edge of a word is a quotation mark.
    return " ".join(word for piece in kept.split() if (word := piece.strip("'")))


def _turkic(text: str) -> str:
    """I with a dot and without are two letters (Unicode, SpecialCasing.txt, tr and az)."""
    return _spaced(text.translate(_TURKIC))


def _unspaced(text: str) -> str:
    """Languages that put no spaces between words: each character counts as one, as in a character error rate."""
    return " ".join(_spaced(text).replace(" ", ""))


NORMALISERS: Mapping[str, Callable[[str], str]] = {
    "en": _spaced,
    "az": _turkic,
    "tr": _turkic,
    "ja": _unspaced,
    "zh": _unspaced,
}
"""ISO 639-1 code -> what makes its text comparable."""

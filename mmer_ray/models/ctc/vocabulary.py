"""The 32 characters of wav2vec2-base's tokenizer, and text to and from them."""

from __future__ import annotations

from collections.abc import Iterable

BLANK = 0
UNKNOWN = 3
WORD_BREAK = 4
# Blank, begin, end, unknown, word border, letters by frequency.
SYMBOLS: tuple[str, ...] = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
_SYMBOL_IDS = {symbol: index for index, symbol in enumerate(SYMBOLS)}


def to_symbols(text: str) -> list[int]:
    """Spell a text: upper-cased, what has no symbol dropped, a word break for every run of spaces.

    >>> to_symbols("It's  2 it")
    [10, 6, 27, 12, 4, 10, 6]
    """
    kept = "".join(char for char in text.upper() if char.isspace() or (char != "|" and char in _SYMBOL_IDS))
    return [_SYMBOL_IDS[char] for char in "|".join(kept.split())]


def to_text(symbols: Iterable[int]) -> str:
    """Join symbols, already free of blanks and repeats, to lower-case words with single spaces.

    >>> to_text([10, 6, 4, 4, 12])
    'it s'
    """
    characters = "".join(SYMBOLS[symbol] for symbol in symbols if symbol >= WORD_BREAK)
    return " ".join(characters.replace("|", " ").lower().split())


def collapse(path: Iterable[int]) -> list[int]:
    """Turn the best symbol of each frame into symbols: repeats merged, then blanks removed.

    >>> collapse([0, 5, 5, 0, 5, 6])
    [5, 5, 6]
    """
    symbols: list[int] = []
    previous = BLANK
    for symbol in path:
        if symbol not in (previous, BLANK):
            symbols.append(symbol)
        previous = symbol
    return symbols

"""Names from a lake within a line of ours: nothing in them may turn, break or hide what stands beside them."""

from __future__ import annotations

import unicodedata

_TURNING = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Explicit directional formatting characters of Unicode (UAX 9): their effect does not end with the name."""
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_WRITTEN = {code: f"\\u{code:04x}" for code in (*_CONTROLS, *_TURNING)}
_ISOLATE, _END = "\u2068", "\u2069"
_RIGHT_TO_LEFT = ("R", "AL")


def in_line(text: str) -> str:
    r"""The text with its control characters written out; isolated where its letters run from right to left, so that
    figures beside it stay where they are.

    >>> in_line("ann\u202e\n")
    'ann\\u202e\\u000a'
    """
    plain = text.translate(_WRITTEN)
    if any(unicodedata.bidirectional(one) in _RIGHT_TO_LEFT for one in plain):
        return f"{_ISOLATE}{plain}{_END}"
    return plain

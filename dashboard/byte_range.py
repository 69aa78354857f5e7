"""The header `Range` of a request (RFC 9110, section 14), as far as players use it: one range of bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE | re.ASCII)


class NotSatisfiableError(Exception):
    """The range lies behind the end: 416."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Some bytes of a file."""

    first: int
    last: int
    """Included."""

    @property
    def num_bytes(self) -> int:
        return self.last - self.first + 1


def asked_range(header: str | None, size_bytes: int) -> ByteRange | None:
    """The bytes that a request asks for; None for all of them.

    A header that means nothing, or several ranges at once, may be answered with the whole. Raises
    `NotSatisfiableError`.

    >>> asked_range("bytes=100-", 1000), asked_range("bytes=-10", 1000), asked_range("bytes=0-1,5-6", 1000)
    (ByteRange(first=100, last=999), ByteRange(first=990, last=999), None)
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or found.groups() == ("", ""):
        return None
    first_text, last_text = found.groups()
    if not first_text:
        num_bytes = min(int(last_text), size_bytes)
        if num_bytes == 0:
            raise NotSatisfiableError
        return ByteRange(size_bytes - num_bytes, size_bytes - 1)
    first = int(first_text)
    if last_text and int(last_text) < first:
        return None
    if first >= size_bytes:
        raise NotSatisfiableError
    return ByteRange(first, min(int(last_text), size_bytes - 1) if last_text else size_bytes - 1)

"""How a given file becomes a part of what is scored: its digest is in the recording's mark and in its id.

A recording with a given transcript is another input than the recording alone: other mark, other recording_id. So its
answers are never taken for those of the models, and a changed transcript is scored anew.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

_MARK = "+given:"


class GivenMark(NamedTuple):
    """What the mark of a recording says of its given files."""

    words: bool
    """Whether the words are given."""
    turns: bool
    digest: str
    """32 hex digits: BLAKE2b-128 of the given files' bytes."""


def with_mark(modified: str, mark: GivenMark) -> str:
    """The modification mark of a recording together with its given files.

    >>> with_mark("17", GivenMark(True, False, "ab12"))
    '17+given:words:ab12'
    """
    what = ",".join(name for name in ("words", "turns") if getattr(mark, name))
    return f"{modified}{_MARK}{what}:{mark.digest}"


def mark_of(modified: str) -> GivenMark | None:
    """What `with_mark` was given; None for a recording alone."""
    _, found, rest = modified.rpartition(_MARK)
    if not found:
        return None
    what, _, digest = rest.partition(":")
    return GivenMark("words" in what.split(","), "turns" in what.split(","), digest)


def own_mark(modified: str) -> str:
    """The mark of the recording alone.

    >>> own_mark("17+given:words:ab12"), own_mark("17")
    ('17', '17')
    """
    before, found, _ = modified.rpartition(_MARK)
    return before if found else modified


def input_digest(content_digest: str, modified: str) -> str:
    """The digest (32 hex digits) that a recording_id is made of: that of the bytes, with the given files' if any."""
    mark = mark_of(modified)
    if mark is None:
        return content_digest
    return blake2b(f"{content_digest} {mark.digest}".encode(), digest_size=16).hexdigest()

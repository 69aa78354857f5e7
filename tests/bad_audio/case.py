"""One case: a file, and how decoding it must end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmer_ray.errors import ErrorCode, Flag
from mmer_ray.records import AudioFacts, Samples

Make = Callable[[Path], object]
"""Puts the case's file at the path it is given. The corpus's folder is the path's parent."""
Data = Callable[[], bytes]
"""The bytes of the case's file, made when they are needed: collecting tests must not encode anything."""

Decode = Callable[[bytes], tuple[Samples, AudioFacts]]
"""The bytes of a file to what came out of it."""


@dataclass(frozen=True)
class Case:
    """Ids, names and wants are those of the reliability table; `also` are flags that are right too."""

    id: str
    name: str | bytes
    """File name; bytes where it is not UTF-8."""
    make: Make
    code: ErrorCode | None = None
    """None: it is scored."""
    flags: frozenset[Flag] = frozenset()
    also: frozenset[Flag] = frozenset()
    online: bool = False
    """The want holds under the limits of an online service; a nightly job scores it."""
    is_long: bool = False
    """Hours of audio: decoding takes seconds, scoring takes minutes."""

    @property
    def status(self) -> str:
        return "scored" if self.code is None else "failed"


def good(id: str, extension: str, data: Data, *flags: Flag, also: tuple[Flag, ...] = ()) -> Case:
    """A case that is scored."""
    return Case(id, f"{id}{extension}", written(data), flags=frozenset(flags), also=frozenset(also))


def bad(id: str, extension: str, data: Data, code: ErrorCode) -> Case:
    """A case that fails."""
    return Case(id, f"{id}{extension}", written(data), code)


def odd(id: str, make: Make, code: ErrorCode) -> Case:
    """A case that fails for what its name leads to, not for its bytes."""
    return Case(id, f"{id}.wav", make, code)


def written(data: Data) -> Make:
    return lambda path: path.write_bytes(data())

"""Sound files whose names say what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = frozenset({".flac", ".wav"})


def sound_files(folder: Path) -> list[Path]:
    """The .flac and .wav files below a folder, sorted by path."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def matching(paths: list[Path], pattern: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
    """Yield files whose whole name, without its suffix, fits a pattern."""
    for path in paths:
        if (name := pattern.fullmatch(path.stem)) is not None:
            yield path, name

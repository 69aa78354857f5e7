"""SHA-256 of model files, each read once: results are kept by path, size and modification time. No torch.

They lie in `$XDG_CACHE_HOME/mmer_ray/digests.json`. A cache that cannot be read or written costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MAX_ENTRIES = 2_000
SETTLED_NS = 2_000_000_000
"""A file changed so recently may change again without a new time: file systems count in steps of up to 2 s (FAT)."""


class _Known(NamedTuple):
    size: int
    mtime_ns: int
    sha256: str


_SEEN: dict[str, _Known] = {}
"""What this process has read: a job asks for each model several times, and the cache may not be writable."""


def cache_folder() -> Path:
    """This package's folder among the user's caches. Raises `RuntimeError` for a user without a home."""
    # The specification of XDG wants a relative folder ignored.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "mmer_ray"


def file_sha256s(files: Sequence[Path]) -> list[str]:
    """SHA-256 of each file, 64 hex digits. Raises `OSError` where one cannot be read."""
    fresh: dict[str, _Known] = {}
    digests = []
    has_looked = False
    for file in files:
        real = file.resolve()
        path, before = str(real), real.stat()
        if not _is_of(_SEEN.get(path), before) and not has_looked:
            _SEEN.update(_read_cache())
            has_looked = True
        found = _SEEN.get(path)
        if found is None or not _is_of(found, before):
            found = _Known(before.st_size, before.st_mtime_ns, _hash(real))
            if time.time_ns() - before.st_mtime_ns > SETTLED_NS:
                fresh[path] = found
        digests.append(found.sha256)
    if fresh:
        _SEEN.update(fresh)
        _write_cache(fresh)
    return digests


def _is_of(known: _Known | None, stat: os.stat_result) -> bool:
    return known is not None and (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns)


def content_sha256(files: Iterable[Path], folder: Path | None = None) -> str:
    """Name a model by its files: what `sha256sum FILE... | sha256sum` prints, run in their folder, names sorted.

    `folder`: theirs, where some of them lie in folders inside it.
    """
    named = sorted((file.name if folder is None else file.relative_to(folder).as_posix(), file) for file in files)
    digests = file_sha256s([file for _, file in named])
    lines = (f"{digest}  {name}\n" for digest, (name, _) in zip(digests, named, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cache_file() -> Path:
    return cache_folder() / "digests.json"


def _read_cache() -> dict[str, _Known]:
    try:
        table = json.loads(_cache_file().read_text(encoding="utf-8"))
        return {path: _Known(int(size), int(mtime_ns), str(sha256)) for path, (size, mtime_ns, sha256) in table.items()}
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError):
        return {}


def _write_cache(fresh: dict[str, _Known]) -> None:
    """Add entries, the newest last, and put the file in place at once: readers see the old one or the new one."""
    with suppress(OSError, RuntimeError):
        target = _cache_file()
        target.parent.mkdir(parents=True, exist_ok=True)
        # Another process may have written meanwhile.
        entries = list(({path: known for path, known in _read_cache().items() if path not in fresh} | fresh).items())
        with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False, encoding="utf-8") as unfinished:
            json.dump(dict(entries[-MAX_ENTRIES:]), unfinished)
        Path(unfinished.name).replace(target)

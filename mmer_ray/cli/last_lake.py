"""The lake that this user scored last: what commands that read take where none is named.

Its address is one line of `$XDG_STATE_HOME/mmer_ray/last_lake`, by default below `~/.local/state`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mmer_ray.cli.output import note
from mmer_ray.errors import UsageError


def remember_lake(lake: str) -> None:
    """Note that `lake` was scored. A user without a home that can be written has no last lake."""
    address = lake if "://" in lake else str(Path(lake).resolve())
    with suppress(OSError, RuntimeError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        _file().write_text(f"{address}\n", encoding="utf-8")


def lake_to_read(lake: str | None) -> str:
    """The lake that was named, else the one scored last, which is said. Raises `UsageError` where there is none."""
    if lake is not None:
        return lake
    try:
        address = _file().read_text(encoding="utf-8").strip()
    except (OSError, RuntimeError):
        address = ""
    if not address:
        raise UsageError("no lake was scored on this machine yet; name one: --lake DIR")
    note(f"lake {address}, scored last; --lake names another")
    return address


def _file() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "mmer_ray" / "last_lake"

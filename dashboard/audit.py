"""What was opened, heard, exported, changed and refused: one line of JSON each, without any text of a call."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from threading import Lock

from mmer_ray.errors import PreflightError

MAX_DETAIL_CHARS = 200


class Event(StrEnum):
    """What happened."""

    OPENED = "opened"
    """A page of one recording was shown."""
    HEARD = "heard"
    """Sound of one recording was sent."""
    EXPORTED = "exported"
    CHANGED = "changed"
    """A verdict, a correction or a speaker was written."""
    REFUSED = "refused"


class Audit:
    """Appends to a file, which it lets nobody but its owner read where it may; with no file it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        """Raises `PreflightError` where the file cannot be written."""
        self._path, self._writing = path, Lock()
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)
                with path.open("a"):
                    pass
                if path.is_file():
                    # One of another owner, whose group may write it, stays as that owner has it.
                    with contextlib.suppress(PermissionError):
                        path.chmod(0o600)
            except OSError as exc:
                raise PreflightError(
                    f"the audit log {path} cannot be written: {exc.strerror}; name another one with --audit-log"
                ) from exc

    @property
    def path(self) -> Path | None:
        """Where the lines go."""
        return self._path

    def note(
        self,
        event: Event,
        viewer: str | None,
        *,
        corpus: str | None = None,
        recording_id: str | None = None,
        detail: str = "",
    ) -> None:
        """Write one line. `detail` names a page, a kind of export or the reason of a refusal, never what was said.

        Raises `OSError` where it cannot be written: what cannot be logged must not be shown.
        """
        if self._path is None:
            return
        line = json.dumps(
            {
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "event": event.value,
                "viewer": viewer,
                "corpus": corpus,
                "recording_id": recording_id,
                "detail": detail[:MAX_DETAIL_CHARS],
            }
        )
        with self._writing, self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

"""What is told of a request once it is over, for figures and for the audit log. No text, no file name, no address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

UNKNOWN_ROUTE = "unknown"
"""What was asked at an address that is none of ours: addresses are not repeated, as anybody may make up new ones."""
CLIENT_GONE = 499
"""The status of a request whose client hung up. Nobody is sent it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """One request that is over."""

    request_id: str
    key: str | None
    """Name of the key; None where none was needed, or none fitted."""
    method: str
    route: str
    """The route's template, as in `/v1/jobs/{id}`, or `UNKNOWN_ROUTE`."""
    status: int
    seconds: float
    """From the request's head to the last byte of the answer."""
    body_bytes: int
    """Bytes of the body that arrived."""
    audio_s: float | None = None
    """Seconds of audio that were scored."""
    code: str | None = None
    """Why it was refused, as in the answer."""


OnEnd = Callable[[Ended], None]
"""Is told of a request that is over. It must not wait."""

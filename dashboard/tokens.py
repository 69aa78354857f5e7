"""Signed, short-lived addresses of sound and exports: nobody can make one up, and one viewer's is no use to another."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

LIFETIME_S = 900.0
"""A player asks for more of a recording while it plays; the page gives a new address each time it is shown."""


class Purpose(StrEnum):
    """What a token may be used for."""

    SOUND = "sound"
    EXPORT = "export"
    TRANSCRIPT = "transcript"


class TokenError(Exception):
    """The token is not ours, too old, or for something else; the message says which."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a token says."""

    viewer: str
    purpose: Purpose
    subject: str
    """What it opens: a recording, or an export with its filters."""


class Tokens:
    """Makes and reads tokens with a secret that lives as long as the process: after a restart old ones are void."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._secret, self._clock = secrets.token_bytes(32), clock

    def sign(self, claim: Claim, lifetime_s: float = LIFETIME_S) -> str:
        """A token of characters that an address may hold."""
        content = [claim.viewer, claim.purpose.value, claim.subject, self._clock() + lifetime_s]
        body = _encoded(json.dumps(content).encode())
        return f"{body}.{_encoded(self._mark(body))}"

    def read(self, token: str, purpose: Purpose) -> Claim:
        """What a token says. Raises `TokenError` for one that does not count here."""
        body, _, mark = token.partition(".")
        try:
            is_ours = hmac.compare_digest(_decoded(mark), self._mark(body))
        except (binascii.Error, UnicodeEncodeError) as exc:
            raise TokenError("this address is not one of this server's") from exc
        if not is_ours:
            raise TokenError("this address is not one of this server's; open the page again")
        viewer, meant, subject, until = json.loads(_decoded(body))
        if meant != purpose:
            raise TokenError(f"this address is for {meant}, not for {purpose}")
        if self._clock() > until:
            raise TokenError("this address is too old; open the page again")
        return Claim(viewer, Purpose(meant), subject)

    def _mark(self, body: str) -> bytes:
        return hmac.digest(self._secret, body.encode(), hashlib.sha256)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)

"""What the head of an HTTP request says about its body, and bounds of the head itself."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.types import Scope

from mmer_ray.serving.api_errors import ApiError

MAX_HEADERS_BYTES = 32 << 10
MAX_TARGET_BYTES = 8 << 10
REQUEST_ID_HEADER = b"x-request-id"
REQUEST_ID = re.compile(rb"[!-~]{1,128}")
"""Visible ASCII alone: an id is written to logs and headers as it is, where a blank or a line's end would forge more.
Load balancers use more than letters and digits, such as `Root=1-67891233-abcdef012345678912345678`."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of this lower-case name."""
    return next((value for key, value in scope["headers"] if key == name), None)


def given_request_id(scope: Scope) -> bytes | None:
    """The client's `x-request-id`; None where there is none, more than one, or one that `REQUEST_ID` does not match."""
    given = [value for name, value in scope["headers"] if name == REQUEST_ID_HEADER]
    return given[0] if len(given) == 1 and REQUEST_ID.fullmatch(given[0]) else None


def is_own_page(scope: Scope) -> bool:
    """Whether a browser says that our page asks; programs say nothing. Browsers let any page open any WebSocket, and
    send any form, but name the page's address."""
    origin = header(scope, b"origin")
    try:
        return origin is None or urlsplit(origin).netloc == header(scope, b"host")
    except ValueError:
        return False


def declared_bytes(scope: Scope) -> int | None:
    """`Content-Length`; None where the length is not told. Raises `ApiError` for one that is no number."""
    value = header(scope, b"content-length")
    if value is None:
        return None
    # `int` would take signs, blanks and underscores, and other digits than ASCII's.
    if not value.isdigit() or len(value) > 18:
        raise ApiError(400, "invalid_header", "Content-Length is not a number of bytes")
    return int(value)


def has_body(scope: Scope) -> bool:
    """Whether a body follows the head."""
    length = header(scope, b"content-length")
    return header(scope, b"transfer-encoding") is not None or length not in (None, b"0")


def check_head(scope: Scope) -> None:
    """Raise `ApiError` for a head that no client of ours sends: 414, 431.

    The server that parses heads may have no limit of its own (uvicorn with httptools has none).
    """
    target_bytes = len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"")
    if target_bytes > MAX_TARGET_BYTES:
        raise ApiError(414, "uri_too_long", f"the address has {target_bytes} bytes; at most {MAX_TARGET_BYTES}")
    headers_bytes = sum(len(name) + len(value) for name, value in scope["headers"])
    if headers_bytes > MAX_HEADERS_BYTES:
        raise ApiError(431, "headers_too_large", f"headers of {headers_bytes} bytes; at most {MAX_HEADERS_BYTES}")

"""How a request is refused: one JSON shape, that of OpenAI's API, so that its clients show our words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ERROR_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error"}
"""Status -> `type`; 404 to 422 are `invalid_request_error` too, 429 `rate_limit_error`, the rest `server_error`."""


@dataclass(eq=False)
class ApiError(Exception):
    """A refusal that the client is told.

    `code` is one word that programs switch on; `param` names the field of the request that is meant.
    """

    status: int
    code: str
    message: str
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, request_id: str) -> dict[str, Any]:
        """The JSON document."""
        return {
            "error": {
                "message": self.message,
                "type": _type_of(self.status),
                "param": self.param,
                "code": self.code,
                "request_id": request_id,
            }
        }


def invalid(param: str, message: str) -> ApiError:
    """A field that is off: 400, named."""
    return ApiError(400, "invalid_value", f"{param}: {message}", param)


def no_room(code: str, message: str, retry_after_s: int, *, status: int = 503) -> ApiError:
    """No place now: 503, or 429 where it is this key that asks for too much."""
    return ApiError(status, code, message, headers={"Retry-After": str(retry_after_s)})


def _type_of(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")

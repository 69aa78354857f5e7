"""`Idempotency-Key`: a request that is sent again gets the answer of the first one instead of being worked on twice.

An answer belongs to the access key, the header's value, and a digest of what was asked: route, fields and sounds. The
bytes of the body are no measure, as clients make up a new multipart boundary with each try. What could not be answered
is not kept: the next try is worked on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.access import caller_of
from mmer_ray.serving.api_errors import ApiError, invalid, no_room
from mmer_ray.serving.digests import form_digest
from mmer_ray.serving.state_database import StateDatabase
from mmer_ray.serving.upload import Form

HEADER = "Idempotency-Key"
REPLAYED = "idempotent-replayed"
"""Header of an answer that was kept."""
MAX_VALUE_CHARS = 255
CLAIM_S = 15.0
"""An answer that is being worked on by a gateway that died may be worked on by others after this time."""
POLL_S = 0.2
NOT_KEPT = frozenset({408, 409, 425, 429})
"""What may be otherwise the next time, as everything from 500 on."""

_log = logging.getLogger(__name__)


class Idempotency:
    """The answers that are kept. `once` is for routes."""

    def __init__(self, database: StateDatabase, options: ServeOptions) -> None:
        self._database = database
        self._options = options

    async def once(
        self, request: Request, form: Form, answer: Callable[[], Awaitable[Response]], *, is_stream: bool = False
    ) -> Response:
        """Answer a request, or give the answer that an equal one had. Without the header it is just answered.

        Raises `ApiError`: 400 for a header that is none, or one with an answer in pieces, which is not kept; 409 where
        the same value came with something else.
        """
        value = request.headers.get(HEADER)
        if value is None:
            return await answer()
        if not value or len(value) > MAX_VALUE_CHARS or not value.isascii() or not value.isprintable():
            raise invalid(HEADER, f"must have 1 to {MAX_VALUE_CHARS} printable ASCII characters")
        if is_stream:
            raise invalid(HEADER, "an answer in pieces is not kept; leave the header out, or stream")
        route = f"{request.method} {request.url.path} {request.headers.get('prefer', '')}"
        digest = await asyncio.to_thread(form_digest, route, form)
        kept = _Kept(self._database, caller_of(request.scope).key_id, value, digest, self._options.keep_jobs_s)
        found = await self._found_or_claimed(kept)
        return await _worked_on(kept, answer) if found is None else found

    async def _found_or_claimed(self, kept: _Kept) -> Response | None:
        """The answer; None once it is ours to work on it."""
        ends = time.monotonic() + self._options.request_timeout_s
        while (found := await kept.look()) is not None:
            if isinstance(found, Response):
                return found
            if time.monotonic() > ends:
                message = f"the first request with this {HEADER} is still being worked on"
                raise no_room("timeout", message, self._options.retry_after_s)
            await asyncio.sleep(POLL_S)
        return None


class _Wait:
    """Another request is being worked on."""


class _Kept:
    """One row of answers, as one request sees it."""

    def __init__(self, database: StateDatabase, owner: str, value: str, digest: str, keep_s: float) -> None:
        self._database, self._keep_s = database, keep_s
        self._owner, self._value, self._digest = owner, value, digest
        self._claim = secrets.token_hex(16)

    async def look(self) -> Response | _Wait | None:
        """The answer, whether to wait for it, or None: the claim is ours. Raises `ApiError` 409."""
        return await self._database.run(self._look)

    def _look(self, connection: sqlite3.Connection) -> Response | _Wait | None:
        now = time.time()
        connection.execute("DELETE FROM answers WHERE expires < ? AND (claim IS NULL OR claimed_until < ?)", (now, now))
        row = connection.execute(
            "SELECT * FROM answers WHERE owner = ? AND value = ?", (self._owner, self._value)
        ).fetchone()
        if row is None:
            connection.execute(
                "INSERT INTO answers (owner, value, digest, claim, claimed_until, expires) VALUES (?, ?, ?, ?, ?, ?)",
                (self._owner, self._value, self._digest, self._claim, now + CLAIM_S, now + self._keep_s),
            )
            return None
        if row["digest"] != self._digest:
            # OpenAI's clients try a 409 again unless they are told not to.
            message = f"this {HEADER} was sent with another request; take a new one for a new request"
            raise ApiError(409, "idempotency_key_reused", message, HEADER, {"x-should-retry": "false"})
        if row["status"] is not None:
            return Response(row["body"], row["status"], {**json.loads(row["headers"]), REPLAYED: "true"})
        if row["claimed_until"] >= now:
            return _Wait()
        connection.execute(
            "UPDATE answers SET claim = ?, claimed_until = ? WHERE owner = ? AND value = ?",
            (self._claim, now + CLAIM_S, self._owner, self._value),
        )
        return None

    @contextlib.asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Keep the claim meanwhile."""
        renewing = asyncio.ensure_future(self._renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait({renewing})

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(CLAIM_S / 3)
            # The next one may succeed.
            with contextlib.suppress(ApiError):
                await self._change("claimed_until = ?", time.time() + CLAIM_S)

    async def store(self, response: Response) -> None:
        """Keep an answer."""
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        kept = (response.status_code, json.dumps(headers), bytes(response.body), time.time() + self._keep_s)
        await self._change("status = ?, headers = ?, body = ?, expires = ?, claim = NULL", *kept)

    async def release(self) -> None:
        """Let the next request work on it."""
        await self._database.run(
            lambda connection: connection.execute(
                "DELETE FROM answers WHERE owner = ? AND value = ? AND claim = ?",
                (self._owner, self._value, self._claim),
            )
        )

    async def _change(self, what: str, *values: object) -> None:
        statement = f"UPDATE answers SET {what} WHERE owner = ? AND value = ? AND claim = ?"  # noqa: S608 (ours)
        where = (self._owner, self._value, self._claim)
        await self._database.run(lambda connection: connection.execute(statement, (*values, *where)))


async def _worked_on(kept: _Kept, answer: Callable[[], Awaitable[Response]]) -> Response:
    response = None
    try:
        async with kept.renewed():
            response = await answer()
    finally:
        try:
            if response is None or response.status_code >= 500 or response.status_code in NOT_KEPT:
                await kept.release()
            else:
                await kept.store(response)
        except ApiError as error:
            # The answer is there: only its repetition would be worked on again.
            _log.error("an answer could not be kept: %s", error.code)
    return response

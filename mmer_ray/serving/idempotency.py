"""`Idempotency-Key`: a request that is sent again gets the answer of the first one instead of being worked on twice.

An answer belongs to the access key, the header's value, and a digest of what was asked: route, fields and sounds. The
bytes of the body are no measure, as clients make up a new multipart boundary with each try. What could not be answered
is not kept: the next try is worked on.

A request that comes while an equal one is being worked on waits for its answer. As many may wait as may be under way,
of one key and in all, and equal ones hold one copy of what was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.access import caller_of
from mmer_ray.serving.api_errors import ApiError, invalid, no_room
from mmer_ray.serving.digests import form_digest
from mmer_ray.serving.ending_tasks import end_tasks
from mmer_ray.serving.exchange import hang_up
from mmer_ray.serving.state_database import StateDatabase
from mmer_ray.serving.upload import Form

HEADER = "Idempotency-Key"
REPLAYED = "idempotent-replayed"
"""Header of an answer that was kept."""
MAX_VALUE_CHARS = 255
CLAIM_S = 15.0
"""An answer that is being worked on by a gateway that died may be worked on by others after this time."""
POLL_S = 1.0
"""What another gateway has answered is seen after this time; what this one has, at once."""
NOT_KEPT = frozenset({408, 409, 425, 429})
"""What may be otherwise the next time, as everything from 500 on."""

_log = logging.getLogger(__name__)


class Idempotency:
    """The answers that are kept. `once` is for routes."""

    def __init__(self, database: StateDatabase, options: ServeOptions) -> None:
        self._database = database
        self._options = options
        self._waiting: Counter[str] = Counter()
        """Requests that wait for another one's answer, by the key's id."""
        self._equals: dict[tuple[str, str, str], _Equals] = {}

    @property
    def num_waiting(self) -> int:
        """Requests that wait for another one's answer."""
        return self._waiting.total()

    async def once(
        self, request: Request, form: Form, answer: Callable[[], Awaitable[Response]], *, is_stream: bool = False
    ) -> Response:
        """Answer a request, or give the answer that an equal one had. Without the header it is just answered.

        Raises `ApiError`: 400 for a header that is none, or one with an answer in pieces, which is not kept; 409 where
        the same value came with something else; 429 and 503 where too many wait for another one's answer, or this one
        waited too long. Raises `ClientDisconnect` when a client hangs up that waits.
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
        owner = caller_of(request.scope).key_id
        kept = _Kept(self._database, owner, value, digest, self._options.keep_jobs_s)
        with self._among_equals((owner, value, digest), form) as equals:
            found = await kept.look()
            if isinstance(found, _Wait):
                with self._place(owner):
                    found = await self._waited(request, kept, equals)
            if found is not None:
                return found
            try:
                return await _worked_on(kept, answer)
            finally:
                equals.tell()

    @contextlib.contextmanager
    def _among_equals(self, asked: tuple[str, str, str], form: Form) -> Iterator[_Equals]:
        """The requests of this gateway that ask the same, this one among them."""
        equals = self._equals.setdefault(asked, _Equals(form))
        equals.num += 1
        equals.share(form)
        try:
            yield equals
        finally:
            equals.num -= 1
            if not equals.num:
                del self._equals[asked]

    @contextlib.contextmanager
    def _place(self, owner: str) -> Iterator[None]:
        """A place to wait. Raises `ApiError` where there is none: 429 if this key has too many, else 503."""
        options = self._options
        if (num := self._waiting[owner]) >= options.max_in_flight_per_key:
            message = f"{num} requests of this key wait for another one with their {HEADER}"
            raise no_room("rate_limit_exceeded", message, options.retry_after_s, status=429)
        if self.num_waiting >= options.max_in_flight:
            raise no_room("overloaded", f"too many requests wait for another one's {HEADER}", options.retry_after_s)
        self._waiting[owner] += 1
        try:
            yield
        finally:
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner]

    async def _waited(self, request: Request, kept: _Kept, equals: _Equals) -> Response | None:
        """The answer; None once it is ours to work on it. Raises `ApiError` as `once`, `ClientDisconnect`."""
        ends = time.monotonic() + self._options.request_timeout_s
        leaving = asyncio.ensure_future(hang_up(request))
        try:
            while time.monotonic() < ends:
                # Before the look: an end meanwhile is not missed.
                ended = equals.ended
                if not await kept.is_worked_on():
                    found = await kept.look()
                    if not isinstance(found, _Wait):
                        return found
                await asyncio.wait({leaving, ended}, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    raise ClientDisconnect
        finally:
            await end_tasks(leaving)
        message = f"the first request with this {HEADER} is still being worked on"
        raise no_room("timeout", message, self._options.retry_after_s)


class _Equals:
    """Requests of this gateway with the same value that ask the same: one is worked on, the others wait."""

    def __init__(self, form: Form) -> None:
        self.num = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once work on one of them has ended, however it ended."""
        self._form = form

    def share(self, form: Form) -> None:
        """Let an equal form hold the first one's fields and sounds, so that its own are freed. Files stay its own:
        whoever has received them removes them."""
        form.fields[:] = self._form.fields
        form.files[:] = [
            replace(own, sound=first.sound) if isinstance(first.sound, bytes) else own
            for own, first in zip(form.files, self._form.files, strict=True)
        ]

    def tell(self) -> None:
        """Wake those that wait."""
        self.ended.set_result(None)
        self.ended = asyncio.get_running_loop().create_future()


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

    async def is_worked_on(self) -> bool:
        """Whether another request has the claim; asking writes nothing."""
        return await self._database.read(self._is_worked_on)

    def _is_worked_on(self, connection: sqlite3.Connection) -> bool:
        claimed = connection.execute(
            "SELECT 1 FROM answers WHERE owner = ? AND value = ? AND status IS NULL AND claimed_until >= ?",
            (self._owner, self._value, time.time()),
        )
        return claimed.fetchone() is not None

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

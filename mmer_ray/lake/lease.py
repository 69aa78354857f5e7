"""The lease of a lake's one writer on an object store: the object `writer.lease`, changed by conditional PUTs alone.

    {"holder": "host 12345 9f3c2a", "fencing": 7, "lease_s": 60.0, "released": false, "writes": 12}

The holder writes it anew three times a lease; whoever finds it older than its `lease_s` may take it, with the next
fencing number, which only grows. Its age is the store's own: the answer's Date minus the object's Last-Modified, both
in whole seconds, so a second is added. The clocks of hosts do not count, but for the speed at which the holder's own
runs: it measures its lease from before the request that renewed it, and so holds it for no longer than others see it.

A holder that was suspended may find out late. What it has sent by then is refused by the tables themselves
(`Lake.append`): each entry of a log carries the fencing number of its writer.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from mmer_ray.errors import LakeError, StoreError
from mmer_ray.failpoint import failpoint
from mmer_ray.sources.s3 import bucket_and_key, client, error_code, explained, failures, http_status, store_errors

LEASE_NAME = "writer.lease"
LEASE_S = 60.0
RENEWALS = 3
"""Per lease: two may fail."""
DATE_RESOLUTION_S = 1.0

CONNECTION = {
    "connect_timeout": 5,
    "read_timeout": 5,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}
"""A renewal is given up after 15 s and two waits, before the next one is due."""
NUM_READS = 4
_CHANGED = (404, 409, 412)
"""HTTP statuses of a conditional PUT whose condition does not hold: gone, being changed, changed."""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """A lease as the store shows it."""

    holder: str
    fencing: int
    lease_s: float
    is_released: bool
    age_s: float
    etag: str

    @property
    def left_s(self) -> float:
        """Seconds that others have to wait for it unless it is renewed; 0 where it is free."""
        return 0.0 if self.is_released else max(0.0, self.lease_s + DATE_RESOLUTION_S - self.age_s)


class Lease:
    """The right to write the lake at an address, from `take` to `release`. `check` may be called by any thread."""

    def __init__(self, address: str, lease_s: float = LEASE_S) -> None:
        self.holder = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(3)}"
        self.fencing = 0
        self.took_over = False
        """Whether the holder before did not release it and may still have requests under way."""
        self._address, self._lease_s = address, lease_s
        self._client = client(CONNECTION)
        self._etag = ""
        self._num_writes = 0
        self._valid_until_s = 0.0
        self._lost_to: str | None = None
        self._busy = threading.Lock()
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._keep_renewing, name="lease", daemon=True)

    def take(self) -> None:
        """Become the holder. Raises `LakeError` while anybody else is, and for a store without conditional PUTs;
        `PreflightError` for one that cannot be written."""
        with store_errors(self._address):
            found = read_lease(self._address, self._client)
            if found is not None and found.left_s > 0:
                raise _held(self._address, found)
            self.took_over = found is not None and not found.is_released
            self.fencing = 1 if found is None else found.fencing + 1
            try:
                self._put("" if found is None else found.etag)
            except _LostError:
                found = read_lease(self._address, self._client)
                raise _held(self._address, found) from None
            self._require_conditions()
        failpoint("after_lease_taken")
        self._renewing.start()

    def check(self) -> None:
        """Return while the lease is held. Raises `LakeError` once it is lost, `StoreError` where nobody can tell."""
        # A process that was stopped for a while wakes up with a lease that has run out; if nobody took it, it goes on.
        if self._lost_to is None and time.monotonic() > self._valid_until_s - self._lease_s / RENEWALS:
            try:
                self._renew()
            except StoreError:
                if time.monotonic() > self._valid_until_s:
                    raise
        if self._lost_to is not None:
            raise LakeError(
                f"the lease of the lake {self._address} was lost to {self._lost_to}; nothing was written since; "
                "run the same command again when that job has ended"
            )

    def release(self) -> None:
        """Let it go, so that nobody has to wait for its end."""
        failpoint("before_lease_release")
        self._ended.set()
        if self._renewing.is_alive():
            self._renewing.join()
        if self._lost_to is None:
            # With the store away it ends by itself.
            with contextlib.suppress(_LostError, StoreError), _store_failures(self._address):
                self._put(self._etag, is_released=True)

    def _keep_renewing(self) -> None:
        while not self._ended.wait(self._lease_s / RENEWALS) and self._lost_to is None:
            # A store that is away may be back before the lease ends; `check` speaks of it if not.
            with contextlib.suppress(StoreError):
                self._renew()

    def _renew(self) -> None:
        """Hold it for another `lease_s`, or learn who does. Raises `StoreError`."""
        with self._busy, _store_failures(self._address):
            try:
                self._put(self._etag)
            except _LostError:
                found = read_lease(self._address, self._client)
                self._lost_to = "nobody (it was deleted)" if found is None else found.holder

    def _put(self, etag: str, *, is_released: bool = False) -> None:
        """Write it where it still has this etag, `""` where it is not there. Raises `_LostError` where it has not."""
        from botocore.exceptions import ClientError

        began_s = time.monotonic()
        try:
            self._etag = self._send(etag, is_released=is_released)
        except ClientError as exc:
            if http_status(exc) not in _CHANGED or error_code(exc) == "NoSuchBucket":
                raise
            # The answer to an earlier attempt of the same request may have got lost on its way.
            found = read_lease(self._address, self._client)
            if found is None or (found.holder, found.fencing) != (self.holder, self.fencing):
                raise _LostError from exc
            self._etag = found.etag
        self._valid_until_s = began_s + self._lease_s

    def _send(self, etag: str, *, is_released: bool) -> str:
        bucket, key = _place(self._address)
        self._num_writes += 1
        state = {
            **{"holder": self.holder, "fencing": self.fencing, "lease_s": self._lease_s, "released": is_released},
            # An etag follows from the bytes: without a number a renewed lease would be the one that others have read.
            "writes": self._num_writes,
        }
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        answer = self._client.put_object(Bucket=bucket, Key=key, Body=json.dumps(state).encode(), **condition)
        return str(answer["ETag"])

    def _require_conditions(self) -> None:
        """Raise `LakeError` where the store writes although the condition does not hold: there two jobs could write."""
        from botocore.exceptions import ClientError

        try:
            self._send("", is_released=True)
        except ClientError as exc:
            if http_status(exc) in _CHANGED:
                return
            raise
        raise LakeError(
            f"the store of {self._address} does not keep to conditional writes (If-None-Match), without which a lake "
            "cannot be written safely; update the store or use another one"
        )


class _LostError(Exception):
    """The lease is not what this holder wrote last."""


@contextmanager
def leased(address: str, lease_s: float = LEASE_S) -> Iterator[Lease]:
    """Hold the lease of a lake. Raises as `Lease.take`."""
    with store_errors(address):
        lease = Lease(address, lease_s)
    lease.take()
    try:
        yield lease
    finally:
        lease.release()


def is_leased(address: str) -> bool:
    """Say whether somebody may be writing the lake. Writes nothing. Raises `PreflightError`."""
    with store_errors(address):
        found = read_lease(address, client(CONNECTION))
    return found is not None and found.left_s > 0


def read_lease(address: str, store: Any) -> LeaseState | None:
    """The lease of a lake, None where it never had one. Raises `LakeError` for one that nobody here wrote, and
    botocore's errors."""
    from botocore.exceptions import ClientError

    try:
        answer, body = _fetched(store, *_place(address))
    except ClientError as exc:
        if error_code(exc) == "NoSuchKey":
            return None
        raise
    try:
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        state = json.loads(body)
        return LeaseState(
            holder=str(state["holder"]),
            fencing=int(state["fencing"]),
            lease_s=float(state["lease_s"]),
            is_released=bool(state["released"]),
            age_s=(now - answer["LastModified"]).total_seconds(),
            etag=str(answer["ETag"]),
        )
    except (KeyError, TypeError, ValueError) as exc:
        remedy = "delete it when no job writes the lake"
        raise LakeError(f"{address}/{LEASE_NAME} cannot be read ({type(exc).__name__}: {exc}); {remedy}") from exc


def _fetched(store: Any, bucket: str, key: str) -> tuple[Mapping[str, Any], bytes]:
    """The store's answer and its body; botocore does not ask again for a body that broke off."""
    from botocore.exceptions import HTTPClientError, IncompleteReadError

    for attempt in range(NUM_READS):
        answer = store.get_object(Bucket=bucket, Key=key)
        try:
            return answer, answer["Body"].read()
        except (HTTPClientError, IncompleteReadError):
            if attempt == NUM_READS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _place(address: str) -> tuple[str, str]:
    bucket, key = bucket_and_key(f"{address}/{LEASE_NAME}")
    return bucket, key


def _held(address: str, found: LeaseState | None) -> LakeError:
    if found is None or not found.left_s:
        return LakeError(f"another job takes the lake {address} at this moment; run this again")
    return LakeError(
        f"the lake {address} is being written by {found.holder} (host, process, job); its lease, number "
        f"{found.fencing}, ends in {found.left_s:.0f} s unless that job renews it; wait for the job or stop it, then "
        "run this again"
    )


@contextmanager
def _store_failures(address: str) -> Iterator[None]:
    """Raise `StoreError`, which may pass, for what goes wrong on the way to the store."""
    try:
        yield
    except failures() as exc:
        raise StoreError(f"the lease of the lake {address} cannot be renewed: {explained(address, exc)}") from exc

"""Reading one object of a bucket, through s3fs, which is imported when the first `s3://` address turns up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.sources.buckets import RemoteObject, described
from mmer_ray.sources.s3 import failures, file_system, http_status

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 15
NUM_ATTEMPTS = 3
"""Of one request: server errors, throttling and broken connections are tried again, with a pause (botocore)."""
NUM_RETRIES = 2
"""Rounds of such attempts (s3fs), for the request and again for its body. A store that does not answer at all is given
up after NUM_RETRIES^2 * NUM_ATTEMPTS * READ_TIMEOUT_S, three minutes."""
_CODE_BY_STATUS = {
    401: ErrorCode.PERMISSION,
    403: ErrorCode.PERMISSION,
    404: ErrorCode.NOT_FOUND,
    412: ErrorCode.CHANGED_DURING_READ,
}


class ObjectReader:
    """Ranged reads of one object as it was when it was opened. For one thread."""

    def __init__(self, uri: str) -> None:
        """Raises `AudioError`: `not_found`, `permission` or `io_error`."""
        with _store_errors():
            # No cache: the reader at the other end of the pipe has one.
            self._file = _store().open(uri, "rb", cache_type="none")
            self._found = described(uri, self._file.details)
        if not self._found.exists:
            raise AudioError(ErrorCode.NOT_FOUND, "no such object")
        self.size_bytes = self._found.size_bytes

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        """Exactly `num_bytes` bytes from `offset` on. Raises `AudioError`, `changed_during_read` among them."""
        with _store_errors():
            self._file.seek(offset)
            data: bytes = self._file.read(num_bytes)
        if len(data) != num_bytes:
            raise AudioError(ErrorCode.IO_ERROR, f"the store sent {len(data)} of {num_bytes} bytes")
        return data

    def changed(self) -> bool:
        """Whether the address now has another object, or none. Raises `AudioError`."""
        with _store_errors():
            return find_object(self._found.uri) != self._found

    def close(self) -> None:
        self._file.close()


def find_object(uri: str) -> RemoteObject:
    """Ask the store about one object; one that is not there has `exists=False`."""
    try:
        return described(uri, _store().info(uri))
    except FileNotFoundError:
        return RemoteObject(uri, exists=False)


def _store() -> Any:
    retries = {"mode": "standard", "total_max_attempts": NUM_ATTEMPTS}
    timeouts = {"connect_timeout": CONNECT_TIMEOUT_S, "read_timeout": READ_TIMEOUT_S}
    return file_system({**timeouts, "retries": retries}, NUM_RETRIES)


@contextlib.contextmanager
def _store_errors() -> Iterator[None]:
    """Turn the store's errors into ours. The messages hold no address: they end in rows of the lake."""
    try:
        yield
    except AudioError:
        raise
    except Exception as exc:
        code = _error_code(exc)
        if code is None:
            raise
        raise AudioError(code, f"the store refused or failed: {type(exc).__name__}") from exc


def _error_code(exc: Exception) -> ErrorCode | None:
    """The code for what s3fs raises; None for an exception that is no answer of a store.

    s3fs turns S3's error codes into OSErrors whose cause has the answer (s3fs/errors.py). Errors of botocore and
    aiohttp, for credentials and connections, come out as they are.
    """
    from botocore import exceptions as botocore
    from s3fs.utils import FileExpired

    missing = (botocore.NoCredentialsError, botocore.PartialCredentialsError, botocore.CredentialRetrievalError)
    if isinstance(exc, (PermissionError, *missing)):
        return ErrorCode.PERMISSION
    if isinstance(exc, FileNotFoundError):
        return ErrorCode.NOT_FOUND
    if isinstance(exc, FileExpired):
        return ErrorCode.CHANGED_DURING_READ
    # The names of errors differ from store to store, statuses do not.
    status = http_status(exc)
    if status in _CODE_BY_STATUS:
        return _CODE_BY_STATUS[status]
    return ErrorCode.IO_ERROR if isinstance(exc, failures()) else None

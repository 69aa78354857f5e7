"""Listing the objects of a bucket, through s3fs, which is imported when the first `s3://` address turns up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mmer_ray.errors import PreflightError, SourceError

MAX_REQUESTS = 32
"""Questions about single objects that are under way at once."""
LISTING_CONNECTION = {
    "connect_timeout": 5,
    "read_timeout": 12,
    "retries": {"mode": "standard", "total_max_attempts": 4},
    "max_pool_connections": MAX_REQUESTS,
}
"""For listing. A store that does not answer is given up after at most 50 s and the waits between four attempts."""


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """One object as the store describes it."""

    uri: str
    exists: bool = True
    size_bytes: int = 0
    etag: str = ""
    modified_at: datetime | None = None


def describe_objects(uris: Sequence[str]) -> Iterator[RemoteObject]:
    """Ask the store about many objects at once, in their order.

    One that is not there, or that may not be read, has `exists=False`: opening it says why. Raises `PreflightError`
    where the store does not answer at all.
    """
    if not uris:
        return
    with ThreadPoolExecutor(min(MAX_REQUESTS, len(uris))) as pool:
        yield from pool.map(_describe_object, uris)


def _describe_object(uri: str) -> RemoteObject:
    bucket, key = _bucket_and_key(uri)
    with _store_errors(uri):
        try:
            answer = _listing_store().call_s3("head_object", Bucket=bucket, Key=key)
        except OSError as exc:
            if _is_unreachable(exc):
                raise
            return RemoteObject(uri, exists=False)
        return described(uri, {**answer, "size": answer.get("ContentLength")})


def list_objects(prefix: str) -> Iterator[RemoteObject]:
    """The object of this name, or else all objects in this folder, sorted by key; a page at a time.

    Raises `SourceError` where there are none or access is refused, `PreflightError` where the store does not answer.
    """
    bucket, key = _bucket_and_key(prefix)
    folder = key if not key or key.endswith("/") else f"{key}/"
    is_empty = True
    for found in _pages(prefix, bucket, folder):
        is_empty = False
        yield found
    if is_empty and folder != key and (found := _describe_object(prefix)).exists:
        yield found
    elif is_empty:
        raise SourceError(f"source {prefix} holds no objects; check bucket, prefix and credentials")


def _pages(prefix: str, bucket: str, folder: str) -> Iterator[RemoteObject]:
    request = {"Bucket": bucket, "Prefix": folder}
    while True:
        with _store_errors(prefix):
            page: Mapping[str, Any] = _listing_store().call_s3("list_objects_v2", **request)
        for item in page.get("Contents", ()):
            # Consoles make folders visible by empty objects whose names end with a slash.
            if not item["Key"].endswith("/"):
                yield described(f"s3://{bucket}/{item['Key']}", {**item, "size": item.get("Size")})
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def _bucket_and_key(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise SourceError(f"{uri!r} names no bucket; write s3://BUCKET/PREFIX")
    return bucket, key


@contextmanager
def _store_errors(address: str) -> Iterator[None]:
    """Say in our words why a store could not be asked, and what to do."""
    from botocore.exceptions import BotoCoreError, ParamValidationError

    remedy = "check the address, AWS_ENDPOINT_URL, the network and the credentials (AWS_PROFILE or AWS_ACCESS_KEY_ID)"
    try:
        yield
    except FileNotFoundError as exc:
        raise SourceError(f"source {address}: no such bucket; check its name") from exc
    except PermissionError as exc:
        raise SourceError(f"source {address} may not be read: {exc}; check the credentials and their rights") from exc
    except ParamValidationError as exc:
        raise SourceError(f"source {address} is no address of a store: {exc}") from exc
    except (OSError, BotoCoreError) as exc:
        raise PreflightError(f"{address}: the store did not answer: {exc}; {remedy}") from exc


def _is_unreachable(error: OSError) -> bool:
    """Whether an error is about the way to the store and not the store's answer about one object."""
    return isinstance(error, ConnectionError | TimeoutError)


def described(uri: str, info: Mapping[str, Any]) -> RemoteObject:
    """An object from what the store says of it; a prefix of other objects has `exists=False`."""
    if info.get("type") == "directory":
        return RemoteObject(uri, exists=False)
    return RemoteObject(
        uri=uri,
        size_bytes=int(info.get("size") or 0),
        etag=str(info.get("ETag", "")).strip('"'),
        modified_at=info.get("LastModified"),
    )


def _listing_store() -> Any:
    import s3fs

    store = s3fs.S3FileSystem(use_listings_cache=False, config_kwargs=LISTING_CONNECTION)
    # botocore waits longer from attempt to attempt; attempts of s3fs around those would multiply the time.
    store.retries = 1
    return store

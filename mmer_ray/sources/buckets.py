"""Listing the objects of a bucket, through s3fs, which is imported when the first `s3://` address turns up."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mmer_ray.errors import SourceError
from mmer_ray.sources.s3 import bucket_and_key, error_code, file_system, http_status, store_errors

MAX_REQUESTS = 32
"""Questions about single objects that are under way at once."""
MAX_LISTINGS = 16
"""Folders of a bucket that are listed at once."""
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
    where the store does not answer, refuses the credentials or has no such bucket.
    """
    if not uris:
        return
    asked: set[str] = set()
    with ThreadPoolExecutor(min(MAX_REQUESTS, len(uris))) as pool:
        for found in pool.map(_describe_object, uris):
            if not found.exists and (bucket := _bucket_and_key(found.uri)[0]) not in asked:
                asked.add(bucket)
                _require_bucket(found.uri)
            yield found


def _require_bucket(uri: str) -> None:
    """Raise `PreflightError` where not the object is refused but the credentials, or where there is no such bucket: the
    answer to a question about one object has no code that would tell (HTTP HEAD has no body)."""
    with store_errors(uri):
        try:
            _listing_store().call_s3("list_objects_v2", Bucket=_bucket_and_key(uri)[0], MaxKeys=1)
        except PermissionError as exc:
            # Who may not list a bucket may be allowed to read its objects.
            if error_code(exc) not in ("AccessDenied", "403"):
                raise


def _describe_object(uri: str) -> RemoteObject:
    bucket, key = _bucket_and_key(uri)
    with store_errors(uri):
        try:
            answer = _listing_store().call_s3("head_object", Bucket=bucket, Key=key)
        except OSError as exc:
            if http_status(exc) not in (403, 404):
                raise
            return RemoteObject(uri, exists=False)
        return described(uri, {**answer, "size": answer.get("ContentLength")})


def list_objects(prefix: str) -> Iterator[RemoteObject]:
    """The object of this name, or else all objects in this folder, sorted by key; a page at a time.

    Raises `SourceError` where there are none, `PreflightError` where the store does not answer, refuses the credentials
    or has no such bucket.
    """
    bucket, key = _bucket_and_key(prefix)
    folder = key if not key or key.endswith("/") else f"{key}/"
    is_empty = True
    for found in _objects(prefix, bucket, folder):
        is_empty = False
        yield found
    if is_empty and folder != key and (found := _describe_object(prefix)).exists:
        yield found
    elif is_empty:
        raise SourceError(f"source {prefix} holds no objects; check bucket, prefix and credentials")


def _objects(prefix: str, bucket: str, folder: str) -> Iterator[RemoteObject]:
    """All objects below a folder, sorted by key. Its own folders are listed at once.

    Where there are so many of them that one page does not hold them, all is listed page by page: an archive may have a
    folder for each recording.
    """
    request: dict[str, str] = {"Bucket": bucket, "Prefix": folder}
    last = ""
    for page in _pages(prefix, {**request, "Delimiter": "/"}):
        folders = [str(one["Prefix"]) for one in page.get("CommonPrefixes", ())]
        if folders and page.get("IsTruncated"):
            yield from _flat(prefix, {**request, "StartAfter": last} if last else request)
            return
        found = _described(bucket, page)
        yield from _with_folders(prefix, bucket, found, folders) if folders else found
        last = max((one["Key"] for one in page.get("Contents", ())), default=last)


def _with_folders(
    prefix: str, bucket: str, found: Iterable[RemoteObject], folders: Sequence[str]
) -> Iterator[RemoteObject]:
    """These objects and all that lies in these folders, sorted by key."""
    places = sorted([*((one.uri, one) for one in found), *((f"s3://{bucket}/{name}", name) for name in folders)])
    requests = [{"Bucket": bucket, "Prefix": one} for _, one in places if isinstance(one, str)]
    with ThreadPoolExecutor(min(MAX_LISTINGS, len(folders))) as pool:
        # First pages only, a few folders ahead: a folder may hold a million objects.
        asked = deque(pool.submit(_page, prefix, one) for one in requests[:MAX_LISTINGS])
        waiting = iter(requests[MAX_LISTINGS:])
        for _, one in places:
            if isinstance(one, RemoteObject):
                yield one
                continue
            page = asked.popleft().result()
            if following := next(waiting, None):
                asked.append(pool.submit(_page, prefix, following))
            yield from _described(bucket, page)
            if page.get("IsTruncated"):
                rest = {"Bucket": bucket, "Prefix": one, "ContinuationToken": page["NextContinuationToken"]}
                yield from _flat(prefix, rest)


def _flat(prefix: str, request: Mapping[str, str]) -> Iterator[RemoteObject]:
    for page in _pages(prefix, request):
        yield from _described(request["Bucket"], page)


def _pages(prefix: str, request: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    while True:
        page = _page(prefix, request)
        yield page
        if not page.get("IsTruncated"):
            return
        request = {**request, "ContinuationToken": page["NextContinuationToken"]}


def _page(prefix: str, request: Mapping[str, str]) -> Mapping[str, Any]:
    with store_errors(prefix):
        page: Mapping[str, Any] = _listing_store().call_s3("list_objects_v2", **request)
        return page


def _described(bucket: str, page: Mapping[str, Any]) -> list[RemoteObject]:
    # Consoles make folders visible by empty objects whose names end with a slash.
    return [
        described(f"s3://{bucket}/{item['Key']}", {**item, "size": item.get("Size")})
        for item in page.get("Contents", ())
        if not item["Key"].endswith("/")
    ]


def _bucket_and_key(uri: str) -> tuple[str, str]:
    bucket, key = bucket_and_key(uri)
    if not bucket:
        raise SourceError(f"{uri!r} names no bucket; write s3://BUCKET/PREFIX")
    return bucket, key


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
    # botocore waits longer from attempt to attempt; attempts of s3fs around those would multiply the time.
    return file_system(LISTING_CONNECTION, num_rounds=1)

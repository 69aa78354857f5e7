"""Objects in a bucket, through s3fs, which is imported when the first `s3://` address turns up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, cast

from mmer_ray.errors import SourceError


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """One object as the store describes it."""

    uri: str
    exists: bool = True
    size_bytes: int = 0
    etag: str = ""
    modified_at: datetime | None = None

    def open(self) -> IO[bytes]:
        """Random access by range requests; raises OSError."""
        return cast(IO[bytes], _store().open(self.uri, "rb"))


def find_object(uri: str) -> RemoteObject:
    """Ask the store about one object; one that is not there has `exists=False`."""
    try:
        return _described(uri, _store().info(uri))
    except FileNotFoundError:
        return RemoteObject(uri, exists=False)


def list_objects(prefix: str) -> Iterator[RemoteObject]:
    """All objects below a prefix, sorted by key. Raises `SourceError` where there are none or access is refused."""
    try:
        found: Mapping[str, Mapping[str, Any]] = _store().find(prefix, detail=True)
    except OSError as exc:
        raise SourceError(f"source {prefix} cannot be listed: {exc}") from exc
    if not found:
        raise SourceError(f"source {prefix} holds no objects; check bucket, prefix and credentials")
    for key in sorted(found):
        yield _described(f"s3://{key}", found[key])


def _described(uri: str, info: Mapping[str, Any]) -> RemoteObject:
    return RemoteObject(
        uri=uri,
        size_bytes=int(info.get("size") or 0),
        etag=str(info.get("ETag", "")).strip('"'),
        modified_at=info.get("LastModified"),
    )


def _store() -> Any:
    import s3fs

    # s3fs keeps one instance per set of arguments; its listing cache would hide that an object has changed.
    return s3fs.S3FileSystem(use_listings_cache=False, default_cache_type="readahead")

"""The files of a lake that are read and written as they are, without deltalake: one way to them on a disk and in a
bucket."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fsspec.implementations.local import LocalFileSystem

from mmer_ray.sources.s3 import bucket_and_key, file_system
from mmer_ray.sources.uris import is_remote

if TYPE_CHECKING:
    from mmer_ray.lake.table_log import DataFile

CONNECTION = {
    "connect_timeout": 10,
    "read_timeout": 20,
    "retries": {"mode": "standard", "total_max_attempts": 5},
    "max_pool_connections": 32,
}
NUM_ROUNDS = 3
"""Server errors, throttling, time-outs and broken connections are tried again by botocore, with a pause that grows;
bodies that broke off by s3fs. A store that does not answer is given up after five minutes and the pauses."""


_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""Not 0: DuckDB keeps nothing of a file whose time it takes for unknown."""


def open_files(address: str, **arguments: Any) -> tuple[Any, str]:
    """The file system of an address, as fsspec's, and the path there. Raises what `s3.store_errors` explains."""
    if not is_remote(address):
        return LocalFileSystem(), address
    return file_system(CONNECTION, NUM_ROUNDS, **arguments), address.removeprefix("s3://")


def first_names(address: str, most: int) -> list[str]:
    """Names of at most so many objects below an `s3://` address, relative to it."""
    store, _ = open_files(address)
    bucket, key = bucket_and_key(f"{address}/")
    page = store.call_s3("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=most)
    return [str(item["Key"]).removeprefix(key) for item in page.get("Contents", ())]


def reading_files(address: str, known: Iterable[DataFile]) -> Any:
    """The file system that DuckDB reads an `s3://` lake through. It asks for the ranges that DuckDB asks for, and for
    nothing else: what there is and how long it is, three questions a file and query, stands in the log. A name of
    `known` always means the same bytes."""
    store, _ = open_files(
        address, use_listings_cache=True, default_cache_type="none", default_fill_cache=False, skip_instance_cache=True
    )
    for file in known:
        path = file.path.removeprefix("s3://")
        facts = {"name": path, "size": file.num_bytes, "type": "file", "LastModified": _ANY_TIME}
        store.dircache.setdefault(path.rpartition("/")[0], []).append(facts)
    return store

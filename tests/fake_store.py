"""An object store in memory, for tests of what stands behind `mmer_ray.sources.objects`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from s3fs.utils import FileExpired

from mmer_ray.sources import objects


class FakeStore(AbstractFileSystem):
    """Objects by address; `on_read` runs before each range is sent and may raise what s3fs raises."""

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.failures: dict[str, Exception] = {}
        self.on_read: Callable[[str, int, int], None] = lambda path, start, end: None
        self.ranges: list[tuple[int, int]] = []

    def put_object(self, uri: str, data: bytes) -> None:
        self.objects[uri] = data
        self.etags[uri] = f'"{hash(data):x}"'

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        if path in self.failures:
            raise self.failures[path]
        if path not in self.objects:
            raise FileNotFoundError(path)
        return {"name": path, "size": len(self.objects[path]), "type": "file", "ETag": self.etags[path]}

    def open(self, path: str, mode: str = "rb", **arguments: Any) -> FakeFile:  # type: ignore[override]
        return FakeFile(self, path, mode, **arguments)


class FakeFile(AbstractBufferedFile):
    """One object as s3fs opens it: reads fail once the object has another etag."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        self.fs.on_read(self.path, start, end)
        self.fs.ranges.append((start, end))
        if self.fs.etags.get(self.path) != self.details["ETag"]:
            raise FileExpired(self.path, self.details["ETag"])
        return bytes(self.fs.objects[self.path][start:end])


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    """The store that all `s3://` addresses lead to."""
    fake = FakeStore()
    monkeypatch.setattr(objects, "_store", lambda: fake)
    return fake

"""The digest of every file that a lake's tables consist of, kept beside them, so that a changed byte is found.

    checksums/TABLE/VERSION.json      one line of JSON, path -> [bytes, digest], and the digest of that line

A record holds what one version of a table's log added: data files, the entry of the log and its checkpoint. It is
written after them, of the bytes as the store gives them back. A kill in between leaves files without a digest, which
is no damage; whoever writes that table next records them. No record names anything but files of the lake.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from mmer_ray.failpoint import failpoint
from mmer_ray.lake.files import open_files

CHECKSUMS_FOLDER = "checksums"
LOG_FOLDER = "_delta_log"
DIGEST_BYTES = 16
"""BLAKE2b-128, as of recordings: against accidents, and nobody can make another file with a given digest."""

_RECORD = re.compile(r"\d{20}\.json")
_OF_LOG = re.compile(r"\d{20}\.(json|checkpoint\.parquet)")
"""Entries and checkpoints, which never change; `_last_checkpoint` does."""


class FileSum(NamedTuple):
    """A file's length and the digest of its bytes, as hex digits."""

    num_bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the records of a table say."""

    sums: dict[str, FileSum] = field(default_factory=dict)
    """Path below the table's folder -> what was written there."""
    damaged: list[str] = field(default_factory=list)
    """Names of records that say nothing that can be trusted."""


class Checksums:
    """The records of one lake. Who calls `record` and `renew` is the lake's one writer; both raise OSError."""

    def __init__(self, address: str, *, is_local: bool) -> None:
        self._address, self._is_local = address, is_local
        self._newest: dict[str, int] = {}

    def record(self, name: str, version: int) -> int:
        """Record the files that this version, the newest of a table, has added, and those of earlier versions since
        the newest record; returns how many were read. A table without any record gets those of this version alone:
        reading all of an old lake is for `renew`.
        """
        newest = self._newest[name] if name in self._newest else max(self._versions(name), default=version - 1)
        if newest < version:
            failpoint(f"before_checksums_{name}")
            paths = [path for one in range(newest + 1, version + 1) for path in self._added(name, one)]
            self._write(name, version, {path: self.sum_of(name, path) for path in paths})
            self._newest[name] = version
            return len(paths)
        self._newest[name] = newest
        return 0

    def renew(self, name: str, version: int, live: Iterable[str]) -> None:
        """Join a table's records to one, without the files that are gone and with those that have none, and drop
        damaged ones; `live` has the paths of the table's data files, below its folder."""
        recorded = self.read(name)
        wanted = {*live, *self._log_files(name)}
        sums = {path: found for path, found in recorded.sums.items() if path in wanted}
        sums |= {path: self.sum_of(name, path) for path in sorted(wanted - set(sums)) if self._exists(name, path)}
        earlier = self._record_names(name)
        self._write(name, version, sums)
        failpoint(f"after_renew_{name}")
        store, folder = self._store(name)
        for record in earlier:
            if record != _record_name(version):
                store.rm_file(f"{folder}/{record}")
        self._newest[name] = version

    def read(self, name: str) -> Recorded:
        """Everything that is recorded of a table."""
        recorded = Recorded()
        store, folder = self._store(name)
        for record in self._record_names(name):
            found = _parsed(store.cat_file(f"{folder}/{record}"))
            if found is None:
                recorded.damaged.append(record)
            else:
                recorded.sums.update(found)
        return recorded

    def missing(self, name: str, live: Iterable[str]) -> list[str]:
        """The files of a table, data and log, that are there and have no digest; `live` has its data files."""
        known = self.read(name).sums
        return sorted(path for path in {*live, *self._log_files(name)} - set(known) if self._exists(name, path))

    def sum_of(self, name: str, path: str) -> FileSum:
        """Read a file of a table. Raises OSError."""
        store, root = open_files(self._address)
        with store.open(f"{root}/{name}/{path}", "rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).hexdigest()
            return FileSum(int(file.tell()), digest)

    def _added(self, name: str, version: int) -> list[str]:
        """The files of one version that are still there."""
        entry = f"{LOG_FOLDER}/{version:020d}"
        store, root = open_files(self._address)
        try:
            lines = store.cat_file(f"{root}/{name}/{entry}.json").splitlines()
        except FileNotFoundError:
            return []
        actions: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
        added = [unquote(str(action["add"]["path"])) for action in actions if "add" in action]
        return [path for path in (*added, f"{entry}.json", f"{entry}.checkpoint.parquet") if self._exists(name, path)]

    def _log_files(self, name: str) -> list[str]:
        store, root = open_files(self._address)
        names = [PurePosixPath(path).name for path in store.ls(f"{root}/{name}/{LOG_FOLDER}", detail=False)]
        return [f"{LOG_FOLDER}/{one}" for one in names if _OF_LOG.fullmatch(one)]

    def _exists(self, name: str, path: str) -> bool:
        store, root = open_files(self._address)
        return bool(store.exists(f"{root}/{name}/{path}"))

    def _write(self, name: str, version: int, sums: Mapping[str, FileSum]) -> None:
        line = json.dumps(sums, ensure_ascii=False, sort_keys=True).encode()
        store, folder = self._store(name)
        target = f"{folder}/{_record_name(version)}"
        # Renamed into place: a kill in between leaves a name that nobody reads.
        draft = f"{target}.draft" if self._is_local else target
        store.makedirs(folder, exist_ok=True)
        store.pipe_file(draft, line + b"\n" + _digest(line) + b"\n")
        if self._is_local:
            store.mv(draft, target)

    def _versions(self, name: str) -> list[int]:
        return [int(record.partition(".")[0]) for record in self._record_names(name)]

    def _record_names(self, name: str) -> list[str]:
        store, folder = self._store(name)
        try:
            names = [PurePosixPath(path).name for path in store.ls(folder, detail=False)]
        except FileNotFoundError:
            return []
        return sorted(one for one in names if _RECORD.fullmatch(one))

    def _store(self, name: str) -> tuple[Any, str]:
        """The file system and the folder of a table's records."""
        store, root = open_files(self._address)
        return store, f"{root}/{CHECKSUMS_FOLDER}/{name}"


def _record_name(version: int) -> str:
    return f"{version:020d}.json"


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=DIGEST_BYTES).hexdigest().encode()


def _parsed(record: bytes) -> dict[str, FileSum] | None:
    """None for a record that is not as it was written."""
    line, _, digest = record.partition(b"\n")
    if digest != _digest(line) + b"\n":
        return None
    return {path: FileSum(*found) for path, found in json.loads(line).items()}

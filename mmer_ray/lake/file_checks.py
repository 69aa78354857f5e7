"""Whether the files of a lake are those that were written: there, unchanged, of their table's columns, and named.

One pass over each file's bytes, a few at a time; memory grows with the number of files alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmer_ray.errors import LakeError
from mmer_ray.lake.card import CARD_NAME, DRAFT_NAME
from mmer_ray.lake.checksums import CHECKSUMS_FOLDER, LOG_FOLDER, FileSum, Recorded
from mmer_ray.lake.files import open_files
from mmer_ray.lake.finding import Finding
from mmer_ray.lake.lease import LEASE_NAME
from mmer_ray.lake.lock import LOCK_NAME
from mmer_ray.lake.removal import INTENT_DRAFT_NAME, INTENT_NAME
from mmer_ray.lake.table_log import logged_files
from mmer_ray.tables import SCHEMAS, V1_COLUMNS, partition_columns

if TYPE_CHECKING:
    from mmer_ray.lake.store import Lake

FROM_A_COPY = "restore it from a copy of the lake"
RECORD_ANEW = "`mmer lake upgrade` makes it anew"
SWEEP = "`mmer lake vacuum` removes them"
MAX_READERS = 8
OWN_FILES = {CARD_NAME, DRAFT_NAME, LOCK_NAME, LEASE_NAME, INTENT_NAME, INTENT_DRAFT_NAME}
"""Files of the lake that are no table's."""

UNREAD_OF_VERSION_1 = {
    "recordings": {f"{stage}_fingerprint" for stage in ("decode", "diarize", "transcribe", "emotion", "link")}
}
"""Columns of text that version 1 wrote and that nobody reads."""


@dataclass
class FileCounts:
    """What was looked at."""

    num_files: int = 0
    num_bytes: int = 0
    num_read: int = 0
    """Files whose bytes were compared with their digest."""
    num_unrecorded: int = 0


class TableFiles:
    """The files of one table, checked in order; `counts` is added to."""

    def __init__(self, lake: Lake, name: str, counts: FileCounts, *, quick: bool) -> None:
        self._lake, self._name, self._counts, self._quick = lake, name, counts, quick

    def findings(self) -> Iterator[Finding]:
        """Raises nothing for damage: it is what is looked for."""
        try:
            logged = logged_files(self._lake, self._name)
        except LakeError as exc:
            yield self._damage(LOG_FOLDER, str(exc), FROM_A_COPY)
            return
        stored = self._stored()
        recorded = self._lake.checksums.read(self._name)
        for record in recorded.damaged:
            place = f"../{CHECKSUMS_FOLDER}/{self._name}/{record}"
            yield self._damage(place, "this record of checksums is damaged", RECORD_ANEW)
        self._counts.num_files += len(logged)
        self._counts.num_bytes += sum(logged.values())
        damaged = set()
        for finding in chain(self._sizes(logged, stored), self._sums(logged, stored, recorded)):
            if finding.is_damage:
                damaged.add(finding.place)
            yield finding
        yield from self._schemas(path for path in logged if path in stored and self._place(path) not in damaged)
        yield from self._unnamed(logged, stored)

    def _sizes(self, logged: Mapping[str, int], stored: Mapping[str, int]) -> Iterator[Finding]:
        for path, num_bytes in logged.items():
            if path not in stored:
                yield self._damage(path, "the log names this file, and it is gone", FROM_A_COPY)
            elif stored[path] != num_bytes:
                yield self._damage(path, f"it has {stored[path]} bytes, the log says {num_bytes}", FROM_A_COPY)

    def _sums(self, logged: Mapping[str, int], stored: Mapping[str, int], recorded: Recorded) -> Iterator[Finding]:
        """Compare every file that has a digest: data files, and what there still is of the log."""
        unrecorded = [path for path in logged if path in stored and path not in recorded.sums]
        if unrecorded:
            self._counts.num_unrecorded += len(unrecorded)
            what = f"{len(unrecorded)} files have no recorded digest, from an earlier version or a run that was killed"
            yield self._note(unrecorded[0], what, "`mmer lake upgrade` records them as they are now")
        if self._quick:
            return
        live = {path for path, num_bytes in logged.items() if stored.get(path) == num_bytes}
        wanted = [path for path in recorded.sums if path in live or (_is_log(path) and path in stored)]
        self._counts.num_read += len(wanted)
        with ThreadPoolExecutor(MAX_READERS) as pool:
            for path, found in zip(wanted, pool.map(self._sum_of, wanted), strict=True):
                if isinstance(found, OSError):
                    yield self._damage(path, f"it cannot be read: {found}", FROM_A_COPY)
                elif found != recorded.sums[path]:
                    yield self._damage(path, "its bytes are not those that were written", FROM_A_COPY)

    def _schemas(self, paths: Iterable[str]) -> Iterator[Finding]:
        store, root = open_files(self._lake.address)
        for path in paths:
            try:
                with store.open(f"{root}/{self._name}/{path}", "rb") as file:
                    schema = pq.read_schema(file)
            except (OSError, pa.ArrowException) as exc:
                yield self._damage(path, f"it cannot be read as Parquet: {_first_line(exc)}", FROM_A_COPY)
                continue
            for what in differences(self._name, schema):
                yield self._damage(path, what, FROM_A_COPY)

    def _unnamed(self, logged: Mapping[str, int], stored: Mapping[str, int]) -> Iterator[Finding]:
        unnamed = sorted(path for path in stored if path not in logged and not _is_log(path))
        if unnamed:
            num_bytes = sum(stored[path] for path in unnamed)
            what = (
                f"{len(unnamed)} files ({num_bytes} bytes) of earlier versions or torn writes are no part of the table"
            )
            yield self._note(unnamed[0], what, SWEEP)

    def _stored(self) -> dict[str, int]:
        """Path below the table's folder -> bytes, of every file that is there."""
        store, root = open_files(f"{self._lake.address}/{self._name}")
        found: dict[str, dict[str, Any]] = store.find(root, detail=True)
        return {path[len(root) + 1 :]: int(facts["size"]) for path, facts in found.items()}

    def _sum_of(self, path: str) -> FileSum | OSError:
        try:
            return self._lake.checksums.sum_of(self._name, path)
        except OSError as exc:
            return exc

    def _place(self, path: str) -> str:
        return f"{self._name}/{path}"

    def _damage(self, path: str, what: str, remedy: str) -> Finding:
        return Finding(self._name, self._place(path), what, remedy)

    def _note(self, path: str, what: str, remedy: str) -> Finding:
        return Finding(self._name, self._place(path), what, remedy, is_damage=False)


def foreign_files(lake: Lake) -> Iterator[Finding]:
    """What lies in the lake's own folder and is not part of a lake."""
    store, root = open_files(lake.address)
    for path in sorted(store.ls(root, detail=False)):
        name = path.rstrip("/").rpartition("/")[2]
        if name not in OWN_FILES | set(SCHEMAS) | {CHECKSUMS_FOLDER}:
            yield Finding("", name, "this is no part of a lake", "move it elsewhere", is_damage=False)


def differences(name: str, schema: pa.Schema) -> Iterator[str]:
    """How a file's columns differ from those of its table. Columns may be missing: those of later versions."""
    wanted = {field.name: field.type for field in (*SCHEMAS[name], *V1_COLUMNS.get(name, ()))}
    wanted |= dict.fromkeys(UNREAD_OF_VERSION_1.get(name, ()), pa.string())
    for column in partition_columns(name):
        del wanted[column]
    for field in schema:
        if field.name not in wanted:
            yield f"it has a column {field.name}, which the table has not"
        elif not is_same_type(field.type, wanted[field.name]):
            yield f"its column {field.name} is {field.type}, in the table it is {wanted[field.name]}"


def is_same_type(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Equal but for the names of inner fields and for the width of offsets, which Parquet does not keep."""
    if pa.types.is_map(wanted):
        return (
            pa.types.is_map(found)
            and is_same_type(found.key_type, wanted.key_type)
            and is_same_type(found.item_type, wanted.item_type)
        )
    if pa.types.is_list(wanted):
        return (pa.types.is_list(found) or pa.types.is_large_list(found)) and is_same_type(
            found.value_type, wanted.value_type
        )
    wide: dict[pa.DataType, set[pa.DataType]] = {
        pa.string(): {pa.large_string(), pa.string_view()},
        pa.binary(): {pa.large_binary(), pa.binary_view()},
    }
    return found == wanted or found in wide.get(wanted, set())


def _is_log(path: str) -> bool:
    return path.startswith(f"{LOG_FOLDER}/")


def _first_line(exc: BaseException) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0]

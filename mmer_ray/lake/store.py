"""A lake is a folder: one Delta table per name in `tables.SCHEMAS` and `lake.json`, which says how it was made.

    lake.json      schema version, fingerprint of the key
    writer.lock    held by the one writer (local lakes)
    recordings/ utterances/ words/ emotions/ calls/ runs/ commits/

This is the only file that imports deltalake, and it does so when a table is first touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import fsspec
import pyarrow as pa

from mmer_ray.errors import LakeError
from mmer_ray.lake.lock import only_writer
from mmer_ray.tables import LOG_STATISTICS, SCHEMA_VERSION, SCHEMAS, partition_columns

if TYPE_CHECKING:
    from deltalake import DeltaTable

KEY_VARIABLE = "MMER_LAKE_KEY"
PUBLIC_KEY = b"mmer_ray"
"""The key of recording_ids unless `MMER_LAKE_KEY` is set when the lake is made. Everybody knows it, so ids can be
compared between lakes, and whoever holds an audio file can tell whether a lake has scored it. A private key ends
both."""

APPLICATION = "mmer_ray"
"""Application id of every append; its version is the number of the commit that the append belongs to."""

CONFIGURATION = {
    "delta.checkpointInterval": "50",
    "delta.deletedFileRetentionDuration": "interval 7 days",
    "delta.logRetentionDuration": "interval 7 days",
    "delta.enableDeletionVectors": "false",
}
"""Deletion vectors stay off: readers take whole files from the log."""

ROW_GROUP_ROWS = 122_880
_UNFIT_IN_PATH = re.compile(r"[*?\[\]|^\\%\x00-\x1f]")
"""deltalake panics on some of these in a table's address, DuckDB takes others for a pattern (1.6.6, 2.0.0)."""

_PARTITION_IN_PATH = re.compile(r"(^|/)(corpus|month)=")
"""DuckDB would read every row's corpus or month from that folder."""


class Lake:
    """The lake at an address. Nothing is created before `create`; an absent lake reads as empty."""

    def __init__(
        self, address: str | Path, storage_options: Mapping[str, str] | None = None, *, to_read: bool = False
    ) -> None:
        """Take a folder or an `s3://` prefix; `storage_options` go to deltalake's own store.

        Raises `LakeError` when the address holds something else, or a lake made with another key; who only
        comes `to_read` needs no key.
        """
        text = str(address).removeprefix("file://")
        self.is_local = "://" not in text
        _check_address(text)
        self.address = str(Path(text).absolute()) if self.is_local else text.rstrip("/")
        self.storage_options = {"conditional_put": "etag", **(storage_options or {})} if not self.is_local else {}
        self.key = lake_key()
        if found := _UNFIT_IN_PATH.search(self.address):
            raise LakeError(f"a lake's path cannot contain {found.group()!r}: {self.address}; choose another folder")
        if _PARTITION_IN_PATH.search(self.address):
            raise LakeError(
                f"{self.address}: a lake cannot lie in a folder called corpus=... or month=..., its own are"
            )
        self._tables: dict[str, DeltaTable] = {}
        self._lock_depth = 0
        self.exists = self._check(to_read)

    def create(self) -> None:
        """Make the lake unless it is there."""
        if self.exists:
            return
        card = {"format": "mmer_ray lake", "schema_version": SCHEMA_VERSION, "key_fingerprint": fingerprint(self.key)}
        if self.is_local:
            Path(self.address).mkdir(parents=True, exist_ok=True)
        # Renamed into place: a kill in between leaves a name that the next run overwrites.
        target = f"{self.address}/lake.json"
        draft = f"{target}.draft" if self.is_local else target
        with fsspec.open(draft, "w", encoding="utf-8") as file:
            file.write(json.dumps(card, indent=2) + "\n")
        if self.is_local:
            Path(draft).replace(target)
        self.exists = True

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one writer. The kernel lets the lock go when the process ends, however it ends.

        This object may nest it. Raises `LakeError` while anybody else writes. An `s3://` lake has no lock: there
        the conditional put lets one of two writers fail at its next commit.
        """
        with ExitStack() as stack:
            if self.is_local and not self._lock_depth:
                Path(self.address).mkdir(parents=True, exist_ok=True)
                stack.enter_context(only_writer(Path(self.address).resolve()))
            self._lock_depth += 1
            stack.callback(self._unnest)
            yield

    def _unnest(self) -> None:
        self._lock_depth -= 1

    def append(self, name: str, rows: pa.Table, sequence: int) -> bool:
        """Add rows to a table as part of commit `sequence`, at most once.

        Returns False where the table has them already. The library does not refuse a transaction it has
        seen, so the last one is read first; with one writer the pair is exactly-once.
        """
        from deltalake import CommitProperties, Transaction, WriterProperties, write_deltalake

        table = self._writable(name)
        table.update_incremental()
        if (table.transaction_version(APPLICATION) or 0) >= sequence:
            return False
        write_deltalake(
            table,
            rows,
            mode="append",
            writer_properties=WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP_ROWS),
            commit_properties=CommitProperties(app_transactions=[Transaction(APPLICATION, sequence)]),
        )
        return True

    def next_sequence(self) -> int:
        """The number of the next commit: above all that any table has seen, finished or torn."""
        tables = [self._opened(name) for name in SCHEMAS]
        return 1 + max((table.transaction_version(APPLICATION) or 0 for table in tables if table), default=0)

    def files(self, name: str) -> list[str]:
        """The data files of a table's newest version, from its log. Other files in the folder do not count."""
        table = self._opened(name)
        if table is None:
            return []
        # pa.table() would import pandas to see whether this is a data frame: three seconds.
        actions = pa.RecordBatchReader.from_stream(table.get_add_actions()).read_all()
        # file_uris() percent-encodes the folder's own name, which is then no path.
        return [f"{self.address}/{name}/{unquote(str(path))}" for path in actions.column("path").to_pylist()]

    def _uri(self, name: str) -> str:
        return (Path(self.address) / name).as_uri() if self.is_local else f"{self.address}/{name}"

    def _opened(self, name: str) -> DeltaTable | None:
        """The table at its newest version; None while it has never been written."""
        from deltalake import DeltaTable

        if name in self._tables:
            self._tables[name].update_incremental()
        elif DeltaTable.is_deltatable(self._uri(name), self.storage_options):
            self._tables[name] = DeltaTable(self._uri(name), storage_options=self.storage_options)
        return self._tables.get(name)

    def _writable(self, name: str) -> DeltaTable:
        from deltalake import DeltaTable

        if (table := self._opened(name)) is None:
            table = self._tables[name] = DeltaTable.create(
                self._uri(name),
                SCHEMAS[name],
                partition_by=partition_columns(name),
                configuration=CONFIGURATION | {"delta.dataSkippingStatsColumns": ",".join(LOG_STATISTICS[name])},
                storage_options=self.storage_options,
            )
        return table

    def _check(self, to_read: bool) -> bool:
        """Whether the lake is there; `LakeError` when it is not one, or not ours to write."""
        card = read_card(self.address)
        if card is None:
            if self.is_local and _holds_other_things(Path(self.address)):
                raise LakeError(f"{self.address} is not empty and not a lake; name an empty or a new folder")
            return False
        if not to_read and card.get("key_fingerprint") != fingerprint(self.key):
            remedy = f"set {KEY_VARIABLE} to the key it was made with"
            if card.get("key_fingerprint") == fingerprint(PUBLIC_KEY):
                remedy = f"it has the public key, so unset {KEY_VARIABLE}"
            raise LakeError(f"the lake {self.address} was made with another key: {remedy}, or name another folder")
        return True


def read_card(address: str) -> dict[str, Any] | None:
    """What `lake.json` says, or None where there is none. Raises `LakeError` on a damaged or newer one."""
    try:
        with fsspec.open(f"{address}/lake.json", "r", encoding="utf-8") as file:
            card = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, OSError) as exc:
        raise LakeError(f"{address}/lake.json cannot be read: {exc}; restore it from a copy") from exc
    version = card.get("schema_version") if isinstance(card, dict) else None
    if version != SCHEMA_VERSION:
        raise LakeError(f"{address} has schema version {version}, this mmer_ray reads {SCHEMA_VERSION}; upgrade it")
    return dict(card)


def lake_key() -> bytes:
    """The BLAKE2b key of recording_ids: `MMER_LAKE_KEY`, or the public one."""
    key = os.environ.get(KEY_VARIABLE, "").encode() or PUBLIC_KEY
    if len(key) > hashlib.blake2b.MAX_KEY_SIZE:
        raise LakeError(f"{KEY_VARIABLE} has {len(key)} bytes, at most {hashlib.blake2b.MAX_KEY_SIZE} are allowed")
    return key


def fingerprint(key: bytes) -> str:
    """What `lake.json` keeps of a key: enough to recognise it, too little to use it."""
    return hashlib.blake2b(b"mmer_ray lake key", digest_size=8, key=key).hexdigest()


def _check_address(text: str) -> None:
    if "://" in text and not text.startswith("s3://"):
        raise LakeError(f"{text}: a lake lies in a folder or below s3://; name one of these")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        # deltalake and DuckDB take addresses as UTF-8 only.
        raise LakeError(f"{text!a}: a lake's path must be UTF-8; rename the folder or choose another one") from exc


def _holds_other_things(folder: Path) -> bool:
    if not folder.exists():
        return False
    if not folder.is_dir():
        return True
    return any(entry.name not in {"writer.lock", "lake.json.draft"} for entry in folder.iterdir())

"""A lake is a folder: one Delta table per name in `tables.SCHEMAS` and `lake.json`, which says how it was made.

    lake.json      schema version, fingerprint of the key, tables
    writer.lock    held by the one writer (local lakes)
    recordings/ results/ utterances/ ... runs/ commits/

This is the only file that imports deltalake, and it does so when a table is first touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from mmer_ray.errors import LakeError
from mmer_ray.lake.card import (
    DRAFT_NAME,
    KEY_VARIABLE,
    PUBLIC_KEY,
    Card,
    fingerprint,
    lake_key,
    read_card,
    refuse_newer,
    write_card,
)
from mmer_ray.lake.lock import LOCK_NAME, only_writer
from mmer_ray.lake.store_errors import damaged, reading, writing
from mmer_ray.tables import LOG_STATISTICS, SCHEMA_VERSION, SCHEMAS, partition_columns

if TYPE_CHECKING:
    from deltalake import DeltaTable

APPLICATION = "mmer_ray"
"""Application id of every append; its version is the number of the commit that the append belongs to."""
VERSION_PROPERTY = "mmer_ray.schemaVersion"
"""The property of each table that says which version of its schema it was last written with."""
RUN_IN_LOG, SEQUENCE_IN_LOG = "mmer_run", "mmer_sequence"
"""What the log says of each append: who wrote it, as part of which commit."""
LOG_DEPTH = 50
"""Entries of a table's log that are searched for the writer of a sequence number."""

CONFIGURATION = {
    "delta.checkpointInterval": "50",
    "delta.deletedFileRetentionDuration": "interval 7 days",
    "delta.logRetentionDuration": "interval 7 days",
    "delta.enableDeletionVectors": "false",
    VERSION_PROPERTY: str(SCHEMA_VERSION),
}
"""Deletion vectors stay off: readers take whole files from the log."""

ROW_GROUP_ROWS = 122_880
_UNFIT_IN_PATH = re.compile(r"[*?\[\]|^\\%\x00-\x1f]")
"""deltalake panics on some of these in a table's address, DuckDB takes others for a pattern (1.6.6, 2.0.0)."""

_PARTITION_IN_PATH = re.compile(r"(^|/)(corpus|month)=")
"""DuckDB would read every row's corpus or month from that folder."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file of a table, as the table's log describes it."""

    path: str
    first_commit: str | None
    """Least and greatest commit_id of its rows, equal unless it holds several commits; None where the log does not
    say, as in lakes of version 1."""
    last_commit: str | None


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
        self._card = self._check(to_read)

    @property
    def exists(self) -> bool:
        return self._card is not None

    def create(self) -> None:
        """Make the lake and its tables where they are not there; bring one of an earlier version to this one.

        Raises `StoreError`.
        """
        card = self._card or Card(SCHEMA_VERSION, fingerprint(self.key))
        if card.schema_version == SCHEMA_VERSION and set(card.tables) >= set(SCHEMAS):
            return
        with writing(self.address):
            if self.is_local:
                Path(self.address).mkdir(parents=True, exist_ok=True)
            if self._card is None:
                # First without tables: a kill in between leaves a lake that is begun, not one that is damaged.
                write_card(self.address, card, is_local=self.is_local)
            for name in SCHEMAS:
                self._make(name)
            self._card = replace(card, schema_version=SCHEMA_VERSION, tables=tuple(SCHEMAS))
            write_card(self.address, self._card, is_local=self.is_local)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one writer. The kernel lets the lock go when the process ends, however it ends.

        This object may nest it. Raises `LakeError` while anybody else writes. An `s3://` lake has no lock: there
        `append` finds out.
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

    def append(self, name: str, rows: pa.Table, sequence: int, run_id: str) -> bool:
        """Add rows to a table as part of commit `sequence` of this run, at most once.

        Returns False where this run has added them already, so a commit may be tried again. Raises `LakeError` where
        another job has taken the number, `StoreError` where the store fails. The library does not refuse a
        transaction it has seen, so the last one is read first; of two jobs that get past this, the store's
        conditional put refuses one.
        """
        from deltalake import CommitProperties, Transaction, WriterProperties, write_deltalake

        table = self.newest(name)
        with writing(self.address):
            if (table.transaction_version(APPLICATION) or 0) >= sequence:
                self._require_own(table, name, sequence, run_id)
                return False
            write_deltalake(
                table,
                rows,
                mode="append",
                # Columns that an older table lacks are added to it.
                schema_mode="merge",
                writer_properties=WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP_ROWS),
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(APPLICATION, sequence)],
                    custom_metadata={RUN_IN_LOG: run_id, SEQUENCE_IN_LOG: str(sequence)},
                ),
            )
        return True

    def next_sequence(self) -> int:
        """The number of the next commit: above all that any table has seen, finished or torn."""
        tables = [self._opened(name) for name in SCHEMAS]
        return 1 + max((table.transaction_version(APPLICATION) or 0 for table in tables if table), default=0)

    def versions(self) -> dict[str, int]:
        """Table -> the number of its newest version, of the tables that there are.

        Equal numbers: nothing was written in between. Raises `LakeError` where a table or its log is damaged or gone.
        """
        tables = {name: self._opened(name) for name in SCHEMAS}
        return {name: int(table.version()) for name, table in tables.items() if table is not None}

    def files(self, name: str) -> list[DataFile]:
        """The data files of a table's newest version, from its log. Other files in the folder do not count.

        Raises `LakeError` where the table, its log or one of its files is damaged or gone.
        """
        table = self._opened(name)
        if table is None:
            return []
        with reading(f"{self.address}/{name}"):
            actions = pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all()
        # file_uris() percent-encodes the folder's own name, which is then no path.
        paths = [f"{self.address}/{name}/{unquote(str(path))}" for path in actions.column("path").to_pylist()]
        if self.is_local and (gone := next((path for path in paths if not Path(path).is_file()), None)):
            raise damaged(self.address, f"its file {gone} is gone")
        first, last = (_extremes(actions, end) for end in ("min", "max"))
        return [DataFile(*facts) for facts in zip(paths, first, last, strict=True)]

    def _uri(self, name: str) -> str:
        return (Path(self.address) / name).as_uri() if self.is_local else f"{self.address}/{name}"

    def _opened(self, name: str) -> DeltaTable | None:
        """The table at its newest version; None while it has never been made. Raises `LakeError` on a damaged one."""
        from deltalake import DeltaTable

        with reading(f"{self.address}/{name}"):
            if name in self._tables:
                self._tables[name].update_incremental()
            elif DeltaTable.is_deltatable(self._uri(name), self.storage_options):
                table = DeltaTable(self._uri(name), storage_options=self.storage_options)
                refuse_newer(f"{self.address}/{name}", _version_of(table))
                self._tables[name] = table
        if name not in self._tables and self._card is not None and name in self._card.tables:
            raise damaged(self.address, f"its table {name} is gone")
        return self._tables.get(name)

    def newest(self, name: str) -> DeltaTable:
        """The table at its newest version, to be changed. Raises `StoreError`."""
        known = self._tables.get(name)
        if known is None:
            known = self._opened(name)
            assert known is not None, f"{self.address}: append to {name} before create"
            return known
        with writing(self.address):
            known.update_incremental()
        return known

    def _make(self, name: str) -> None:
        """Create a table, or mark one of an earlier version as of this one."""
        from deltalake import DeltaTable

        table = self._opened(name)
        if table is None:
            self._tables[name] = DeltaTable.create(
                self._uri(name),
                SCHEMAS[name],
                partition_by=partition_columns(name),
                configuration=CONFIGURATION | {"delta.dataSkippingStatsColumns": ",".join(LOG_STATISTICS[name])},
                storage_options=self.storage_options,
                raise_if_key_not_exists=False,
            )
        elif _version_of(table) < SCHEMA_VERSION:
            properties = {
                VERSION_PROPERTY: str(SCHEMA_VERSION),
                "delta.dataSkippingStatsColumns": ",".join(LOG_STATISTICS[name]),
            }
            table.alter.set_table_properties(properties, raise_if_not_exists=False)

    def _require_own(self, table: DeltaTable, name: str, sequence: int, run_id: str) -> None:
        """Return where this run wrote that sequence number; raise `LakeError` where another job did."""
        for entry in table.history(LOG_DEPTH):
            if entry.get(SEQUENCE_IN_LOG) == str(sequence):
                if entry.get(RUN_IN_LOG) == run_id:
                    return
                break
        raise LakeError(
            f"another job writes the lake {self.address}: {name} has a commit {sequence} that is not of this run; "
            "stop the other job, then run the same command again"
        )

    def _check(self, to_read: bool) -> Card | None:
        """What the lake says of itself, None where there is none; `LakeError` when it is not one, or not ours."""
        card = read_card(self.address)
        if card is None:
            if self.is_local and _holds_other_things(Path(self.address)):
                raise LakeError(f"{self.address} is not empty and not a lake; name an empty or a new folder")
            return None
        if not to_read and card.key_fingerprint != fingerprint(self.key):
            remedy = f"set {KEY_VARIABLE} to the key it was made with"
            if card.key_fingerprint == fingerprint(PUBLIC_KEY):
                remedy = f"it has the public key, so unset {KEY_VARIABLE}"
            raise LakeError(f"the lake {self.address} was made with another key: {remedy}, or name another folder")
        return card


def _version_of(table: DeltaTable) -> int:
    return int(table.metadata().configuration.get(VERSION_PROPERTY) or 1)


def _extremes(actions: pa.Table, end: str) -> list[str | None]:
    name = f"{end}.commit_id"
    if name not in actions.column_names:
        return [None] * int(actions.num_rows)
    values: list[str | None] = actions.column(name).to_pylist()
    return values


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
    return any(entry.name not in {LOCK_NAME, DRAFT_NAME} for entry in folder.iterdir())

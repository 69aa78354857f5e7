"""A lake is a folder: one Delta table per name in `tables.SCHEMAS` and `lake.json`, which says how it was made.

    lake.json      schema version, fingerprint of the key, tables
    writer.lock    held by the one writer; below s3:// it is writer.lease
    recordings/ results/ utterances/ ... runs/ commits/
    checksums/     a digest of every file of the tables (`checksums.py`)

This is the only file that imports deltalake, and it does so when a table is first touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from mmer_ray.errors import LakeError
from mmer_ray.lake.address import checked_address, own_card
from mmer_ray.lake.card import Card, fingerprint, lake_key, refuse_newer, write_card
from mmer_ray.lake.checksums import Checksums
from mmer_ray.lake.exclusive import WriteAccess
from mmer_ray.lake.lease import LEASE_S
from mmer_ray.lake.store_errors import damaged, patiently, reading, writing
from mmer_ray.lake.table_log import (
    APPLICATION,
    FENCING,
    RUN_IN_LOG,
    SEQUENCE_IN_LOG,
    VERSION_PROPERTY,
    DataFile,
    data_files,
    missing_columns,
    schema_of,
    version_of,
    writer_of,
)
from mmer_ray.sources.s3 import deltalake_options
from mmer_ray.sources.uris import is_remote
from mmer_ray.tables import LOG_STATISTICS, SCHEMA_VERSION, SCHEMAS, partition_columns

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

CONFIGURATION = {
    "delta.checkpointInterval": "50",
    "delta.deletedFileRetentionDuration": "interval 7 days",
    "delta.logRetentionDuration": "interval 7 days",
    "delta.enableDeletionVectors": "false",
    VERSION_PROPERTY: str(SCHEMA_VERSION),
}
"""Deletion vectors stay off: readers take whole files from the log."""

ROW_GROUP_ROWS = 122_880


class Lake:
    """The lake at an address. Nothing is created before `create`; an absent lake reads as empty."""

    def __init__(self, address: str | Path, *, to_read: bool = False, lease_s: float = LEASE_S) -> None:
        """Take a folder or an `s3://` prefix, whose store the environment names (`sources/s3.py`).

        Raises `LakeError` when the address holds something else, or a lake made with another key; who only comes
        `to_read` needs no key. `PreflightError` where the store cannot be used. `lease_s` is the length of the lease
        under which a lake on a store is written.
        """
        self.address = checked_address(address)
        self.is_local = not is_remote(self.address)
        self.key = lake_key()
        self.checksums = Checksums(self.address, is_local=self.is_local)
        self._tables: dict[str, DeltaTable] = {}
        self._access = WriteAccess(self.address, lease_s)
        self.storage_options = {} if self.is_local else deltalake_options(self.address)
        self._card = own_card(self.address, self.key, to_read=to_read)

    @property
    def exists(self) -> bool:
        return self._card is not None

    def require_existing(self) -> None:
        """Raise `LakeError` where there is no lake."""
        if not self.exists:
            raise LakeError(f"{self.address} is not a lake; `mmer score SOURCE --lake {self.address}` makes one")

    @property
    def schema_version(self) -> int:
        """That of the lake as it was when it was opened or created."""
        return SCHEMA_VERSION if self._card is None else self._card.schema_version

    def create(self) -> None:
        """Make the lake and its tables where they are not there; bring one of an earlier version to this one.

        Raises `StoreError`.
        """
        card = self._card or Card(SCHEMA_VERSION, fingerprint(self.key))
        if card.schema_version == SCHEMA_VERSION and set(card.tables) >= set(SCHEMAS):
            return
        self.require_writer()
        with writing(self.address):
            if self.is_local:
                Path(self.address).mkdir(parents=True, exist_ok=True)
            if self._card is None:
                # First without tables: a kill in between leaves a lake that is begun, not one that is damaged.
                write_card(self.address, card, is_local=self.is_local)
        for name in SCHEMAS:
            work = partial(self._make, name)
            work() if self.is_local else patiently(work)
        with writing(self.address):
            self._card = replace(card, schema_version=SCHEMA_VERSION, tables=tuple(SCHEMAS))
            write_card(self.address, self._card, is_local=self.is_local)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one writer: by a lock on a disk, which the kernel lets go when the process ends, however it ends; by a
        lease on a store, which ends some time after it.

        This object may nest it. Raises `LakeError` while anybody else writes, `PreflightError` for a store that cannot
        be written. A removal that was cut short is finished first (`removing.py`).
        """
        from mmer_ray.lake.removing import finish_removal

        is_outermost = not self._access.is_held
        with self._access.held() as took_over:
            if took_over:
                self._fence_off()
            if is_outermost:
                finish_removal(self)
            yield

    def require_writer(self) -> None:
        """Return while this object may change the lake. Raises `LakeError` once its lease is lost, `StoreError` where
        nobody can tell."""
        self._access.require()

    def commit_properties(self, run_id: str, sequence: int | None = None) -> CommitProperties:
        """What the log says of a change: who made it, as part of which commit, under which fencing number."""
        from deltalake import CommitProperties, Transaction

        metadata, transactions = {RUN_IN_LOG: run_id}, []
        if sequence is not None:
            metadata[SEQUENCE_IN_LOG] = str(sequence)
            transactions.append(Transaction(APPLICATION, sequence))
        if self._access.fencing:
            transactions.append(Transaction(FENCING, self._access.fencing))
        return CommitProperties(app_transactions=transactions, custom_metadata=metadata)

    def _fence_off(self) -> None:
        """Let every table refuse what the writer before may still have under way: its fencing number is too small, and
        an entry that it has begun meets one of the same application, which deltalake refuses."""
        for name in SCHEMAS:
            patiently(partial(self._fence, name))

    def _fence(self, name: str) -> None:
        if (table := self.opened(name)) is not None:
            with writing(self.address):
                table.alter.set_table_properties(
                    {FENCING: str(self._access.fencing)},
                    raise_if_not_exists=False,
                    commit_properties=self.commit_properties("fence"),
                )

    def append(self, name: str, rows: pa.Table, sequence: int, run_id: str) -> bool:
        """Add rows to a table as part of commit `sequence` of this run, at most once.

        Returns False where this run has added them already, so a commit may be tried again. Raises `LakeError` where
        another job has taken the number or the lease, `StoreError` where the store fails. The library does not refuse a
        transaction it has seen, so the last one is read first; of two jobs that get past this, the store's
        conditional put refuses one.
        """
        work = partial(self._append, name, rows, sequence, run_id)
        return work() if self.is_local else patiently(work)

    def _append(self, name: str, rows: pa.Table, sequence: int, run_id: str) -> bool:
        from deltalake import WriterProperties, write_deltalake

        table = self.newest(name)
        with writing(self.address):
            if (table.transaction_version(APPLICATION) or 0) >= sequence:
                self._require_own(table, name, sequence, run_id)
                self.record_checksums(name)
                return False
            write_deltalake(
                table,
                rows,
                mode="append",
                # Columns that an older table lacks are added to it.
                schema_mode="merge",
                writer_properties=WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP_ROWS),
                commit_properties=self.commit_properties(run_id, sequence),
            )
            self.record_checksums(name)
        return True

    def record_checksums(self, name: str) -> int:
        """Record the digests of what was written to a table and has none; returns of how many files.

        To be called by its one writer after every version that it writes. Raises `StoreError`.
        """
        version = self._tables[name].version()
        with writing(self.address):
            return self.checksums.record(name, version)

    def next_sequence(self) -> int:
        """The number of the next commit: above all that any table has seen, finished or torn."""
        tables = [self.opened(name) for name in SCHEMAS]
        return 1 + max((table.transaction_version(APPLICATION) or 0 for table in tables if table), default=0)

    def has(self, name: str) -> bool:
        """Whether a table was made: a lake of an earlier version may lack some. Raises `LakeError` on a damaged one."""
        return self.opened(name) is not None

    def known_versions(self) -> dict[str, int]:
        """Table -> the number of the version that was last looked at; nothing is read."""
        return {name: int(table.version()) for name, table in self._tables.items()}

    def versions(self) -> dict[str, int]:
        """Table -> the number of its newest version, of the tables that there are.

        Equal numbers: nothing was written in between. Raises `LakeError` where a table or its log is damaged or gone.
        """
        tables = {name: self.opened(name) for name in SCHEMAS}
        return {name: int(table.version()) for name, table in tables.items() if table is not None}

    def files(self, name: str) -> list[DataFile]:
        """The data files of a table's newest version, from its log. Other files in the folder do not count.

        Raises `LakeError` where the table, its log or one of its files is damaged or gone.
        """
        table = self.opened(name)
        if table is None:
            return []
        found = data_files(table, f"{self.address}/{name}")
        if self.is_local and (gone := next((file.path for file in found if not Path(file.path).is_file()), None)):
            raise damaged(self.address, f"its file {gone} is gone")
        return found

    def schema(self, name: str) -> pa.Schema:
        """The columns of a table as it is stored: those of earlier versions are among them. Raises `StoreError`."""
        return schema_of(self.newest(name))

    def _uri(self, name: str) -> str:
        return (Path(self.address) / name).as_uri() if self.is_local else f"{self.address}/{name}"

    def opened(self, name: str) -> DeltaTable | None:
        """The table at its newest version; None while it has never been made. Raises `LakeError` on a damaged one."""
        work = partial(self._refresh, name)
        table = work() if self.is_local else patiently(work, LakeError)
        if table is None and self._card is not None and name in self._card.tables:
            raise damaged(self.address, f"its table {name} is gone")
        return table

    def _refresh(self, name: str) -> DeltaTable | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        with reading(f"{self.address}/{name}"):
            if name in self._tables:
                self._tables[name].update_incremental()
                return self._tables[name]
            # Not asked first (`is_deltatable`): that waits for the store with the interpreter's lock held, and the
            # thread that renews the lease waits with it (deltalake 1.6.6).
            try:
                table = DeltaTable(self._uri(name), storage_options=self.storage_options)
            except TableNotFoundError:
                return None
        refuse_newer(f"{self.address}/{name}", version_of(table))
        self._tables[name] = table
        return table

    def newest(self, name: str) -> DeltaTable:
        """The table at its newest version, to be changed. Raises `StoreError`, and `LakeError` where this object may
        not change it."""
        self.require_writer()
        table = self._tables.get(name)
        if table is None:
            table = self.opened(name)
            assert table is not None, f"{self.address}: append to {name} before create"
        else:
            with writing(self.address):
                table.update_incremental()
        if self._access.fencing:
            self._require_newest_fence(table, name)
        return table

    def _require_newest_fence(self, table: DeltaTable, name: str) -> None:
        with writing(self.address):
            newest = table.transaction_version(FENCING) or 0
        if newest > self._access.fencing:
            raise LakeError(
                f"another job writes the lake {self.address}: {name} was changed under lease {newest}, this job has "
                f"lease {self._access.fencing}; run the same command again when that job has ended"
            )

    def _make(self, name: str) -> None:
        """Create a table, or bring one of an earlier version to this one: its columns, then its mark."""
        from deltalake import DeltaTable, Field

        self.require_writer()
        table = self.opened(name)
        statistics = {"delta.dataSkippingStatsColumns": ",".join(LOG_STATISTICS[name])}
        if table is None:
            with writing(self.address):
                self._tables[name] = DeltaTable.create(
                    self._uri(name),
                    SCHEMAS[name],
                    partition_by=partition_columns(name),
                    configuration=CONFIGURATION | statistics,
                    storage_options=self.storage_options,
                    raise_if_key_not_exists=False,
                )
            self.record_checksums(name)
        elif version_of(table) < SCHEMA_VERSION:
            with writing(self.address):
                if missing := missing_columns(name, table):
                    table.alter.add_columns([Field.from_arrow(field) for field in missing])
                properties = {VERSION_PROPERTY: str(SCHEMA_VERSION), **statistics}
                table.alter.set_table_properties(properties, raise_if_not_exists=False)

    def _require_own(self, table: DeltaTable, name: str, sequence: int, run_id: str) -> None:
        """Return where this run wrote that sequence number; raise `LakeError` where another job did."""
        if writer_of(table, sequence) == run_id:
            return
        raise LakeError(
            f"another job writes the lake {self.address}: {name} has a commit {sequence} that is not of this run; "
            "stop the other job, then run the same command again"
        )

"""What an endpoint keeps between requests and over a restart: one SQLite file in its state folder.

Gateways on one host may share it. Its journal (WAL) needs memory that all of them share, so that the folder must lie on
a local disk: gateways on several hosts have a folder each.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from mmer_ray.errors import PreflightError
from mmer_ray.serving.api_errors import ApiError

FILE_NAME = "state.sqlite"
FILE_MODE, FOLDER_MODE = 0o600, 0o700
VERSION = 1
BUSY_S = 10.0
"""Longest wait for another gateway's transaction."""
RETRY_AFTER_S = 5
SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    owner TEXT NOT NULL, value TEXT NOT NULL, digest TEXT NOT NULL,
    claim TEXT, claimed_until REAL,
    status INTEGER, headers TEXT, body BLOB,
    expires REAL NOT NULL,
    PRIMARY KEY (owner, value)
);
CREATE INDEX IF NOT EXISTS answers_by_end ON answers (expires);
CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY, owner TEXT NOT NULL, key_name TEXT NOT NULL,
    status TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL, started REAL, ended REAL, not_before REAL NOT NULL DEFAULT 0,
    asked BLOB, sound TEXT, size_bytes INTEGER NOT NULL,
    claim TEXT, claimed_until REAL,
    result BLOB, error TEXT
);
CREATE INDEX IF NOT EXISTS jobs_by_owner ON jobs (owner, created);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, created);
"""

Result = TypeVar("Result")


class StateDatabase:
    """One connection in a thread of its own, so that the event loop never waits for the disk. Close it at the end."""

    def __init__(self, folder: Path) -> None:
        """Open the file in a folder, or make both. Raises `PreflightError` for one that is damaged or newer than us."""
        self.path = folder / FILE_NAME
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._thread = ThreadPoolExecutor(1, "state")
        try:
            self._connection = self._thread.submit(self._opened).result()
        except BaseException:
            self._thread.shutdown()
            raise

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do `work` as one transaction; an exception of it takes everything back.

        Raises `ApiError` 503 where the disk or another gateway stands in the way.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)

    async def read(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """As `run`, for work that only reads: it does not wait for another gateway's transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work, "BEGIN")

    def do(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """As `run`, for callers without an event loop."""
        return self._thread.submit(self._transaction, work).result()

    def close(self) -> None:
        """End when all work that was asked for is done."""
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    def _opened(self) -> sqlite3.Connection:
        # SQLite gives its journals the mode of the file.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
                raise PreflightError(f"{self.path.parent} must lie on a local disk; set serve.state to such a folder")
            # An accepted job outlives a power cut, and transcripts that are deleted are overwritten.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise PreflightError(f"{self.path} is of version {version}, not {VERSION}; use another serve.state")
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        except sqlite3.DatabaseError as exc:
            connection.close()
            remedy = "bring back a copy of it, or move it away and start again"
            raise PreflightError(f"{self.path} cannot be opened ({exc}); {remedy}") from exc
        except BaseException:
            connection.close()
            raise
        return connection

    def _transaction(self, work: Callable[[sqlite3.Connection], Result], begin: str = "BEGIN IMMEDIATE") -> Result:
        try:
            self._connection.execute(begin)
            try:
                result = work(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                # After a full disk SQLite has rolled back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as exc:
            raise ApiError(
                503,
                "state_unavailable",
                "what the endpoint keeps cannot be read or written at the moment",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            ) from exc
        return result

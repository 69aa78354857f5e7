"""The file that outlives the gateway."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmer_ray.errors import PreflightError
from mmer_ray.serving.api_errors import ApiError
from mmer_ray.serving.state_database import StateDatabase


@pytest.fixture
def database(tmp_path: Path) -> Iterator[StateDatabase]:
    database = StateDatabase(tmp_path / "state")
    yield database
    database.close()


def _insert(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO answers (owner, value, digest, expires) VALUES ('o', 'v', 'd', 1)")


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])


def test_what_was_written_is_there_after_a_restart(database: StateDatabase) -> None:
    database.do(_insert)
    again = StateDatabase(database.path.parent)
    assert again.do(_count) == 1
    again.close()


def test_its_files_are_its_owners_alone(database: StateDatabase) -> None:
    database.do(_insert)
    files = list(database.path.parent.iterdir())
    assert {file.name for file in files} >= {"state.sqlite", "state.sqlite-wal"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert database.path.parent.stat().st_mode & 0o777 == 0o700


def test_an_exception_takes_the_whole_transaction_back(database: StateDatabase) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        _insert(connection)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        database.do(broken)
    assert database.do(_count) == 0


def test_the_event_loop_goes_on_while_the_disk_is_slow(database: StateDatabase) -> None:
    may_go_on = threading.Event()

    def slow(connection: sqlite3.Connection) -> int:
        assert may_go_on.wait(10)
        return _count(connection)

    async def both() -> int:
        running = asyncio.ensure_future(database.run(slow))
        await asyncio.sleep(0)
        # Only a loop that is free gets here.
        may_go_on.set()
        return await running

    assert asyncio.run(both()) == 0


def test_a_lock_that_does_not_end_is_a_refusal_to_try_again(
    database: StateDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmer_ray.serving.state_database.BUSY_S", 0.05)
    other = StateDatabase(database.path.parent)

    def hold(connection: sqlite3.Connection) -> None:
        with pytest.raises(ApiError) as refused:
            other.do(_insert)
        assert (refused.value.status, refused.value.code) == (503, "state_unavailable")
        assert refused.value.headers["Retry-After"]

    database.do(hold)
    other.do(_insert)
    assert database.do(_count) == 1
    other.close()


def test_reading_does_not_wait_for_another_gateways_transaction(database: StateDatabase) -> None:
    database.do(_insert)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert asyncio.run(database.read(_count)) == 1
    other.execute("ROLLBACK")
    other.close()


def test_a_damaged_file_and_one_of_another_version_are_named(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"no database" * 1_000)
    with pytest.raises(PreflightError, match=r"state\.sqlite cannot be opened"):
        StateDatabase(tmp_path)
    (tmp_path / "other").mkdir()
    with sqlite3.connect(tmp_path / "other" / "state.sqlite") as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(PreflightError, match="version 7"):
        StateDatabase(tmp_path / "other")


def test_text_that_is_deleted_is_gone_from_the_files(tmp_path: Path) -> None:
    database = StateDatabase(tmp_path)
    database.do(
        lambda connection: connection.execute(
            "INSERT INTO answers (owner, value, digest, expires, body) VALUES ('o', 'v', 'd', 1, ?)",
            (b"my card number is 4111" * 500,),
        )
    )
    database.do(lambda connection: connection.execute("DELETE FROM answers"))
    database.close()
    assert all(b"card number" not in file.read_bytes() for file in tmp_path.iterdir())

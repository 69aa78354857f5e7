"""SHA-256 of model files, each read once."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from mmer_ray.models import digests
from mmer_ray.models.digests import MAX_ENTRIES, file_sha256s
from tests.models.makers import OLD_S


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mmer_ray" / "digests.json"


def write(file: Path, content: bytes, mtime_s: float | None = OLD_S) -> Path:
    file.write_bytes(content)
    if mtime_s is not None:
        os.utime(file, (mtime_s, mtime_s))
    return file


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_bytes_are_read_once_for_a_path_a_size_and_a_time(cache: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "a", b"first")
    assert file_sha256s([file]) == [sha256(b"first")]
    # Other bytes of the same size and time: whoever reads them again would say so.
    write(file, b"other")
    assert file_sha256s([file]) == [sha256(b"first")]
    write(file, b"other", mtime_s=OLD_S + 1)
    assert file_sha256s([file]) == [sha256(b"other")]
    write(file, b"longer", mtime_s=OLD_S + 1)
    assert file_sha256s([file]) == [sha256(b"longer")]


def test_a_file_that_may_still_change_is_read_again(cache: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "a", b"first", mtime_s=None)
    file_sha256s([file])
    assert not cache.exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"a": 1}', '{"a": [1, "x", 2]}', '{"a": [1, 2]}'])
def test_a_broken_cache_costs_time_alone(cache: Path, tmp_path: Path, damage: str) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(damage)
    file = write(tmp_path / "a", b"first")
    assert file_sha256s([file]) == [sha256(b"first")]
    assert list(json.loads(cache.read_text())) == [str(file)]


def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = write(tmp_path / "a", b"first")
    assert file_sha256s([file]) == [sha256(b"first")]
    # Read once in this process all the same.
    write(file, b"other")
    assert file_sha256s([file]) == [sha256(b"first")]


def test_another_process_finds_what_one_has_read(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "a", b"first")
    file_sha256s([file])
    monkeypatch.setattr(digests, "_SEEN", {})
    write(file, b"other")
    assert file_sha256s([file]) == [sha256(b"first")]


def test_the_cache_does_not_grow_without_end(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_ENTRIES >= 100
    monkeypatch.setattr(digests, "MAX_ENTRIES", 3)
    files = [write(tmp_path / str(number), b"1") for number in range(5)]
    for file in files:
        file_sha256s([file])
    assert list(json.loads(cache.read_text())) == [str(file) for file in files[2:]]
    assert [file.name for file in cache.parent.iterdir()] == [cache.name]

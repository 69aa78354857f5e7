"""Keys: hashed, named, revocable, and heeded as soon as the file changes."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.key_file import KeyFile, key_file_path


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "state" / "keys.json")


def test_a_key_that_was_added_is_found_by_itself_alone(file: KeyFile) -> None:
    key = file.add("dialler")
    found = file.find(key)
    assert found is not None
    assert found.name == "dialler"
    for other in ("", "mmer_", key[:-1], key + "x", key.upper(), "x" * 100_000, "\ud800", "schlüssel"):
        assert file.find(other) is None


def test_the_file_holds_no_key_and_is_its_owners_alone(file: KeyFile) -> None:
    key = file.add("dialler")
    text = file.path.read_text(encoding="utf-8")
    assert key.removeprefix("mmer_") not in text
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700


def test_no_two_keys_are_equal_and_each_has_256_random_bits(file: KeyFile) -> None:
    keys = {file.add(f"key{number}") for number in range(20)}
    assert len(keys) == 20
    assert all(len(key.removeprefix("mmer_")) == 43 for key in keys)


def test_a_file_that_was_read_before_is_read_again_when_another_process_changes_it(file: KeyFile) -> None:
    first = file.add("first")
    assert file.find(first)
    other = KeyFile(file.path)
    second = other.add("second")
    assert file.find(second)
    other.revoke("first")
    assert file.find(first) is None
    assert file.find(second)


def test_a_revoked_name_can_be_added_again_and_is_another_key(file: KeyFile) -> None:
    before = file.add("dialler")
    id_before = file.all_keys()[0].key_id
    file.revoke("dialler")
    after = file.add("dialler")
    found = file.find(after)
    assert file.find(before) is None
    assert found is not None
    assert found.key_id != id_before
    assert [key.revoked is None for key in file.all_keys()] == [False, True]


def test_a_name_that_is_taken_or_is_no_name_is_refused(file: KeyFile) -> None:
    file.add("dialler")
    with pytest.raises(UsageError, match=r"dialler.*revoke it first"):
        file.add("dialler")
    for name in ("", " ", "-x", "a b", "ä", "x" * 65, "../keys", "a\n"):
        with pytest.raises(UsageError, match="cannot be named"):
            file.add(name)
    assert [key.name for key in file.all_keys()] == ["dialler"]


def test_revoking_what_is_not_there_names_what_is(file: KeyFile) -> None:
    with pytest.raises(UsageError, match="valid ones: none"):
        file.revoke("nobody")
    file.add("dialler")
    with pytest.raises(UsageError, match="valid ones: dialler"):
        file.revoke("nobody")
    file.revoke("dialler")
    with pytest.raises(UsageError, match="no valid key"):
        file.revoke("dialler")


def test_without_a_file_no_key_is_valid_and_one_that_is_gone_opens_nothing(file: KeyFile) -> None:
    assert file.find("anything") is None
    key = file.add("dialler")
    assert file.find(key)
    file.path.unlink()
    assert file.find(key) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"schema": "mmer.keys/2", "keys": []}',
        '{"schema": "mmer.keys/1", "keys": [{"name": "a"}]}',
        '{"schema": "mmer.keys/1", "keys": [{"key_id": "1", "name": "a", "digest": "", "added": ""}]}',
        '{"schema": "mmer.keys/1", "keys": [{"key_id": "1", "name": "a", "digest": "é", "added": ""}]}',
    ],
)
def test_a_damaged_file_lets_nobody_in_and_is_not_overwritten(file: KeyFile, text: str) -> None:
    key = file.add("dialler")
    file.path.write_text(text, encoding="utf-8")
    for call in (lambda: file.find(key), lambda: file.add("other")):
        with pytest.raises(PreflightError, match=r"keys\.json is damaged"):
            call()
    assert file.path.read_text(encoding="utf-8") == text


def test_a_file_that_others_can_read_is_refused_with_the_remedy(file: KeyFile) -> None:
    key = file.add("dialler")
    file.path.chmod(0o644)
    with pytest.raises(PreflightError, match="chmod 600"):
        file.find(key)
    file.path.chmod(0o600)
    assert file.find(key)


def _add(path: Path, number: int) -> None:
    KeyFile(path).add(f"key{number}")


def test_keys_that_are_added_at_the_same_time_are_all_kept(file: KeyFile) -> None:
    processes = multiprocessing.get_context("fork")
    adders = [processes.Process(target=_add, args=(file.path, number)) for number in range(6)]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()
    document = json.loads(file.path.read_text(encoding="utf-8"))
    assert sorted(key["name"] for key in document["keys"]) == [f"key{number}" for number in range(6)]


def test_the_file_lies_where_the_profile_says() -> None:
    assert key_file_path(ServeOptions(state="/srv/mmer")) == Path("/srv/mmer/keys.json")
    assert key_file_path(ServeOptions(state="/srv/mmer", keys="/etc/mmer/keys")) == Path("/etc/mmer/keys")

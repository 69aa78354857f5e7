"""`mmer keys`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mmer_ray.serving.key_file import KeyFile
from tests.cli.makers import Ended

Mmer = Callable[..., Ended]


@pytest.fixture
def state(tmp_path: Path) -> list[str]:
    """The setting that keeps the keys in a folder of the test's own."""
    return ["--set", f"serve.state={tmp_path}"]


def test_a_key_is_printed_once_alone_on_stdout_and_opens_the_endpoint(
    mmer: Mmer, state: list[str], tmp_path: Path
) -> None:
    ended = mmer("keys", "add", "dialler", *state)
    key = ended.out.strip()
    assert ended.code == 0
    assert ended.out == f"{key}\n"
    found = KeyFile(tmp_path / "keys.json").find(key)
    assert found is not None
    assert found.name == "dialler"
    assert key not in mmer("keys", "list", *state).out


def test_keys_are_listed_with_those_that_were_revoked(mmer: Mmer, state: list[str]) -> None:
    assert "mmer keys add NAME" in mmer("keys", "list", *state).out
    mmer("keys", "add", "one", *state)
    mmer("keys", "add", "two", *state)
    assert mmer("keys", "revoke", "one", *state).code == 0
    listed = json.loads(mmer("keys", "list", "--json", *state).out)["keys"]
    assert [(key["name"], key["revoked"] is None) for key in listed] == [("one", False), ("two", True)]
    shown = mmer("keys", "list", *state).out
    assert "one" in shown
    assert "two" in shown


def test_a_name_that_is_taken_ends_with_usage(mmer: Mmer, state: list[str]) -> None:
    mmer("keys", "add", "one", *state)
    ended = mmer("keys", "add", "one", *state)
    assert ended.code == 2
    assert "revoke it first" in ended.err
    assert mmer("keys", "revoke", "nobody", *state).code == 2


def test_with_json_everything_is_one_document(mmer: Mmer, state: list[str], tmp_path: Path) -> None:
    added = json.loads(mmer("keys", "add", "one", "--json", *state).out)
    assert KeyFile(tmp_path / "keys.json").find(added["key"])
    assert json.loads(mmer("keys", "revoke", "one", "--json", *state).out)["name"] == "one"
    assert KeyFile(tmp_path / "keys.json").find(added["key"]) is None

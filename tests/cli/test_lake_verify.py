"""`mmer lake verify` and `mmer lake upgrade`: what they say and how they end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.makers import Ended
from tests.lake.damage import flip, small_lake

Run = Callable[..., Ended]
VERSION_1 = Path(__file__).parents[1] / "lake" / "fixtures" / "lake_v1"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(small_lake(tmp_path_factory.mktemp("whole")).address)


@pytest.fixture
def address(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "lake"))


def test_a_whole_lake_ends_with_0_and_one_line(mmer: Run, whole: Path) -> None:
    ended = mmer("lake", "verify", "--lake", whole)
    assert ended.code == 0
    (line,) = ended.out.splitlines()
    assert line.startswith("the lake is whole: ")
    assert "8 commits" in line
    assert "digests compared" in line


def test_a_damaged_lake_ends_with_4_and_a_line_that_names_the_file_and_the_remedy(mmer: Run, address: Path) -> None:
    path = next((address / "calls").rglob("*.parquet"))
    flip(path, 200)
    ended = mmer("lake", "verify", "--lake", address)
    assert ended.code == 4
    first, *_, last = ended.out.splitlines()
    assert first.startswith(f"damaged  {path.relative_to(address)}: its bytes are not those that were written; restore")
    assert last.startswith("the lake is damaged: 1 finding in ")


def test_the_document_has_every_finding(mmer: Run, address: Path) -> None:
    next((address / "words").rglob("*.parquet")).unlink()
    (address / "holiday.jpg").write_bytes(b"x")
    ended = mmer("lake", "verify", "--lake", address, "--json")
    document = json.loads(ended.out)
    assert (ended.code, document["schema"], document["is_whole"]) == (4, "mmer.lake.verify/1", False)
    assert [one["table"] for one in document["findings"] if one["is_damage"]] == ["words"]
    assert {"table", "place", "what", "remedy", "is_damage"} == set(document["findings"][0])
    assert document["num_read"] > 0


def test_a_quick_look_says_that_bytes_were_not_read(mmer: Run, address: Path) -> None:
    path = next((address / "pieces").rglob("*.parquet"))
    # In the name of the library that wrote it, which no query reads.
    flip(path, path.read_bytes().rindex(b"parquet"))
    ended = mmer("lake", "verify", "--lake", address, "--quick")
    assert (ended.code, ended.out.strip().endswith("bytes not read")) == (0, True)


def test_what_is_no_lake_ends_with_4(mmer: Run, tmp_path: Path) -> None:
    for command in ("verify", "upgrade"):
        ended = mmer("lake", command, "--lake", tmp_path / "none")
        assert (ended.code, "is not a lake" in ended.err) == (4, True)


def test_an_upgrade_says_what_it_would_do_does_it_and_then_has_nothing_to_do(mmer: Run, tmp_path: Path) -> None:
    address = Path(shutil.copytree(VERSION_1, tmp_path / "lake"))
    before = {path: path.read_bytes() for path in address.rglob("*") if path.is_file()}
    planned = mmer("lake", "upgrade", "--lake", address, "--dry-run")
    assert planned.code == 0
    assert "schema version 1, would become 3" in planned.out
    assert "tables that would be made: results" in planned.out
    after = {path: path.read_bytes() for path in address.rglob("*") if path.is_file() and path.name != "writer.lock"}
    assert after == before
    done = mmer("lake", "upgrade", "--lake", address, "--json")
    document = json.loads(done.out)
    assert (done.code, document["schema"]) == (0, "mmer.lake.upgrade/1")
    assert (document["from_version"], document["to_version"], document["dry_run"]) == (1, 3, False)
    again = mmer("lake", "upgrade", "--lake", address)
    assert again.out.splitlines() == ["nothing to do: schema version 3, every file has a digest"]
    assert mmer("lake", "verify", "--lake", address).code == 0

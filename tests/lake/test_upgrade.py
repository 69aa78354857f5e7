"""Lakes of every earlier schema version open, say what they said, upgrade, and can be scored on."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.failpoint import EXIT_STATUS
from mmer_ray.lake.activation import activate
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.recluster import Recluster, recluster
from mmer_ray.lake.store import Lake
from mmer_ray.lake.table_log import VERSION_PROPERTY
from mmer_ray.lake.upgrade import plan_upgrade, upgrade
from mmer_ray.lake.visibility import VIEWS
from mmer_ray.tables import SCHEMA_VERSION, SCHEMAS
from tests.lake.damage import damages, found_in, upgrade_and_die
from tests.lake.makers import KEYS, audio_file, job, listing, newer
from tests.slow import slow_but

FIXTURES = Path(__file__).parent / "fixtures"
VERSIONS = (1, 2)
SAID_BY_2: dict[str, Any] = json.loads((FIXTURES / "lake_v2_answers.json").read_text(encoding="utf-8"))
"""What the code of version 2 answered."""
DIE_AT = ["before_upgrade_recordings", "before_upgrade_emotions", "after_renew_words"]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def address(version: int, tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURES / f"lake_v{version}", tmp_path / "lake"))


def answers(address: Path) -> dict[str, list[dict[str, Any]]]:
    """Every view's rows."""
    with open_lake(address) as reader:
        return {name: reader.sql(f"FROM {name} ORDER BY ALL").to_pylist() for name in (*VIEWS, "commits")}


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


@pytest.mark.slow
def test_it_is_whole_but_for_digests_that_nobody_recorded(address: Path, version: int) -> None:
    found = found_in(address)
    assert [one for one in found if one.is_damage] == []
    kinds = {"no recorded digest", "commits that were not finished"}
    assert {kind for one in found for kind in kinds if kind in one.what} == kinds


@pytest.mark.parametrize("name", SAID_BY_2["tables"])
def test_the_rows_of_version_2_are_as_they_were(name: str) -> None:
    blobs = "* REPLACE (md5(embeddings) AS embeddings, md5(activity) AS activity)" if name == "pieces" else "*"
    with open_lake(FIXTURES / "lake_v2") as reader:
        found = plain(reader.sql(f"SELECT {blobs} FROM {name} ORDER BY ALL").to_pylist())
    old = SAID_BY_2["tables"][name]
    assert old
    assert [{column: row[column] for column in old[0]} for row in found] == old


def test_an_upgrade_changes_no_answer(address: Path) -> None:
    before = answers(address)
    upgrade(Lake(address))
    assert answers(address) == before


@pytest.mark.slow
def test_after_an_upgrade_every_table_is_of_this_version_with_all_columns_and_digests(
    address: Path, version: int
) -> None:
    from deltalake import DeltaTable

    planned = plan_upgrade(Lake(address, to_read=True))
    done = upgrade(Lake(address))
    assert done == planned
    assert (done.from_version, done.to_version) == (version, SCHEMA_VERSION)
    assert {"speaker_edits", "erasures"} <= set(done.tables)
    card = json.loads((address / "lake.json").read_text())
    assert (card["schema_version"], card["tables"]) == (SCHEMA_VERSION, list(SCHEMAS))
    for name, schema in SCHEMAS.items():
        table = DeltaTable(address / name)
        assert set(schema.names) <= {field.name for field in table.schema().fields}
        assert table.metadata().configuration[VERSION_PROPERTY] == str(SCHEMA_VERSION)
    assert not any("digest" in one.what for one in found_in(address))
    assert damages(address) == []
    assert not upgrade(Lake(address)).is_needed


@pytest.mark.slow
def test_an_upgraded_lake_is_scored_on(address: Path, tmp_path: Path) -> None:
    upgrade(Lake(address))
    for name in "xyz":
        audio_file(tmp_path / "audio", f"{name}.wav")
    before = answers(address)["recordings"]
    _, ledger = job(Lake(address), listing(tmp_path / "audio"))
    assert ledger.num_scored == 3
    _, ledger = job(Lake(address), listing(tmp_path / "audio"), newer("emotion"))
    assert ledger.num_scored == 3
    activate(Lake(address), KEYS.scorer, "calls")
    after = answers(address)
    assert [row for row in after["recordings"] if row["uri"] in {old["uri"] for old in before}] == before
    assert len(after["recordings"]) == len(before) + 3
    assert damages(address) == []


@pytest.mark.slow
def test_speakers_of_version_2_can_be_counted_again(tmp_path: Path) -> None:
    address = Path(shutil.copytree(FIXTURES / "lake_v2", tmp_path / "lake"))
    upgrade(Lake(address))
    done = recluster(Lake(address), "talk", Recluster())
    assert done.num_speakers_before == 3
    assert done.num_speakers == 2
    assert damages(address) == []


@pytest.mark.parametrize("point", slow_but(DIE_AT, ["before_upgrade_emotions"]))
def test_an_upgrade_that_was_killed_goes_on(point: str, tmp_path: Path) -> None:
    address = Path(shutil.copytree(FIXTURES / "lake_v1", tmp_path / "lake"))
    before = answers(address)
    victim = multiprocessing.get_context("spawn").Process(target=upgrade_and_die, args=(point, address))
    victim.start()
    victim.join()
    assert victim.exitcode == EXIT_STATUS
    assert answers(address) == before
    upgrade(Lake(address))
    assert answers(address) == before
    assert not upgrade(Lake(address)).is_needed
    assert damages(address) == []

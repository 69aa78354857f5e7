"""`verify` finds what is not as it was written, each by real damage, and nothing in a lake that is whole."""

from __future__ import annotations

import multiprocessing
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mmer_ray.errors import LakeError
from mmer_ray.failpoint import EXIT_STATUS
from mmer_ray.lake.checksums import CHECKSUMS_FOLDER
from mmer_ray.lake.file_checks import FileCounts, TableFiles, differences
from mmer_ray.lake.rewrite import forget_earlier
from mmer_ray.lake.store import Lake
from mmer_ray.lake.upgrade import upgrade
from mmer_ray.lake.verification import Verification
from mmer_ray.tables import DATA_TABLES, DERIVED_TABLES, SCHEMAS, partition_columns
from tests.lake.damage import (
    PLACE,
    change_rows,
    damages,
    flip,
    found_in,
    notes,
    score_and_die,
    small_lake,
    with_a_row_twice,
    with_values,
)
from tests.lake.makers import EVERY_TABLE, audio_file, job, listing
from tests.slow import slow_but

FLIPS_PER_FILE = 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(small_lake(tmp_path_factory.mktemp("whole")).address)


@pytest.fixture
def address(whole: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "lake"))


def test_a_lake_that_is_whole_has_no_findings_and_is_not_changed(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    verification = Verification(Lake(whole, to_read=True))
    assert list(verification.findings()) == []
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before
    num_files = len(list(whole.glob("*/**/*.parquet")))
    assert verification.counts.num_files == num_files
    num_log = len(list(whole.glob("*/_delta_log/*.json")))
    assert verification.counts.num_read == num_files + num_log
    assert verification.num_commits == 8


def test_a_flipped_byte_anywhere_in_any_file_of_any_table_is_found(address: Path) -> None:
    """Also where no query reads: Parquet pages need not have checksums, and footers hold what nobody asks for."""
    chance, num_flips = random.Random(11), 0
    for path in sorted([*address.glob("*/**/*.parquet"), *address.glob("*/_delta_log/*.json")]):
        name = path.relative_to(address).parts[0]
        content = path.read_bytes()
        for position in [0, len(content) - 1, *chance.choices(range(len(content)), k=FLIPS_PER_FILE)]:
            flip(path, position)
            files = TableFiles(Lake(address, to_read=True), name, FileCounts(), quick=False)
            found = [one.place for one in files.findings() if one.is_damage]
            assert found, f"{path}: byte {position}"
            num_flips += 1
            path.write_bytes(content)
    assert num_flips > 200
    assert damages(address) == []


def test_the_file_that_is_damaged_is_named_and_rows_are_not_trusted(address: Path) -> None:
    path = next((address / "words").rglob("*.parquet"))
    flip(path, path.stat().st_size // 2)
    found = found_in(address)
    assert [(one.table, one.place) for one in found if one.is_damage] == [("words", str(path.relative_to(address)))]
    assert "restore it from a copy" in found[0].remedy
    assert "rows were not compared" in found[-1].what


@pytest.mark.slow
def test_a_quick_look_reads_no_bytes(address: Path) -> None:
    path = next((address / "pieces").rglob("*.parquet"))
    # The mark that a file begins with: what reads rows looks for the one at its end.
    flip(path, 0)
    assert not any(one.is_damage for one in found_in(address, quick=True))
    path.write_bytes(path.read_bytes()[:-1])
    assert any("the log says" in one.what for one in found_in(address, quick=True))


@pytest.mark.slow
def test_a_file_that_is_gone_cut_short_or_replaced_is_damage(address: Path) -> None:
    gone, short = sorted((address / "turns").rglob("*.parquet"))[:2]
    gone.unlink()
    short.write_bytes(short.read_bytes()[:100])
    first, second = sorted((address / "emotions").rglob("*.parquet"))[:2]
    first.write_bytes(second.read_bytes())
    found = damages(address)
    assert "turns: the log names this file, and it is gone" in found
    assert any(one.startswith("turns: it has 100 bytes") for one in found)
    assert any(one.startswith("emotions: its bytes are not") or "emotions: it has" in one for one in found)


@pytest.mark.slow
def test_a_log_that_cannot_be_read_is_damage_of_its_table(address: Path) -> None:
    (address / "calls" / "_delta_log" / f"{1:020d}.json").write_text("{")
    assert any(one.startswith("calls: ") for one in damages(address))


@pytest.mark.slow
def test_a_table_that_is_gone_is_damage(address: Path) -> None:
    shutil.rmtree(address / "utterances")
    assert any("its table utterances is gone" in one for one in damages(address))


@pytest.mark.slow
def test_no_lake_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="is not a lake"):
        Verification(Lake(tmp_path / "none", to_read=True))


@pytest.mark.slow
def test_columns_of_another_name_or_type_are_told(address: Path) -> None:
    lake = Lake(address)
    rows = pa.Table.from_pylist([{"recording_id": "x", "commit_id": "later.1", **PLACE}], schema=SCHEMAS["turns"])
    more = rows.append_column("loudness", pa.array([1.0], pa.float32()))
    lake.append("turns", more, lake.next_sequence(), "later")
    assert damages(address) == ["turns: it has a column loudness, which the table has not"]
    longer = rows.set_column(rows.column_names.index("start_ms"), "start_ms", rows.column("start_ms").cast(pa.int64()))
    schema = longer.drop_columns(["corpus", "month"]).schema
    assert list(differences("turns", schema)) == ["its column start_ms is int64, in the table it is int32"]


@pytest.mark.slow
def test_what_no_log_names_is_a_note_and_no_damage(address: Path) -> None:
    (address / "words" / "corpus=calls" / "month=2026-11" / "part-torn.parquet").write_bytes(b"torn")
    (address / "holiday.jpg").write_bytes(b"x")
    assert damages(address) == []
    assert notes(address) == [
        ": this is no part of a lake",
        "words: 1 files (4 bytes) of earlier versions or torn writes are no part of the table",
    ]


@pytest.mark.slow
def test_rows_of_a_commit_that_was_not_finished_are_a_note(address: Path) -> None:
    lake = Lake(address)
    rows = pa.Table.from_pylist([{"recording_id": "x", "commit_id": "torn.1", **PLACE}], schema=SCHEMAS["turns"])
    lake.append("turns", rows, lake.next_sequence(), "torn")
    assert damages(address) == []
    assert notes(address) == ["turns: 1 files hold rows of commits that were not finished; no reader sees them"]


@pytest.mark.parametrize("name", slow_but(EVERY_TABLE, ["recordings", "words"]))
def test_a_row_that_is_gone_or_there_twice_is_a_wrong_count(name: str, address: Path) -> None:
    change_rows(address, name, lambda rows: rows.slice(1))
    assert any(one.startswith(f"{name}: the commit has") for one in damages(address))


@pytest.mark.parametrize("name", slow_but(EVERY_TABLE, ["recordings", "words"]))
def test_a_row_in_the_place_of_another_is_a_key_that_comes_twice(name: str, address: Path) -> None:
    """The counts are right."""
    change_rows(address, name, with_a_row_twice)
    found = damages(address)
    assert any(one.startswith(f"{name}: 1 keys (") for one in found)
    assert not any(one.startswith(f"{name}: the commit has") for one in found)


@pytest.mark.slow
def test_commits_with_one_number_or_one_name_are_told(address: Path) -> None:
    change_rows(address, "commits", lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]))
    found = damages(address)
    assert any("keys (sequence) come twice" in one for one in found)
    assert any("keys (commit_id) come twice" in one for one in found)


PARENTS_OF = [
    ("utterances", "results"), ("turns", "results"), ("pieces", "results"), ("words", "utterances"),
    ("emotions", "utterances"), ("calls", "results"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parents"), slow_but(PARENTS_OF, [("words", "utterances")]))
def test_children_without_a_parent_are_told(name: str, parents: str, address: Path) -> None:
    change_rows(address, name, lambda rows: with_values(rows, "heard_key", ["lost"]))
    assert any(one.startswith(f"{name}: 1 rows of {name} have no row in {parents}") for one in damages(address))


@pytest.mark.slow
def test_recordings_that_name_results_that_are_not_there_are_told(address: Path) -> None:
    change_rows(address, "recordings", lambda rows: with_values(rows, "recording_id", ["0" * 32] * rows.num_rows))
    assert any("scored recordings name results that are not there" in one for one in damages(address))


@pytest.mark.slow
def test_a_hearing_whose_seconds_do_not_sum_is_told(address: Path) -> None:
    change_rows(
        address, "results", lambda rows: with_values(rows, "speech_ms", [rows.column("speech_ms")[0].as_py() - 2])
    )
    assert any("speech and non-speech differ from the duration, by up to 2 ms" in one for one in damages(address))


COUNTED = ("num_failed", "num_copies", "num_scored", "num_received", "planned_ms", "scored_ms")


@pytest.mark.parametrize("column", slow_but(COUNTED, ["num_scored", "planned_ms"]))
def test_a_ledger_that_is_not_what_the_rows_say_is_told(column: str, address: Path) -> None:
    def more(rows: pa.Table) -> pa.Table:
        at = rows.column_names.index(column)
        return rows.set_column(at, rows.schema.field(at), pc.add(rows.column(column), 1_000))

    change_rows(address, "runs", more)
    assert any(one.startswith("runs: its ledger") for one in damages(address))


@pytest.mark.slow
def test_many_findings_of_one_kind_are_counted_and_not_listed(address: Path) -> None:
    change_rows(address, "commits", lambda rows: pa.concat_tables([rows] * 3))
    ids = [f"torn.{number}" for number in range(30)]
    rows = pa.Table.from_pylist([{"run_id": name, "status": "finished"} for name in ids * 2], schema=SCHEMAS["runs"])
    change_rows(address, "runs", lambda old: pa.concat_tables([old.cast(SCHEMAS["runs"]), rows]))
    found = [one for one in damages(address) if one.startswith("runs: ")]
    assert "runs: and 20 more of the same" in found
    assert len(found) < 20


@pytest.mark.slow
def test_a_lake_that_was_written_again_and_forgot_its_past_is_whole(address: Path) -> None:
    for name in (*DATA_TABLES, "commits", "runs"):
        if list((address / name).rglob("*.parquet")):
            change_rows(address, name, lambda rows: rows)
    assert damages(address) == []
    lake = Lake(address)
    for name in SCHEMAS:
        forget_earlier(lake, name)
        assert len(list((address / CHECKSUMS_FOLDER / name).iterdir())) == 1
    assert found_in(address) == []


@pytest.mark.slow
@pytest.mark.parametrize("position", [0, 40, -40, -1])
def test_a_damaged_record_of_checksums_is_told_and_made_anew_by_an_upgrade(position: int, address: Path) -> None:
    record = sorted((address / CHECKSUMS_FOLDER / "words").iterdir())[-1]
    flip(record, position % record.stat().st_size)
    assert damages(address) == ["words: this record of checksums is damaged"]
    assert upgrade(Lake(address)).num_damaged_records == 1
    assert found_in(address) == []


@pytest.mark.slow
def test_files_without_a_digest_are_a_note_until_an_upgrade(address: Path) -> None:
    shutil.rmtree(address / CHECKSUMS_FOLDER)
    assert damages(address) == []
    assert all("have no recorded digest" in one for one in notes(address))
    num_files = upgrade(Lake(address)).num_files
    assert num_files == len([*address.glob("*/**/*.parquet"), *address.glob("*/_delta_log/*.json")])
    assert found_in(address) == []
    assert not upgrade(Lake(address)).is_needed


@pytest.mark.slow
def test_a_kill_between_a_file_and_its_digest_is_no_damage_and_the_next_run_records_it(
    address: Path, tmp_path: Path
) -> None:
    audio_file(tmp_path / "more", "late.wav")
    victim = multiprocessing.get_context("spawn").Process(
        target=score_and_die, args=("before_checksums_words", address, tmp_path / "more")
    )
    victim.start()
    victim.join()
    assert victim.exitcode == EXIT_STATUS
    assert damages(address) == []
    assert any(one.startswith("words: 1 files have no recorded digest") for one in notes(address))
    job(Lake(address), listing(tmp_path / "more"))
    assert damages(address) == []
    assert not any("no recorded digest" in one for one in notes(address))


def test_every_table_with_a_key_is_checked() -> None:
    from mmer_ray.lake.row_checks import KEYS, PARENTS

    assert set(KEYS) >= {name for name in DATA_TABLES if partition_columns(name)}
    of_hearings = {name for name, schema in SCHEMAS.items() if "heard_key" in schema.names} - set(DERIVED_TABLES)
    assert of_hearings - set(PARENTS) == {
        "recordings", "results", "speaker_edits", "annotations",
    }  # fmt: skip

"""The one writer: what it makes visible, when, and what a crash leaves."""

from __future__ import annotations

import inspect
import multiprocessing.context
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mmer_ray.errors import ErrorCode, LedgerError, StoreError
from mmer_ray.failpoint import EXIT_STATUS
from mmer_ray.lake import commit as commit_module
from mmer_ray.lake import writer as writer_module
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.plan import TODO, Plan
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import connect_internal
from mmer_ray.lake.writer import Writer
from mmer_ray.profiles import RunOptions
from mmer_ray.records import Recording, ScoredRecording
from mmer_ray.sources.listing import recordings_of
from mmer_ray.tables import DATA_TABLES, Row
from tests.lake.drill import die_at, run_job
from tests.lake.makers import (
    EVERY_TABLE,
    KEYS,
    STAGES,
    a_run,
    audio_file,
    audio_id,
    contents,
    failed,
    job,
    listed,
    listing,
    newer,
    plan_of,
    recording_at,
    scored,
    taken,
)
from tests.slow import slow_but

SIDES = ("before", "after")
POINTS = [
    "after_run_start",
    "before_append_utterances:1",
    "after_append_commits:1",
    *(f"{side}_append_{name}:2" for name in (*DATA_TABLES, "commits") for side in SIDES),
    "before_run_end",
]
SOONEST = (
    "after_run_start", "after_append_words:2", "before_append_commits:2", "before_run_end",
)  # fmt: skip
"""Points that every run of the tests dies at; the others are slow ones. The stateful tests die at all of them."""


@pytest.fixture(scope="module")
def drill() -> multiprocessing.context.ForkServerContext:
    """Processes that start with the libraries imported and nothing running."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["deltalake", "tests.lake.drill"])
    return context


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    return six_files(tmp_path / "audio")


@pytest.fixture(scope="module")
def drill_audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return six_files(tmp_path_factory.mktemp("drill") / "audio")


@pytest.fixture(scope="module")
def undisturbed(drill_audio: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    lake = tmp_path_factory.mktemp("undisturbed") / "lake"
    run_job(lake, drill_audio)
    return contents(lake)


def six_files(folder: Path) -> Path:
    """Of which `f.wav` is a copy of `a.wav`."""
    for name in "abcde":
        audio_file(folder, f"{name}.wav")
    audio_file(folder, "f.wav", (folder / "a.wav").read_bytes())
    return folder


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def write(lake: Lake, folder: Path) -> Writer:
    """A writer with everything to do, not yet entered."""
    return Writer(lake, a_run(), plan_of(listing(folder), lake), RunOptions())


def write_all(lake: Lake, folder: Path, answers: Iterable[ScoredRecording]) -> None:
    with write(lake, folder) as writer:
        for one in answers:
            writer.add(taken(one))


def runs(lake: Lake) -> list[dict[str, Any]]:
    with open_lake(lake.address) as reader:
        return reader.status().runs


@pytest.mark.parametrize("point", slow_but(POINTS, SOONEST))
def test_after_a_crash_the_same_command_gives_the_rows_of_an_undisturbed_run(
    point: str,
    undisturbed: dict[str, list[Row]],
    drill_audio: Path,
    tmp_path: Path,
    drill: multiprocessing.context.ForkServerContext,
) -> None:
    victim = drill.Process(target=die_at, args=(point, tmp_path / "lake", drill_audio))
    victim.start()
    victim.join()
    assert victim.exitcode == EXIT_STATUS
    seen = contents(tmp_path / "lake")
    for name in EVERY_TABLE:
        assert all(row in undisturbed[name] for row in seen[name]), "a reader saw a torn commit"
    run_job(tmp_path / "lake", drill_audio)
    found = contents(tmp_path / "lake")
    for row in found["recordings"]:
        # The recording that is tried in every run counts its tries.
        row["attempts"] = 1 if row["error_code"] == ErrorCode.IO_ERROR else row["attempts"]
    assert found == undisturbed


def test_the_drill_reaches_every_point_of_the_writer() -> None:
    sources = "".join(map(inspect.getsource, (writer_module, commit_module)))
    named = re.findall(r'failpoint\(f?"(.+)"\)', sources)
    filled = {point.replace("{name}", name) for point in named for name in DATA_TABLES}
    assert filled == {point.split(":")[0] for point in POINTS}


def test_rows_show_when_their_commit_is_whole_and_not_before(
    lake: Lake, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    append = Lake.append

    def watched(self: Lake, name: str, rows: pa.Table, sequence: int, run_id: str) -> bool:
        answer = append(self, name, rows, sequence, run_id)
        if name != "runs":
            seen.append((name, sum(len(rows) for rows in contents(lake.address).values())))
        return answer

    monkeypatch.setattr(Lake, "append", watched)
    with write(lake, audio) as writer:
        for recording in recordings_of(plan_of(listing(audio), lake).todo):
            writer.add(taken(scored(recording)))
    written = [name for name in DATA_TABLES if name not in ("corpus_facts", "speaker_edits", "annotations", "erasures")]
    assert [name for name, _ in seen] == [*written, "commits"]
    assert {count for _, count in seen[:-1]} == {0}
    assert seen[-1][1] > 0


def test_a_commit_that_failed_half_way_is_finished_and_not_doubled(
    lake: Lake, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    todo = list(recordings_of(plan_of(listing(audio), lake).todo))
    append = Lake.append

    def full_disk(self: Lake, name: str, rows: pa.Table, sequence: int, run_id: str) -> bool:
        if name == "calls":
            raise StoreError("No space left on device")
        return append(self, name, rows, sequence, run_id)

    with write(lake, audio) as writer:
        for recording in todo[:3]:
            writer.add(taken(scored(recording)))
        with monkeypatch.context() as patch:
            patch.setattr(Lake, "append", full_disk)
            with pytest.raises(StoreError, match="No space left"):
                writer.commit()
        for recording in todo[3:]:
            writer.add(taken(scored(recording)))
    undisturbed = Lake(lake.address + "-2")
    job(undisturbed, listing(audio))
    assert contents(lake.address) == contents(undisturbed.address)
    with open_lake(lake.address) as reader:
        assert reader.sql("FROM commits").num_rows == 2


def test_a_run_with_nothing_to_do_writes_nothing(lake: Lake, audio: Path) -> None:
    with Writer(lake, a_run(), Plan(KEYS, TODO.empty_table())) as writer:
        assert writer.commit() is None
    assert not Path(lake.address).exists()
    job(lake, listing(audio))
    before = sorted(Path(lake.address).rglob("*"))
    _, ledger = job(Lake(lake.address), listing(audio))
    assert ledger == Ledger()
    assert sorted(Path(lake.address).rglob("*")) == before


def test_a_commit_is_due_by_bytes_or_by_time_and_the_first_one_early(lake: Lake, audio: Path) -> None:
    now_s = 0.0
    plan = plan_of(listing(audio), lake)
    answers = [taken(scored(recording)) for recording in recordings_of(plan.todo)]
    most_bytes = answers[1].num_bytes + answers[2].num_bytes
    options = RunOptions(commit_every_s=60, first_commit_s=10, commit_every_mb=most_bytes / 1e6)
    with Writer(lake, a_run(), plan, options, clock=lambda: now_s) as writer:
        now_s = 100.0
        assert not writer.due(), "an empty commit is never due"
        now_s = 0.0
        writer.add(answers[0])
        assert not writer.due()
        now_s = 11.0
        assert writer.due()
        writer.commit()
        writer.add(answers[1])
        now_s = 22.0
        assert not writer.due(), "later commits take longer"
        writer.add(answers[2])
        assert writer.due(), "enough rows"
        writer.commit()
        writer.add(answers[3])
        now_s = 83.0
        assert writer.due(), "enough time"
        writer.add(answers[4])


def test_the_first_answer_for_a_recording_counts(lake: Lake, audio: Path) -> None:
    with write(lake, audio) as writer:
        for recording in recordings_of(plan_of(listing(audio), lake).todo):
            crashed = failed(recording, ErrorCode.WORKER_CRASH)
            assert writer.add(taken(scored(recording), crashed)).num_rows == 1
            assert writer.add(taken(crashed)).num_rows == 0
    assert {row["status"] for row in contents(lake.address)["recordings"]} == {"scored"}


def test_a_copy_has_a_row_and_no_utterances_of_its_own(lake: Lake, audio: Path) -> None:
    plan, ledger = job(lake, listing(audio))
    assert [Path(uri).name for uri in plan.copies.column("uri").to_pylist()] == ["f.wav"]
    assert ledger.num_copies == 1
    with open_lake(lake.address) as reader:
        rows = reader.sql("FROM recordings WHERE uri LIKE '%/a.wav' OR uri LIKE '%/f.wav' ORDER BY uri").to_pylist()
        assert rows[0]["recording_id"] == rows[1]["recording_id"] == audio_id((audio / "a.wav").read_bytes())
        assert [row["is_copy"] for row in rows] == [False, True]
        assert rows[0]["duration_ms"] == rows[1]["duration_ms"]
        assert reader.sql("SELECT count(*) AS n FROM calls").to_pylist() == [{"n": 5}]


def test_a_copy_of_audio_that_the_lake_has_gets_its_row_alone(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio))
    before = contents(lake.address)
    again = audio_file(audio.parent / "more", "renamed.wav", (audio / "b.wav").read_bytes())
    plan, ledger = job(Lake(lake.address), [replace(recording_at(again, again.parent, "other"), day="2026-12-24")])
    assert (plan.todo.num_rows, plan.num_copies, ledger.num_copies) == (0, 1, 1)
    after = contents(lake.address)
    for name in EVERY_TABLE[1:]:
        kept = [row for row in after[name] if row["corpus"] == "calls"]
        seen = [row for row in after[name] if row["corpus"] == "other"]
        assert kept == before[name], "the first corpus sees what it saw"
        heard = [row for row in before[name] if row["recording_id"] == audio_id((audio / "b.wav").read_bytes())]
        place = {"corpus": "other", "month": "2026-12", "day": date(2026, 12, 24)}
        assert seen == [row | place for row in heard], "the other one sees the answers too, under its own day"
    (row,) = [row for row in after["recordings"] if row not in before["recordings"]]
    (first,) = [row for row in before["recordings"] if row["uri"].endswith("b.wav")]
    changed = {name for name in row if row[name] != first[name]}
    assert changed == {"corpus", "uri", "modified", "day", "month", "is_copy", "expected_ms", "metadata"} - {"metadata"}


def test_a_copy_answers_for_its_own_name(lake: Lake, audio: Path) -> None:
    """Equal bytes, and one of the two is called a FLAC: it alone is mislabelled, whichever came first."""
    content = (audio / "b.wav").read_bytes()
    lying = [audio_file(audio, "same_run.flac", content), audio_file(audio.parent / "later", "next_run.flac", content)]
    job(lake, listing(audio))
    job(Lake(lake.address), [recording_at(lying[1], lying[1].parent)])
    rows = [row for row in contents(lake.address)["recordings"] if row["recording_id"] == audio_id(content)]
    assert {Path(row["uri"]).name: "mislabelled" in row["flags"] for row in rows} == {
        "b.wav": False, "same_run.flac": True, "next_run.flac": True
    }  # fmt: skip
    assert all({"clipped", "narrowband"} <= set(row["flags"]) for row in rows)


def blind(plan: Plan, recordings: list[Recording]) -> Plan:
    """A plan by somebody who could not read the bytes, as on a remote store."""
    todo = listed_todo(recordings)
    return replace(plan, todo=todo, copies=plan.copies.slice(0, 0))


def listed_todo(recordings: list[Recording]) -> pa.Table:
    table = pa.Table.from_batches([listed(recordings)])
    count = table.num_rows
    columns = {
        "attempt": pa.array([1] * count, pa.int32()),
        "recording_id": pa.nulls(count, pa.string()),
        "restart": pa.array(["decode"] * count),
        "needs_row": pa.array([True] * count),
        "heard_key": pa.array([KEYS.heard] * count),
    }
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table.cast(TODO)


def test_audio_that_turns_out_to_be_known_is_not_written_twice(lake: Lake, audio: Path) -> None:
    plan = blind(plan_of([], lake), listing(audio))
    with Writer(lake, a_run(), plan) as writer:
        writer.add(taken(*(scored(recording) for recording in listing(audio)[:1])))
        writer.commit()
        writer.add(taken(*(scored(recording) for recording in listing(audio)[1:])))
    rows = contents(lake.address)
    assert [row["is_copy"] for row in rows["recordings"]].count(True) == 1
    assert len(rows["calls"]) == len(rows["results"]) == 5
    later = replace(recording_at(audio / "b.wav", audio), corpus="again")
    with Writer(Lake(lake.address), a_run(), blind(plan, [later])) as writer:
        writer.add(taken(scored(later)))
    with connect_internal(lake) as connection:
        assert connection.execute("SELECT count(*) FROM internal.calls").fetchall() == [(5,)]
    assert len([row for row in contents(lake.address)["calls"] if row["corpus"] == "again"]) == 1


def test_audio_that_was_heard_but_not_felt_keeps_what_was_heard(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio))
    keys = newer("emotion")
    later = replace(recording_at(audio / "b.wav", audio), corpus="again")
    with Writer(lake, a_run(keys), blind(plan_of([], lake, keys), [later])) as writer:
        writer.add(taken(scored(later, keys=keys), keys=keys))
    with connect_internal(lake) as connection:
        assert connection.execute("SELECT count(*) FROM internal.results").fetchall() == [(5,)]
        assert connection.execute("SELECT count(*) FROM internal.calls").fetchall() == [(6,)]
    with open_lake(lake.address) as reader:
        scorers = reader.sql("SELECT DISTINCT corpus, scorer FROM active_emotions ORDER BY ALL").to_pylist()
    assert scorers == [{"corpus": "again", "scorer": "mmer-2"}, {"corpus": "calls", "scorer": "mmer-1"}]


def test_the_copies_of_a_failed_recording_failed_with_it(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio), failing={"a.wav": ErrorCode.TOO_LONG})
    rows = [row for row in contents(lake.address)["recordings"] if row["status"] == "failed"]
    rows.sort(key=lambda row: str(row["uri"]))
    assert [(Path(row["uri"]).name, row["error_code"]) for row in rows] == [
        ("a.wav", "too_long"),
        ("f.wav", "too_long"),
    ]
    assert [row["is_copy"] for row in rows] == [False, True]


def test_copies_of_a_file_that_changed_before_it_was_read_are_tried_again(lake: Lake, audio: Path) -> None:
    plan = plan_of(listing(audio), lake)
    with Writer(lake, a_run(), plan) as writer:
        for recording in recordings_of(plan.todo):
            changed = recording.uri.endswith("/a.wav")
            writer.add(taken(scored(recording, "f" * 32 if changed else None)))
    rows = {Path(row["uri"]).name: row for row in contents(lake.address)["recordings"]}
    assert rows["a.wav"]["status"] == "scored"
    assert rows["f.wav"]["error_code"] == "changed_during_read"


def test_an_interrupted_run_keeps_what_is_finished_and_says_so(lake: Lake, audio: Path) -> None:
    def interrupted_after_one() -> Iterator[ScoredRecording]:
        yield scored(next(recordings_of(plan_of(listing(audio), lake).todo)))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_all(lake, audio, interrupted_after_one())
    assert len(contents(lake.address)["recordings"]) >= 1
    (run,) = runs(lake)
    assert run["status"] == "interrupted"
    assert run["num_unreached"] > 0
    assert run["planned_ms"] == run["scored_ms"] + run["unreached_ms"]
    job(lake, listing(audio))
    assert [run["status"] for run in runs(lake)] == ["finished", "interrupted"]


def test_a_run_that_lost_a_recording_fails_loudly(lake: Lake, audio: Path) -> None:
    answers = [scored(recording) for recording in recordings_of(plan_of(listing(audio), lake).todo)]
    with pytest.raises(LedgerError, match="1 recordings without an answer"):
        write_all(lake, audio, answers[1:])
    assert [run["status"] for run in runs(lake)] == ["unbalanced"]
    with lake.lock():
        pass


def test_a_run_that_lost_audio_fails_loudly(lake: Lake, audio: Path) -> None:
    answers = [scored(recording) for recording in recordings_of(plan_of(listing(audio), lake).todo)]
    with pytest.raises(LedgerError, match="the ledger does not sum"):
        write_all(lake, audio, [replace(answer, non_speech_s=answer.non_speech_s - 0.03) for answer in answers])


def test_a_run_records_what_made_it(lake: Lake, audio: Path) -> None:
    run = replace(a_run(), model_digests={"emotion": "abc"})
    with Writer(lake, run, plan_of(listing(audio), lake)) as writer:
        for recording in recordings_of(plan_of(listing(audio), lake).todo):
            writer.add(taken(scored(recording)))
    (row,) = runs(lake)
    assert row["profile"] == "test"
    assert '"commit_every_s"' in row["options"]
    assert row["model_digests"] == {"emotion": "abc"}
    assert {stage: row["keys"][stage] for stage in STAGES} == {stage: f"{stage}-1" for stage in STAGES}
    assert row["versions"]["duckdb"]
    assert row["num_scored"] == 6
    assert row["stage_s"] == {"decode": 2.5, "emotion": 1.25}
    assert row["gpu_s"] == {"emotion": 0.625}
    assert row["num_utterances"] == len(contents(lake.address)["utterances"])


def test_a_recording_that_nobody_planned_is_a_bug(lake: Lake, audio: Path) -> None:
    stranger = replace(recording_at(audio / "a.wav", audio), uri="/elsewhere.wav")
    with pytest.raises(AssertionError, match="not in the plan"):
        write_all(lake, audio, [failed(stranger)])

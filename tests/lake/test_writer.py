"""The one writer: what it makes visible, when, and what a crash leaves."""

from __future__ import annotations

import inspect
import multiprocessing.context
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mmer_ray.errors import ErrorCode, LedgerError
from mmer_ray.lake import writer as writer_module
from mmer_ray.lake.failpoint import EXIT_STATUS
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.plan import Plan, plan
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.profiles import RunOptions
from mmer_ray.records import ScoredRecording
from mmer_ray.tables import DATA_TABLES, Rows
from tests.lake.drill import die_at, run_job
from tests.lake.makers import (
    EVERY_TABLE,
    FINGERPRINTS,
    a_run,
    audio_file,
    contents,
    digest,
    failed,
    job,
    listing,
    recording_at,
    scored,
)

SIDES = ("before", "after")
POINTS = [
    "after_run_start",
    "before_append_utterances:1",
    "after_append_commits:1",
    *(f"{side}_append_{name}:2" for name in (*DATA_TABLES, "commits") for side in SIDES),
    "before_run_end",
]


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
def undisturbed(drill_audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
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
    return Writer(lake, a_run(), plan(listing(folder), lake, FINGERPRINTS), RunOptions(commit_every_utterances=3))


def write_all(lake: Lake, folder: Path, answers: Iterable[ScoredRecording]) -> None:
    with write(lake, folder) as writer:
        for answer in answers:
            writer.add(answer)


def runs(lake: Lake) -> list[dict[str, Any]]:
    with open_lake(lake.address) as reader:
        return reader.status().runs


@pytest.mark.parametrize("point", POINTS)
def test_after_a_crash_the_same_command_gives_the_rows_of_an_undisturbed_run(
    point: str, undisturbed: Rows, drill_audio: Path, tmp_path: Path, drill: multiprocessing.context.ForkServerContext
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
    named = re.findall(r'failpoint\(f?"(.+)"\)', inspect.getsource(writer_module))
    filled = {point.replace("{name}", name) for point in named for name in DATA_TABLES}
    assert filled == {point.split(":")[0] for point in POINTS}


def test_rows_show_when_their_commit_is_whole_and_not_before(
    lake: Lake, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    append = Lake.append

    def watched(self: Lake, name: str, rows: pa.Table, sequence: int) -> bool:
        answer = append(self, name, rows, sequence)
        if name != "runs":
            seen.append((name, sum(len(rows) for rows in contents(lake.address).values())))
        return answer

    monkeypatch.setattr(Lake, "append", watched)
    with write(lake, audio) as writer:
        for recording in plan(listing(audio), lake, FINGERPRINTS).todo:
            writer.add(scored(recording))
    assert [name for name, _ in seen] == ["utterances", "words", "emotions", "calls", "recordings", "commits"]
    assert [count for _, count in seen[:-1]] == [0] * 5
    assert seen[-1][1] > 0


def test_a_commit_that_failed_half_way_is_finished_and_not_doubled(
    lake: Lake, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    todo = plan(listing(audio), lake, FINGERPRINTS).todo
    append = Lake.append

    def full_disk(self: Lake, name: str, rows: pa.Table, sequence: int) -> bool:
        if name == "calls":
            raise OSError("No space left on device")
        return append(self, name, rows, sequence)

    with write(lake, audio) as writer:
        for recording in todo[:3]:
            writer.add(scored(recording))
        with monkeypatch.context() as patch:
            patch.setattr(Lake, "append", full_disk)
            with pytest.raises(OSError, match="No space left"):
                writer.commit()
        for recording in todo[3:]:
            writer.add(scored(recording))
    undisturbed = Lake(lake.address + "-2")
    job(undisturbed, listing(audio))
    assert contents(lake.address) == contents(undisturbed.address)
    with open_lake(lake.address) as reader:
        assert reader.sql("FROM commits").num_rows == 2


def test_a_run_with_nothing_to_do_writes_nothing(lake: Lake, audio: Path) -> None:
    with Writer(lake, a_run(), Plan(todo=())) as writer:
        assert writer.commit() is None
    assert not Path(lake.address).exists()
    job(lake, listing(audio))
    before = sorted(Path(lake.address).rglob("*"))
    _, ledger = job(Lake(lake.address), listing(audio))
    assert ledger == Ledger()
    assert sorted(Path(lake.address).rglob("*")) == before


def test_a_commit_is_due_by_rows_or_by_time(lake: Lake, audio: Path) -> None:
    now_s = 0.0
    todo = plan(listing(audio), lake, FINGERPRINTS)
    answers = sorted((scored(recording) for recording in todo.todo), key=lambda answer: len(answer.utterances))
    options = RunOptions(commit_every_s=60, commit_every_utterances=len(answers[0].utterances) + 1)
    with Writer(lake, a_run(), todo, options, clock=lambda: now_s) as writer:
        now_s = 100.0
        assert not writer.due(), "an empty commit is never due"
        now_s = 0.0
        writer.add(answers[0])
        assert not writer.due()
        now_s = 61.0
        assert writer.due()
        writer.commit()
        assert not writer.due()
        for answer in answers[1:]:
            writer.add(answer)
        assert writer.due(), "enough utterances, no time has passed"


def test_the_first_answer_for_a_recording_counts(lake: Lake, audio: Path) -> None:
    with write(lake, audio) as writer:
        for recording in plan(listing(audio), lake, FINGERPRINTS).todo:
            assert writer.add(scored(recording))
            assert not writer.add(failed(recording, ErrorCode.WORKER_CRASH))
    assert {row["status"] for row in contents(lake.address)["recordings"]} == {"scored"}


def test_a_copy_has_a_row_and_no_utterances_of_its_own(lake: Lake, audio: Path) -> None:
    todo, ledger = job(lake, listing(audio))
    assert [Path(copy.recording.uri).name for copy in todo.copies] == ["f.wav"]
    assert ledger.num_copied == 1
    with open_lake(lake.address) as reader:
        rows = reader.sql("FROM recordings WHERE uri LIKE '%/a.wav' OR uri LIKE '%/f.wav' ORDER BY uri").to_pylist()
        assert rows[0]["recording_id"] == rows[1]["recording_id"]
        assert [row["is_copy"] for row in rows] == [False, True]
        assert rows[0]["duration_ms"] == rows[1]["duration_ms"]
        assert reader.sql("SELECT count(*) AS n FROM calls").to_pylist() == [{"n": 5}]


def test_a_copy_of_audio_that_the_lake_has_gets_its_row_alone(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio))
    before = contents(lake.address)
    again = audio_file(audio.parent / "more", "renamed.wav", (audio / "b.wav").read_bytes())
    todo, ledger = job(Lake(lake.address), [replace(recording_at(again, again.parent, "other"), day="2026-12-24")])
    assert (len(todo.todo), len(todo.copies), ledger.num_copied) == (0, 1, 1)
    after = contents(lake.address)
    assert {name: after[name] for name in EVERY_TABLE[1:]} == {name: before[name] for name in EVERY_TABLE[1:]}
    (row,) = [row for row in after["recordings"] if row not in before["recordings"]]
    (first,) = [row for row in before["recordings"] if row["uri"].endswith("b.wav")]
    changed = {name for name in row if row[name] != first[name]}
    assert changed == {"corpus", "uri", "modified", "day", "month", "is_copy"}


def test_a_copy_answers_for_its_own_name(lake: Lake, audio: Path) -> None:
    """Equal bytes, and one of the two is called a FLAC: it alone is mislabelled, whichever came first."""
    content = (audio / "b.wav").read_bytes()
    lying = [audio_file(audio, "same_run.flac", content), audio_file(audio.parent / "later", "next_run.flac", content)]
    job(lake, listing(audio))
    job(Lake(lake.address), [recording_at(lying[1], lying[1].parent)])
    rows = [row for row in contents(lake.address)["recordings"] if row["recording_id"] == digest(content)]
    assert {Path(row["uri"]).name: "mislabelled" in row["flags"] for row in rows} == {
        "b.wav": False, "same_run.flac": True, "next_run.flac": True
    }  # fmt: skip


def test_audio_that_turns_out_to_be_known_is_not_written_twice(lake: Lake, audio: Path) -> None:
    """A planner that could not read the bytes, as on a remote store, leaves it to the writer to notice."""
    blind = replace(plan(listing(audio), lake, FINGERPRINTS), todo=tuple(listing(audio)), copies=())
    with Writer(lake, a_run(), blind) as writer:
        for recording in blind.todo:
            writer.add(scored(recording))
    rows = contents(lake.address)
    assert [row["is_copy"] for row in rows["recordings"]].count(True) == 1
    assert len(rows["calls"]) == 5
    later = replace(recording_at(audio / "b.wav", audio), corpus="again")
    with Writer(Lake(lake.address), a_run(), Plan(todo=(later,))) as writer:
        writer.add(scored(later))
    assert len(contents(lake.address)["calls"]) == 5


def test_the_copies_of_a_failed_recording_failed_with_it(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio), failing={"a.wav": ErrorCode.TOO_LONG})
    rows = [row for row in contents(lake.address)["recordings"] if row["status"] == "failed"]
    rows.sort(key=lambda row: str(row["uri"]))
    assert [(Path(row["uri"]).name, row["error_code"]) for row in rows] == [
        ("a.wav", "too_long"),
        ("f.wav", "too_long"),
    ]
    assert rows[0]["recording_id"] != rows[1]["recording_id"]


def test_an_interrupted_run_keeps_what_is_finished_and_says_so(lake: Lake, audio: Path) -> None:
    def interrupted_after_one() -> Iterator[ScoredRecording]:
        yield scored(plan(listing(audio), lake, FINGERPRINTS).todo[0])
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
    answers = [scored(recording) for recording in plan(listing(audio), lake, FINGERPRINTS).todo]
    with pytest.raises(LedgerError, match="1 recordings without an answer"):
        write_all(lake, audio, answers[1:])
    assert [run["status"] for run in runs(lake)] == ["unbalanced"]
    with lake.lock():
        pass


def test_a_run_that_lost_audio_fails_loudly(lake: Lake, audio: Path) -> None:
    answers = [scored(recording) for recording in plan(listing(audio), lake, FINGERPRINTS).todo]
    with pytest.raises(LedgerError, match="the ledger does not sum"):
        write_all(lake, audio, [replace(answer, non_speech_s=answer.non_speech_s - 0.03) for answer in answers])


def test_a_run_records_what_made_it(lake: Lake, audio: Path) -> None:
    run = replace(a_run(), model_digests={"emotion": "abc"}, gpus={"emotion": 0.5})
    with Writer(lake, run, plan(listing(audio), lake, FINGERPRINTS)) as writer:
        for recording in plan(listing(audio), lake, FINGERPRINTS).todo:
            writer.add(scored(recording))
    (row,) = runs(lake)
    assert row["profile"] == "test"
    assert '"commit_every_s"' in row["options"]
    assert row["model_digests"] == {"emotion": "abc"}
    assert row["fingerprints"] == FINGERPRINTS
    assert row["versions"]["duckdb"]
    assert row["num_scored"] == 6
    assert row["stage_s"] == {"decode": 2.5, "emotion": 1.25}
    assert row["gpu_s"] == {"decode": 0.0, "emotion": 0.625}
    assert row["num_utterances"] == len(contents(lake.address)["utterances"])


def test_a_recording_that_nobody_planned_is_a_bug(lake: Lake, audio: Path) -> None:
    stranger = replace(recording_at(audio / "a.wav", audio), uri="/elsewhere.wav")
    with pytest.raises(AssertionError, match="not in the plan"):
        write_all(lake, audio, [failed(stranger)])

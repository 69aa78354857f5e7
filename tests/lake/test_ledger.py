"""Every second is accounted for."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mmer_ray.errors import ErrorCode, LedgerError
from mmer_ray.lake.answers import Answers
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.plan import Plan
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.records import AudioFacts, Recording, ScoredRecording
from mmer_ray.sources.listing import recordings_of
from tests.lake.damage import with_values
from tests.lake.makers import a_run, audio_file, failed, listing, plan_of, scored, taken


def write(lake: Lake, answers: list[ScoredRecording]) -> Ledger:
    plan = plan_of([answer.recording for answer in answers], lake, now=datetime.now(UTC) + timedelta(days=1))
    with Writer(lake, a_run(), plan) as writer:
        for answer in answers:
            writer.add(taken(answer))
        return writer.finish()


def answers(count: int, lost_s: float = 0.0) -> list[ScoredRecording]:
    """Of lengths that are whole samples, so that one in sixteen lies half way between two milliseconds."""
    chance = random.Random(7)
    made = []
    for number in range(count):
        recording = Recording(f"/audio/{number:05d}.wav", size_bytes=number + 1, expected_s=1.0)
        duration_s = chance.randint(16_000, 160_000) / 16_000
        gaps_s = [duration_s * share for share in (0.125, 0.3, 0.1)]
        facts = AudioFacts(f"{number:032x}", duration_s, 1, 16_000, "flac", "flac")
        speech_s = duration_s - sum(gaps_s)
        made.append(
            ScoredRecording(recording, "scored", audio=facts, speech_s=speech_s, non_speech_s=sum(gaps_s) - lost_s)
        )
    return made


def test_a_thousand_recordings_sum_to_the_millisecond(tmp_path: Path) -> None:
    ledger = write(Lake(tmp_path / "lake"), answers(1_000))
    assert ledger.num_scored == 1_000
    assert ledger.difference_s == 0.0
    with open_lake(tmp_path / "lake") as reader:
        assert replace(reader.status().ledger, num_received=0) == replace(ledger, num_received=0)


def test_a_loss_of_two_milliseconds_in_each_of_a_hundred_recordings_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="the ledger does not sum"):
        write(Lake(tmp_path / "lake"), answers(100, lost_s=0.002))


def test_failed_recordings_count_with_what_their_header_claimed(tmp_path: Path) -> None:
    heard, *broken = answers(3)
    silent = replace(broken[1].recording, expected_s=None)
    ledger = write(Lake(tmp_path / "lake"), [heard, failed(broken[0].recording), failed(silent)])
    assert (ledger.num_planned, ledger.num_scored, ledger.num_failed) == (3, 1, 2)
    assert ledger.quarantined_ms == 1_000
    assert ledger.planned_ms == ledger.scored_ms + 1_000
    assert ledger.difference_s == 0.0


def test_the_ledger_of_the_lake_counts_each_recording_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    broken, *others = answers(4)
    write(lake, [failed(broken.recording, ErrorCode.IO_ERROR), *others])
    ledger = write(lake, [broken])
    assert (ledger.num_planned, ledger.num_scored) == (1, 1)
    with open_lake(lake.address) as reader:
        whole = reader.status().ledger
    assert (whole.num_planned, whole.num_scored, whole.num_failed) == (4, 4, 0)
    assert whole.difference_s == 0.0


def test_an_answer_that_came_and_is_not_in_the_lake_unbalances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the driver received is counted as it comes; what the lake holds, by SQL."""
    for name in "ab":
        audio_file(tmp_path / "audio", f"{name}.wav")
    lake, recordings = Lake(tmp_path / "lake"), listing(tmp_path / "audio")
    writer = Writer(lake, a_run(), plan_of(recordings, lake))
    with pytest.raises(LedgerError, match="2 recordings planned, 2 answers received, 1 rows in the lake"), writer:  # noqa: PT012
        writer.add(taken(*map(scored, recordings)))
        (answers, positions), *_ = writer._open
        writer._open = [(answers.only(np.array([True, False])), positions[:1])]
        writer.commit()


def test_lengths_that_the_lake_does_not_hold_as_they_came_unbalance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio_file(tmp_path / "audio", "a.wav")
    lake, recordings = Lake(tmp_path / "lake"), listing(tmp_path / "audio")
    with (  # noqa: PT012
        pytest.raises(LedgerError, match="the ledger does not sum"),
        Writer(lake, a_run(), plan_of(recordings, lake)) as writer,
    ):
        writer.add(taken(*map(scored, recordings)))
        (answers, positions), *_ = writer._open
        results = answers.tables["results"]
        at = results.column_names.index("duration_ms")
        shorter = results.set_column(at, "duration_ms", pc.subtract(results.column("duration_ms"), 500).cast("int32"))
        writer._open = [(Answers({**answers.tables, "results": shorter}), positions)]


def test_a_recording_without_an_answer_unbalances_even_if_nobody_knows_its_length() -> None:
    with pytest.raises(LedgerError, match="1 recordings without an answer"):
        Ledger(num_planned=1, num_unreached=1).check()


def test_a_tenth_of_a_second_is_the_limit() -> None:
    Ledger(planned_ms=1000, scored_ms=1000, speech_ms=900).check()
    with pytest.raises(LedgerError):
        Ledger(planned_ms=1000, scored_ms=1000, speech_ms=899).check()


@pytest.fixture
def six(tmp_path: Path) -> Path:
    """Files of which one is a copy and one fails."""
    for name in "abcde":
        audio_file(tmp_path / "audio", f"{name}.wav")
    audio_file(tmp_path / "audio", "copy.wav", (tmp_path / "audio" / "a.wav").read_bytes())
    return tmp_path / "audio"


def answer_all(writer: Writer, plan: Plan, stop_after: int = 99) -> None:
    for number, recording in enumerate(recordings_of(plan.todo)):
        if number < stop_after:
            is_bad = recording.uri.endswith("e.wav")
            writer.add(taken(failed(recording, ErrorCode.IO_ERROR) if is_bad else scored(recording)))


def rows_changed(change: Callable[[pa.Table], pa.Table]) -> Callable[[Lake, str, pa.Table, int, str], bool]:
    """`Lake.append` with other rows in `recordings` than the answers had."""
    append = Lake.append

    def changed(self: Lake, name: str, rows: pa.Table, sequence: int, run_id: str) -> bool:
        return append(self, name, change(rows) if name == "recordings" else rows, sequence, run_id)

    return changed


def replaced(rows: pa.Table, column: str, old: object, new: object) -> pa.Table:
    at = rows.column_names.index(column)
    values = rows.column(column).to_pylist()
    if old in values:
        values[values.index(old)] = new
    return rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda rows: replaced(rows, "status", "scored", "failed"), "does not sum"),
        (lambda rows: replaced(rows, "status", "failed", "scored"), "does not sum"),
        (lambda rows: replaced(rows, "is_copy", True, False), "1 recordings are copies, by the lake's rows 0"),
        (lambda rows: with_values(rows, "is_copy", [True] * 6), "1 recordings are copies, by the lake's rows 5"),
        (lambda rows: rows.slice(1), "6 answers received, 5 rows in the lake"),
        (lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]), "6 answers received, 7 rows in the lake"),
        (lambda rows: replaced(rows, "uri", rows.column("uri")[0].as_py(), "/elsewhere.wav"), "does not sum"),
    ],
)
def test_rows_of_another_kind_or_number_than_the_answers_unbalance(
    change: Callable[[pa.Table], pa.Table], why: str, six: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path / "lake")
    plan = plan_of(listing(six), lake)
    monkeypatch.setattr(Lake, "append", rows_changed(change))
    with pytest.raises(LedgerError, match=why), Writer(lake, a_run(), plan) as writer:
        answer_all(writer, plan)
    with open_lake(lake.address) as reader:
        assert [run["status"] for run in reader.status().runs] == ["unbalanced"]


@pytest.mark.parametrize("side", ["num_answers", "num_scored", "num_copies", "num_failed", "num_planned", "planned_ms"])
def test_each_count_of_the_driver_is_compared(side: str, six: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    plan = plan_of(listing(six), lake)
    with pytest.raises(LedgerError, match="does not sum"), Writer(lake, a_run(), plan) as writer:  # noqa: PT012
        answer_all(writer, plan)
        setattr(writer._received, side, getattr(writer._received, side) + 1_000)


def test_an_interrupted_run_sums_with_what_it_did_not_reach(six: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    plan = plan_of(listing(six), lake)
    with Writer(lake, a_run(), plan) as writer:
        answer_all(writer, plan, stop_after=2)
        ledger = writer.interrupt()
    assert ledger.num_unreached > 0
    assert ledger.num_planned == 6 == ledger.num_scored + ledger.num_failed + ledger.num_unreached
    assert ledger.planned_ms == ledger.scored_ms + ledger.quarantined_ms + ledger.unreached_ms
    with open_lake(lake.address) as reader:
        assert reader.status().runs[0]["status"] == "interrupted"


def test_an_interrupted_run_that_lost_a_row_does_not_sum(
    six: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path / "lake")
    plan = plan_of(listing(six), lake)
    monkeypatch.setattr(Lake, "append", rows_changed(lambda rows: rows.slice(1)))
    with pytest.raises(LedgerError, match="does not sum"), Writer(lake, a_run(), plan) as writer:  # noqa: PT012
        answer_all(writer, plan, stop_after=3)
        writer.interrupt()


def test_what_ended_a_run_is_told_before_a_ledger_that_does_not_sum(
    six: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path / "lake")
    plan = plan_of(listing(six), lake)
    monkeypatch.setattr(Lake, "append", rows_changed(lambda rows: rows.slice(1)))
    with pytest.raises(ZeroDivisionError) as ended, Writer(lake, a_run(), plan) as writer:  # noqa: PT012
        answer_all(writer, plan, stop_after=3)
        raise ZeroDivisionError
    assert any("the ledger does not sum" in note for note in ended.value.__notes__)
    with open_lake(lake.address) as reader:
        assert reader.status().runs[0]["status"] == "unbalanced"


def test_copies_that_only_the_writer_notices_are_counted_on_both_sides(six: Path, tmp_path: Path) -> None:
    """As of a remote store, whose bytes the planner does not read."""
    lake = Lake(tmp_path / "lake")
    plan = plan_of(listing(six), lake)
    blind = plan.todo.set_column(
        plan.todo.column_names.index("recording_id"), "recording_id", pa.nulls(plan.todo.num_rows, pa.string())
    )
    copy = plan.copies.select(blind.column_names[:-3]).append_column("restart", pa.array(["decode"]))
    copy = copy.append_column("needs_row", pa.array([True])).append_column("heard_key", pa.array([plan.keys.heard]))
    copy = copy.set_column(
        copy.column_names.index("recording_id"), "recording_id", pa.nulls(copy.num_rows, pa.string())
    ).cast(blind.schema)
    every = replace(plan, todo=pa.concat_tables([blind, copy]), copies=plan.copies.slice(0, 0))
    with Writer(lake, a_run(), every) as writer:
        answer_all(writer, every)
        ledger = writer.finish()
    assert (ledger.num_scored, ledger.num_copies, ledger.num_failed) == (5, 1, 1)


def test_every_file_of_a_listing_is_somewhere_in_the_plan(six: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    recordings = listing(six)
    plan = plan_of([*recordings, recordings[0]], lake)
    assert (plan.num_listed, plan.num_repeated, plan.num_planned) == (7, 1, 6)
    few = plan.limited(2)
    assert few.num_planned + few.num_left_out == 6
    few.check()
    with Writer(lake, a_run(), plan) as writer:
        answer_all(writer, plan)
    again = plan_of(recordings, lake)
    assert (again.num_done, again.num_known_failures, again.num_listed) == (5, 1, 6)


@pytest.mark.parametrize("part", ["num_done", "num_known_failures", "num_left_out", "num_repeated", "num_listed"])
def test_a_plan_that_lost_a_file_says_so(part: str, six: Path, tmp_path: Path) -> None:
    plan = plan_of(listing(six), Lake(tmp_path / "lake"))
    plan.check()
    with pytest.raises(LedgerError, match="the plan does not sum: "):
        replace(plan, **{part: getattr(plan, part) + 1}).check()
    with pytest.raises(LedgerError, match="the plan does not sum: 6 files listed, but 5 planned"):
        plan.with_todo(plan.todo.slice(1)).check()

"""What a job has to do: nothing that is still true, no audio twice, and each file from the first step it lacks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from mmer_ray.errors import RETRYABLE, ErrorCode, UsageError
from mmer_ray.lake import copies as copies_module
from mmer_ray.lake.digest import content_digest as read_digest
from mmer_ray.lake.plan import Plan
from mmer_ray.lake.planner import LIMIT_CODES, plan_job
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.profiles import RunOptions
from mmer_ray.records import Recording
from mmer_ray.sources.listing import recordings_of
from tests.lake.makers import (
    KEYS,
    audio_file,
    audio_id,
    content_digest,
    contents,
    job,
    listed,
    listing,
    newer,
    plan_of,
    recording_at,
    work,
)
from tests.slow import slow_but


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    for name in "abcd":
        audio_file(tmp_path / "audio", f"{name}.wav")
    return tmp_path / "audio"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes the planner has read."""
    names: list[str] = []

    def watched(recording: Recording) -> str | None:
        names.append(Path(recording.uri).name)
        return read_digest(recording)

    monkeypatch.setattr(copies_module, "content_digest", watched)
    return names


def names(files: pa.Table) -> list[str]:
    return [Path(uri).name for uri in files.column("uri").to_pylist()]


def summary(plan: Plan) -> tuple[list[str], list[str], int, int]:
    """(todo, copies, number done, known failures), the names sorted."""
    return sorted(names(plan.todo)), sorted(names(plan.copies)), plan.num_done, plan.num_known_failures


def restarts(plan: Plan) -> dict[str, str]:
    return dict(zip(names(plan.todo), plan.todo.column("restart").to_pylist(), strict=True))


def later(**after: float) -> datetime:
    return datetime.now(UTC) + timedelta(**after)


def test_everything_is_to_be_done_the_longest_first(lake: Lake, audio: Path, read: list[str]) -> None:
    plan = plan_of(listing(audio), lake)
    lengths_ms = plan.todo.column("expected_ms").to_pylist()
    assert len(lengths_ms) == 4
    assert lengths_ms == sorted(lengths_ms, reverse=True)
    assert plan.todo_s == pytest.approx(sum(lengths_ms) / 1000)
    assert set(restarts(plan).values()) == {"decode"}
    assert read == [], "files of different sizes cannot be copies"


def test_a_length_that_no_header_told_is_guessed_from_the_size(lake: Lake) -> None:
    small, large, told = (Recording(name, size_bytes=size) for name, size in (("a", 64_000), ("b", 320_000), ("c", 1)))
    plan = plan_of([small, large, replace(told, expected_s=5.0)], lake)
    assert names(plan.todo) == ["b", "c", "a"]
    assert plan.todo_s == pytest.approx(10 + 5 + 2)


def test_lengths_that_are_found_later_sort_the_plan_anew(lake: Lake, audio: Path) -> None:
    plan = plan_of(listing(audio), lake)
    at = plan.todo.column_names.index("expected_ms")
    longer = plan.with_todo(plan.todo.set_column(at, "expected_ms", pa.array([1, 2, 3, 4], pa.int32())))
    assert names(longer.todo) == names(plan.todo)[::-1]


def test_a_plan_gives_back_what_was_listed(lake: Lake, audio: Path) -> None:
    recordings = listing(audio)
    plan = plan_of(recordings, lake)
    assert sorted(recordings_of(plan.todo), key=lambda one: one.uri) == recordings
    assert [task.recording for task in plan.tasks(lake, plan.todo)] == list(recordings_of(plan.todo))


def test_unchanged_audio_costs_nothing(lake: Lake, audio: Path, read: list[str]) -> None:
    job(lake, listing(audio))
    plan = plan_of(listing(audio), Lake(lake.address))
    assert summary(plan) == ([], [], 4, 0)
    assert plan.is_empty
    assert plan.done_ms == sum(row["duration_ms"] for row in contents(lake.address)["recordings"])
    assert read == []


def test_changed_audio_is_scored_again_and_its_old_answers_are_gone(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio))
    audio_file(audio, "b.wav", b"new bytes")
    plan, _ = job(lake, listing(audio))
    assert summary(plan) == (["b.wav"], [], 3, 0)
    afresh = Lake(lake.address + "-2")
    job(afresh, listing(audio))
    assert contents(lake.address) == contents(afresh.address)


def test_a_file_that_was_touched_is_read_and_not_scored(lake: Lake, audio: Path, read: list[str]) -> None:
    job(lake, listing(audio))
    os.utime(audio / "b.wav", ns=(1, 1))
    plan, _ = job(lake, listing(audio))
    assert summary(plan) == ([], ["b.wav"], 3, 0)
    assert read == ["b.wav"]
    assert plan_of(listing(audio), lake).is_empty


def test_renamed_audio_costs_nothing_and_keeps_its_answers(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio))
    before = contents(lake.address)
    (audio / "b.wav").rename(audio / "z.wav")
    plan, _ = job(lake, listing(audio))
    assert summary(plan) == ([], ["z.wav"], 3, 0)
    after = contents(lake.address)
    assert after["utterances"] == before["utterances"]
    assert len(after["recordings"]) == len(before["recordings"]) + 1


def test_copies_inside_one_listing_are_scored_once(lake: Lake, audio: Path, read: list[str]) -> None:
    content = (audio / "a.wav").read_bytes()
    audio_file(audio, "a-copy.wav", content)
    audio_file(audio, "same-size.wav", content[::-1])
    plan = plan_of(listing(audio), lake)
    assert summary(plan) == (["a-copy.wav", "b.wav", "c.wav", "d.wav", "same-size.wav"], ["a.wav"], 0, 0)
    assert sorted(read) == ["a-copy.wav", "a.wav", "same-size.wav"]
    assert plan.copies.column("recording_id").to_pylist() == [audio_id(content)]
    assert plan.copies.column("is_known").to_pylist() == [False]


def test_old_answers_stay_while_another_file_has_the_audio(lake: Lake, audio: Path) -> None:
    audio_file(audio, "copy.wav", (audio / "a.wav").read_bytes())
    job(lake, listing(audio))
    before = contents(lake.address)["utterances"]
    changed_id = audio_id((audio / "a.wav").read_bytes())
    audio_file(audio, "a.wav", b"new bytes")
    job(lake, listing(audio))
    after = contents(lake.address)["utterances"]
    new_id = audio_id(b"new bytes")
    assert [row for row in after if row["recording_id"] != new_id] == before
    audio_file(audio, "copy.wav", b"newer bytes still")
    job(lake, listing(audio))
    assert changed_id not in {row["recording_id"] for row in contents(lake.address)["utterances"]}


RESTARTS = {
    "limits": "nothing",
    "channel_roles": "link",
    "link": "link",
    "emotion": "emotion",
    "join": "decode",
    "transcribe": "decode",
    "diarize": "decode",
    "decode": "decode",
}


@pytest.mark.parametrize(
    ("changed", "restart"),
    slow_but(RESTARTS.items(), [("limits", "nothing"), ("link", "link"), ("emotion", "emotion"), ("join", "decode")]),
)
def test_each_change_restarts_at_its_own_step(
    changed: str, restart: str, lake: Lake, audio: Path, read: list[str]
) -> None:
    audio_file(audio, "copy.wav", (audio / "a.wav").read_bytes())
    job(lake, listing(audio))
    before = contents(lake.address)
    read.clear()
    keys = replace(KEYS, channel_roles=("agent",)) if changed == "channel_roles" else newer(changed)
    plan, ledger = job(lake, listing(audio), keys)
    assert read == [], "no file is read to tell copies: the lake knows them"
    if restart == "nothing":
        assert summary(plan) == ([], [], 5, 0)
        return
    assert restarts(plan) == dict.fromkeys(["a.wav", "b.wav", "c.wav", "d.wav"], restart)
    copied = restart == "decode"
    assert (names(plan.copies), plan.num_done) == ((["copy.wav"], 0) if copied else ([], 1))
    assert ledger.num_copies == int(copied)
    assert ledger.num_scored == 4 + int(copied)
    after = contents(lake.address)
    old_and_new = {"emotions": 2} if restart == "emotion" else {}
    for name, rows in after.items():
        assert len(rows) == len(before[name]) * old_and_new.get(name, 1), f"{name}: the old answers are out of sight"
    assert plan_of(listing(audio), lake, keys).is_empty
    written = {"decode": 10, "emotion": 5, "link": 5}[restart]
    with open_lake(lake.address) as reader:
        (row,) = reader.sql("SELECT sum(num_recordings) AS n FROM commits").to_pylist()
    assert row["n"] == written, "a file's row is written where it changes"


def test_what_was_heard_comes_back_whole_for_the_steps_that_are_left(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio))
    plan = plan_of(listing(audio), lake, newer("emotion"))
    for task in plan.tasks(lake, plan.todo):
        assert task.restart == "emotion"
        assert task.known is not None
        with open_lake(lake.address) as reader:
            conversation = reader.conversation(task.recording.uri)
        assert task.known.recording == task.recording
        assert task.known.utterances == tuple(replace(one, emotions=()) for one in conversation.utterances)
        assert task.known.turns == conversation.turns
        assert task.known.audio is not None
        assert task.known.audio.duration_s == conversation.recording["duration_ms"] / 1000
    plan = plan_of(listing(audio), lake, newer("link"))
    for task in plan.tasks(lake, plan.todo):
        with open_lake(lake.address) as reader:
            conversation = reader.conversation(task.recording.uri)
        assert task.known is not None
        assert task.known.utterances == conversation.utterances
        assert task.known.turns == conversation.turns
        assert {emotion.scorer for one in task.known.utterances for emotion in one.emotions} == {"mmer-1"}


def test_two_corpora_with_one_audio_and_two_profiles_keep_their_own_answers(lake: Lake, audio: Path) -> None:
    """The second profile hears the same bytes; the first corpus goes on seeing what its own profile heard."""
    calls, training, other = listing(audio, "calls"), listing(audio, "training"), newer("transcribe")
    job(lake, calls)
    before = contents(lake.address)
    job(lake, training, other)
    after = contents(lake.address)
    for name, rows in after.items():
        assert [row for row in rows if row["corpus"] == "calls"] == before[name]
    heard = {row["corpus"]: row["heard_key"] for row in after["utterances"]}
    assert heard == {"calls": KEYS.heard, "training": other.heard}
    assert plan_of(calls, lake).is_empty
    assert plan_of(training, lake, other).is_empty
    with open_lake(lake.address) as reader:
        found = {row["corpus"]: reader.conversation(row) for row in reader.sql("FROM recordings").to_pylist()}
        assert found["calls"].utterances != found["training"].utterances


def test_results_that_another_corpus_wanted_are_taken_over_and_not_made_again(lake: Lake, audio: Path) -> None:
    other = newer("transcribe")
    job(lake, listing(audio, "calls"))
    job(lake, listing(audio, "training"), other)
    plan, ledger = job(lake, listing(audio, "calls"), other)
    assert summary(plan) == ([], ["a.wav", "b.wav", "c.wav", "d.wav"], 0, 0)
    assert ledger.num_copies == 4
    rows = contents(lake.address)["utterances"]
    assert {row["heard_key"] for row in rows} == {other.heard}


def test_one_of_four_scored_by_a_new_model_leaves_the_active_emotions_of_four(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio))
    work(lake, plan_of(listing(audio), lake, newer("emotion")).limited(1))
    with open_lake(lake.address) as reader:
        active = "SELECT count(DISTINCT recording_id) AS n FROM active_emotions"
        assert reader.sql(active).to_pylist() == [{"n": 4}]
        assert reader.status().active_scorers == {"calls": "mmer-1"}
        scorers = reader.sql("SELECT DISTINCT scorer FROM emotions ORDER BY ALL").column(0).to_pylist()
        assert scorers == ["mmer-1", "mmer-2"], "the other model's answers stay readable"


def test_a_failure_that_lies_in_the_bytes_is_known(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio), failing={"a.wav": ErrorCode.DECODE_ERROR})
    assert summary(plan_of(listing(audio), lake)) == ([], [], 3, 1)
    assert plan_of(listing(audio), lake, newer("emotion")).num_known_failures == 1
    assert plan_of(listing(audio), lake, newer("limits")).num_known_failures == 1
    assert "a.wav" in names(plan_of(listing(audio), lake, newer("decode")).todo)
    audio_file(audio, "a.wav", b"mended")
    assert names(plan_of(listing(audio), lake).todo) == ["a.wav"]


@pytest.mark.parametrize("code", LIMIT_CODES)
def test_a_failure_for_a_limit_is_known_while_the_limits_are_the_same(code: ErrorCode, lake: Lake, audio: Path) -> None:
    job(lake, listing(audio), failing={"a.wav": code})
    assert summary(plan_of(listing(audio), lake)) == ([], [], 3, 1)
    assert names(plan_of(listing(audio), lake, newer("limits")).todo) == ["a.wav"]


@pytest.mark.parametrize("code", slow_but(sorted(RETRYABLE), sorted(RETRYABLE)[:2]))
def test_a_failure_from_outside_waits_longer_each_time_and_is_tried_so_often(
    code: ErrorCode, lake: Lake, audio: Path
) -> None:
    options = RunOptions(max_retries=2, retry_after_s=3_600)
    job(lake, listing(audio), failing={"a.wav": code})
    waiting = plan_of(listing(audio), lake, options=options)
    assert (summary(waiting), waiting.num_waiting) == (([], [], 3, 1), 1)
    for attempt, hours in ((2, 1), (3, 2)):
        early = plan_of(listing(audio), lake, options=options, now=later(hours=hours, minutes=-1))
        assert (names(early.todo), early.num_waiting) == ([], 1), "no new row every night"
        due = plan_of(listing(audio), lake, options=options, now=later(hours=hours, minutes=1))
        assert due.todo.column("attempt").to_pylist() == [attempt]
        work(lake, due, failing={"a.wav": code})
    given_up = plan_of(listing(audio), lake, options=options, now=later(days=365))
    assert (summary(given_up), given_up.num_waiting) == (([], [], 3, 1), 0)
    assert names(plan_of(listing(audio), lake, newer("decode"), options).todo), "another decoder tries again at once"


def test_a_failure_that_passed_counts_its_tries(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio), failing={"a.wav": ErrorCode.IO_ERROR})
    job(lake, listing(audio), now=later(hours=2))
    rows = contents(lake.address)["recordings"]
    assert {row["attempts"] for row in rows if row["uri"].endswith("a.wav")} == {2}
    assert {row["status"] for row in rows} == {"scored"}


def test_a_uri_may_be_in_two_corpora_and_is_heard_once(lake: Lake, audio: Path) -> None:
    both = listing(audio, "calls") + listing(audio, "training")
    plan, ledger = job(lake, both)
    assert (plan.todo.num_rows, plan.num_copies, ledger.num_scored) == (4, 4, 8)
    rows = contents(lake.address)
    assert len(rows["recordings"]) == 8
    for name in ("results", "utterances", "words", "turns", "emotions", "calls"):
        seen = {corpus: [] for corpus in ("calls", "training")}
        for row in rows[name]:
            seen[row.pop("corpus")].append(row)
        assert seen["calls"] == seen["training"] != [], name


def test_a_recording_listed_twice_is_planned_once_and_reported(lake: Lake, audio: Path) -> None:
    plan = plan_of(listing(audio) + listing(audio)[:1], lake)
    assert plan.num_planned == 4
    assert (plan.num_repeated, Path(plan.repeated_example or "").name) == (1, "a.wav")
    assert plan.num_listed == 5


def test_of_a_recording_listed_twice_the_first_counts(lake: Lake) -> None:
    first = Recording("/a.wav", size_bytes=5, modified="1")
    second = replace(first, size_bytes=6)
    plan = plan_job([listed([first]), listed([second, replace(first, corpus="other")])], lake, KEYS)
    assert sorted(plan.todo.column("size_bytes").to_pylist()) == [5, 5]


@pytest.mark.parametrize("corpus", ["", "x" * 81, "__HIVE_DEFAULT_PARTITION__"])
def test_a_corpus_that_cannot_name_a_folder_is_refused(corpus: str, lake: Lake) -> None:
    with pytest.raises(UsageError, match="cannot name a folder"):
        plan_of([Recording("a.wav", corpus=corpus)], lake)


def test_a_limited_plan_keeps_the_copies_of_what_it_keeps(lake: Lake, audio: Path) -> None:
    content = (audio / "a.wav").read_bytes()
    audio_file(audio, "a-copy.wav", content)
    plan = plan_of(listing(audio), lake)
    position = names(plan.todo).index("a-copy.wav")
    assert names(plan.limited(position).todo) == names(plan.todo)[:position]
    assert plan.limited(position).num_copies == 0
    assert plan.limited(position + 1).num_planned == position + 2


def _replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _replace_by_outside_link(path: Path) -> None:
    path.rename(path.parent.parent / "outside.wav")
    path.symlink_to(path.parent.parent / "outside.wav")


def _replace_by_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        _replace_by_pipe,
        _replace_by_outside_link,
        _replace_by_loop,
        lambda path: path.write_bytes(b"other bytes"),
        lambda path: os.utime(path, ns=(1, 1)),
    ],
)
def test_what_is_not_plainly_the_listed_file_is_left_to_the_decoder(
    spoil: Callable[[Path], object], lake: Lake, audio: Path
) -> None:
    audio_file(audio, "copy.wav", (audio / "a.wav").read_bytes())
    as_listed = listing(audio)
    spoil(audio / "copy.wav")
    plan = plan_of(as_listed, lake)
    assert plan.num_copies == 0
    assert plan.todo.num_rows == 5


def test_file_urls_name_files_too(audio: Path) -> None:
    odd = audio_file(audio, "bad \udcff name.wav", b"bytes")
    recording = replace(recording_at(odd, audio), uri=odd.as_uri())
    assert read_digest(recording) == content_digest(b"bytes")
    assert read_digest(replace(recording, uri="s3://bucket/key.wav")) is None


def test_files_that_are_done_never_become_objects(
    lake: Lake, audio: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    """Nor is one of them opened: a listing of what is done costs no more than its rows in DuckDB."""
    job(lake, listing(audio))
    batch = listed(listing(audio))
    monkeypatch.setattr(Recording, "__init__", lambda *_, **__: pytest.fail("an object for a file that is done"))
    plan = plan_job(iter([batch]), Lake(lake.address), KEYS)
    assert (plan.num_done, plan.tasks(lake, plan.todo), read) == (4, [], [])

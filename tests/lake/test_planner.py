"""What a job has to do: nothing that is still true, and no audio twice."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import mmer_ray.lake.plan as plan_module
from mmer_ray.errors import RETRYABLE, ErrorCode, UsageError
from mmer_ray.lake.digest import content_digest
from mmer_ray.lake.plan import Plan, plan
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.records import Recording
from mmer_ray.tables import FINGERPRINT_STAGES
from tests.lake.makers import FINGERPRINTS, a_run, audio_file, contents, digest, failed, job, listing, recording_at


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
        return content_digest(recording)

    monkeypatch.setattr(plan_module, "content_digest", watched)
    return names


def names(recordings: tuple[Recording, ...]) -> list[str]:
    return [Path(recording.uri).name for recording in recordings]


def summary(made: Plan) -> tuple[list[str], list[str], list[str], list[str]]:
    """(todo, copies, done, known failures), each sorted by name."""
    copies = tuple(copy.recording for copy in made.copies)
    todo, copied, done, failures = (sorted(names(some)) for some in (made.todo, copies, made.done, made.known_failures))
    return todo, copied, done, failures


def test_everything_is_to_be_done_the_longest_first(lake: Lake, audio: Path, read: list[str]) -> None:
    made = plan(listing(audio), lake, FINGERPRINTS)
    lengths_s = [recording.expected_s or 0.0 for recording in made.todo]
    assert len(lengths_s) == 4
    assert lengths_s == sorted(lengths_s, reverse=True)
    assert made.todo_s == pytest.approx(sum(lengths_s))
    assert read == [], "files of different sizes cannot be copies"


def test_a_length_that_no_header_told_is_guessed_from_the_size(lake: Lake) -> None:
    small, large, told = (Recording(name, size_bytes=size) for name, size in (("a", 64_000), ("b", 320_000), ("c", 1)))
    made = plan([small, large, replace(told, expected_s=5.0)], lake, FINGERPRINTS)
    assert names(made.todo) == ["b", "c", "a"]
    assert made.todo_s == pytest.approx(10 + 5 + 2)


def test_unchanged_audio_costs_nothing(lake: Lake, audio: Path, read: list[str]) -> None:
    job(lake, listing(audio))
    made = plan(listing(audio), Lake(lake.address), FINGERPRINTS)
    assert summary(made) == ([], [], ["a.wav", "b.wav", "c.wav", "d.wav"], [])
    assert made.done_s == pytest.approx(sum(row["duration_ms"] for row in contents(lake.address)["recordings"]) / 1000)
    assert read == []


def test_changed_audio_is_scored_again_and_its_old_answers_are_gone(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio))
    audio_file(audio, "b.wav", b"new bytes")
    made, _ = job(lake, listing(audio))
    assert summary(made) == (["b.wav"], [], ["a.wav", "c.wav", "d.wav"], [])
    afresh = Lake(lake.address + "-2")
    job(afresh, listing(audio))
    assert contents(lake.address) == contents(afresh.address)


def test_a_file_that_was_touched_is_read_and_not_scored(lake: Lake, audio: Path, read: list[str]) -> None:
    job(lake, listing(audio))
    os.utime(audio / "b.wav", ns=(1, 1))
    made, _ = job(lake, listing(audio))
    assert summary(made) == ([], ["b.wav"], ["a.wav", "c.wav", "d.wav"], [])
    assert read == ["b.wav"]
    assert plan(listing(audio), lake, FINGERPRINTS).todo == ()


def test_renamed_audio_costs_nothing_and_keeps_its_answers(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio))
    before = contents(lake.address)
    (audio / "b.wav").rename(audio / "z.wav")
    made, _ = job(lake, listing(audio))
    assert summary(made) == ([], ["z.wav"], ["a.wav", "c.wav", "d.wav"], [])
    after = contents(lake.address)
    assert after["utterances"] == before["utterances"]
    assert len(after["recordings"]) == len(before["recordings"]) + 1


def test_copies_inside_one_listing_are_scored_once(lake: Lake, audio: Path, read: list[str]) -> None:
    content = (audio / "a.wav").read_bytes()
    audio_file(audio, "a-copy.wav", content)
    audio_file(audio, "same-size.wav", content[::-1])
    made = plan(listing(audio), lake, FINGERPRINTS)
    assert summary(made) == (["a-copy.wav", "b.wav", "c.wav", "d.wav", "same-size.wav"], ["a.wav"], [], [])
    assert sorted(read) == ["a-copy.wav", "a.wav", "same-size.wav"]
    (copy,) = made.copies
    assert copy.recording_id == digest(content)
    assert copy.primary is not None
    assert Path(copy.primary.uri).name == "a-copy.wav"


def test_old_answers_stay_while_another_file_has_the_audio(lake: Lake, audio: Path) -> None:
    audio_file(audio, "copy.wav", (audio / "a.wav").read_bytes())
    job(lake, listing(audio))
    before = contents(lake.address)["utterances"]
    changed_id = digest((audio / "a.wav").read_bytes())
    audio_file(audio, "a.wav", b"new bytes")
    job(lake, listing(audio))
    after = contents(lake.address)["utterances"]
    new_id = digest(b"new bytes")
    assert [row for row in after if row["recording_id"] != new_id] == before
    audio_file(audio, "copy.wav", b"newer bytes still")
    job(lake, listing(audio))
    assert changed_id not in {row["recording_id"] for row in contents(lake.address)["utterances"]}


@pytest.mark.parametrize("stage", FINGERPRINT_STAGES)
def test_a_new_model_scores_again_without_reading_files_to_tell_copies(
    stage: str, lake: Lake, audio: Path, read: list[str]
) -> None:
    audio_file(audio, "copy.wav", (audio / "a.wav").read_bytes())
    job(lake, listing(audio))
    before = {name: len(rows) for name, rows in contents(lake.address).items()}
    read.clear()
    newer = {**FINGERPRINTS, stage: "2"}
    made, ledger = job(lake, listing(audio), newer)
    assert summary(made) == (["a.wav", "b.wav", "c.wav", "d.wav"], ["copy.wav"], [], [])
    assert read == []
    assert ledger.num_copied == 1
    rows = contents(lake.address)
    assert {row[f"{stage}_fingerprint"] for row in rows["recordings"]} == {"2"}
    assert {name: len(some) for name, some in rows.items()} == before, "the old model's answers are out of sight"
    assert plan(listing(audio), lake, newer).todo == ()


def test_a_failure_that_lies_in_the_bytes_is_known(lake: Lake, audio: Path) -> None:
    job(lake, listing(audio), failing={"a.wav": ErrorCode.DECODE_ERROR})
    assert summary(plan(listing(audio), lake, FINGERPRINTS)) == ([], [], ["b.wav", "c.wav", "d.wav"], ["a.wav"])
    another_model = {**FINGERPRINTS, "emotion": "2"}
    assert names(plan(listing(audio), lake, another_model).known_failures) == ["a.wav"]
    another_decoder = {**FINGERPRINTS, "decode": "2"}
    assert "a.wav" in names(plan(listing(audio), lake, another_decoder).todo)
    audio_file(audio, "a.wav", b"mended")
    assert names(plan(listing(audio), lake, FINGERPRINTS).todo) == ["a.wav"]


@pytest.mark.parametrize("code", sorted(RETRYABLE))
def test_a_failure_from_outside_is_tried_again_and_counted(code: ErrorCode, lake: Lake, audio: Path) -> None:
    for attempt in (1, 2):
        made, _ = job(lake, listing(audio), failing={"a.wav": code})
        (again,) = (recording for recording in made.todo if recording.uri.endswith("a.wav"))
        assert again.attempt == attempt
    made, _ = job(lake, listing(audio))
    assert [recording.attempt for recording in made.todo] == [3]
    rows = contents(lake.address)["recordings"]
    assert {row["attempts"] for row in rows if row["uri"].endswith("a.wav")} == {3}
    assert {row["status"] for row in rows} == {"scored"}


def test_a_uri_may_be_in_two_corpora_and_is_heard_once(lake: Lake, audio: Path) -> None:
    both = listing(audio, "calls") + listing(audio, "training")
    made, ledger = job(lake, both)
    assert (len(made.todo), len(made.copies), ledger.num_scored) == (4, 4, 8)
    assert len(contents(lake.address)["recordings"]) == 8


def test_a_recording_listed_twice_is_planned_once_and_reported(lake: Lake, audio: Path) -> None:
    made = plan(listing(audio) + listing(audio)[:1], lake, FINGERPRINTS)
    assert len(made.planned) == 4
    assert names(made.repeated) == ["a.wav"]


@pytest.mark.parametrize("corpus", ["", "x" * 81, "__HIVE_DEFAULT_PARTITION__"])
def test_a_corpus_that_cannot_name_a_folder_is_refused(corpus: str, lake: Lake) -> None:
    with pytest.raises(UsageError, match="cannot name a folder"):
        plan([Recording("a.wav", corpus=corpus)], lake, FINGERPRINTS)


def test_a_limited_plan_keeps_the_copies_of_what_it_keeps(lake: Lake, audio: Path) -> None:
    content = (audio / "a.wav").read_bytes()
    audio_file(audio, "a-copy.wav", content)
    made = plan(listing(audio), lake, FINGERPRINTS)
    position = names(made.todo).index("a-copy.wav")
    assert names(made.limited(position).planned) == names(made.todo)[:position]
    assert len(made.limited(position + 1).planned) == position + 2


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
    listed = listing(audio)
    spoil(audio / "copy.wav")
    made = plan(listed, lake, FINGERPRINTS)
    assert made.copies == ()
    assert len(made.todo) == 5


def test_file_urls_name_files_too(audio: Path) -> None:
    odd = audio_file(audio, "bad \udcff name.wav", b"bytes")
    recording = replace(recording_at(odd, audio), uri=odd.as_uri())
    assert content_digest(recording) == digest(b"bytes")
    assert content_digest(replace(recording, uri="s3://bucket/key.wav")) is None


def test_a_hundred_thousand_known_files_are_planned_in_seconds(lake: Lake) -> None:
    """The bar is 60 s; here at a twentieth of the size, the lake's side of it."""
    many = [Recording(f"/audio/{number:06d}.wav", corpus="calls", size_bytes=number) for number in range(5_000)]
    todo = plan(many, lake, FINGERPRINTS)
    with Writer(lake, a_run(), todo) as writer:
        for recording in todo.todo:
            writer.add(failed(recording))
    start_s = time.process_time()
    assert len(plan(many, Lake(lake.address), FINGERPRINTS).known_failures) == 5_000
    assert time.process_time() - start_s < 3.0

"""Speakers counted again from what the lake kept, and what later jobs make of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmer_ray.errors import LakeError, SourceError, UsageError
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.recluster import Recluster, recluster
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.records import Recording
from tests.lake.makers import (
    KEYS,
    a_run,
    answer,
    audio_file,
    contents,
    job,
    listing,
    newer,
    plan_of,
    recording_at,
    taken,
    work,
)
from tests.lake.recounts import recounted_lake, talk

ONE, THREE = Recluster(speakers=1), Recluster(speakers=3)


@pytest.fixture
def scored(tmp_path: Path) -> tuple[Lake, Recording]:
    return recounted_lake(tmp_path)


def speakers(lake: Lake) -> list[str]:
    """The speaker of each utterance, as readers see them."""
    with open_lake(lake.address) as reader:
        return [one.speaker for one in reader.conversation("talk").utterances]


def test_another_number_of_speakers_renames_utterances_and_turns_and_keeps_words(
    scored: tuple[Lake, Recording],
) -> None:
    lake, _ = scored
    before = contents(lake.address)
    assert speakers(lake) == ["S1", "S2", "S2", "S2", "S1"]
    done = recluster(lake, "talk", THREE)
    assert (done.num_speakers, done.num_speakers_before, done.num_files) == (3, 2, 1)
    assert speakers(lake) == ["S1", "S2", "S3", "S2", "S1"]
    after = contents(lake.address)
    said = ("utterance_idx", "start_ms", "end_ms", "text", "num_words", "language", "dialogue_idx")
    assert [[row[name] for name in said] for row in after["utterances"]] == [
        [row[name] for name in said] for row in before["utterances"]
    ]
    assert [row["word"] for row in after["words"]] == [row["word"] for row in before["words"]]
    assert {row["speaker"] for row in after["turns"]} == {"S1", "S2", "S3"}
    assert [row["num_speakers"] for row in after["recordings"]] == [3]


def test_emotions_are_carried_over_and_measures_are_made_of_the_new_speakers(scored: tuple[Lake, Recording]) -> None:
    lake, _ = scored
    before = contents(lake.address)
    recluster(lake, "talk", ONE)
    after = contents(lake.address)
    felt = ("utterance_idx", "scorer", "label", "valence")
    assert [[row[name] for name in felt] for row in after["emotions"]] == [
        [row[name] for name in felt] for row in before["emotions"]
    ]
    (calls,) = after["calls"]
    assert [name for name, _ in calls["talk_ms"]] == ["S1"]
    assert calls["valence_q1"] == before["calls"][0]["valence_q1"]
    with open_lake(lake.address) as reader:
        assert reader.status().ledger.difference_s == 0.0


def test_the_number_that_was_found_gives_the_turns_that_were_found(scored: tuple[Lake, Recording]) -> None:
    lake, _ = scored
    kept = ("turns", "utterances", "calls")
    before = contents(lake.address)
    done = recluster(lake, "talk", Recluster(speakers=2))
    assert done.num_files == 1
    after = contents(lake.address)
    for table in kept:
        assert [_without_key(row) for row in after[table]] == [_without_key(row) for row in before[table]]


def _without_key(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != "heard_key"}


def test_going_back_shows_the_first_count_again_and_counts_are_not_written_twice(
    scored: tuple[Lake, Recording],
) -> None:
    lake, _ = scored
    before = contents(lake.address)
    first = recluster(lake, "talk", ONE)
    assert recluster(lake, "talk", ONE).num_files == 0
    undone = recluster(lake, "talk", Recluster())
    assert (undone.num_speakers, undone.num_speakers_before) == (2, 1)
    assert contents(lake.address) == before
    assert recluster(lake, "talk", ONE).heard_key == first.heard_key
    with open_lake(lake.address) as reader:
        counted = reader.sql("SELECT count(*) AS num, any_value(recluster) AS made FROM internal.results").to_pylist()
    assert counted == [{"num": 2, "made": '{"speakers": 1}'}]


@pytest.mark.parametrize(
    ("wanted", "number"), [(Recluster(max_speakers=1), 1), (Recluster(threshold=0.1), 3), (Recluster(threshold=0.5), 2)]
)
def test_a_maximum_and_a_threshold_count_too(scored: tuple[Lake, Recording], wanted: Recluster, number: int) -> None:
    assert recluster(scored[0], "talk", wanted).num_speakers == number


def test_the_next_job_has_nothing_to_do_and_leaves_the_count(scored: tuple[Lake, Recording]) -> None:
    lake, recording = scored
    recluster(lake, "talk", THREE)
    plan = plan_of([recording], lake)
    assert (plan.is_empty, plan.num_done, plan.num_recounted) == (True, 1, 0)


@pytest.mark.parametrize("stage", ["emotion", "link", "channel_roles"])
def test_a_new_emotion_model_and_new_roles_are_answered_for_the_new_count(
    scored: tuple[Lake, Recording], stage: str
) -> None:
    lake, recording = scored
    recluster(lake, "talk", THREE)
    keys = replace(KEYS, channel_roles=("agent",)) if stage == "channel_roles" else newer(stage)
    plan = plan_of([recording], lake, keys)
    assert plan.todo["restart"].to_pylist() == ["emotion" if stage == "emotion" else "link"]
    (task,) = plan.tasks(lake, plan.todo)
    assert task.known is not None
    assert [one.speaker for one in task.known.utterances] == ["S1", "S2", "S3", "S2", "S1"]
    with open_lake(lake.address) as reader:
        counted = reader.sql("SELECT heard_key FROM results").to_pylist()
    assert plan.todo["heard_key"].to_pylist() == [row["heard_key"] for row in counted] != [KEYS.heard]
    assert speakers(lake) == ["S1", "S2", "S3", "S2", "S1"]


def test_a_finished_job_of_new_measures_balances_and_is_not_done_again(scored: tuple[Lake, Recording]) -> None:
    lake, recording = scored
    recluster(lake, "talk", THREE)
    keys = newer("link")
    _, ledger = work(lake, plan_of([recording], lake, keys))
    assert (ledger.num_scored, ledger.difference_s) == (1, 0.0)
    assert plan_of([recording], lake, keys).is_empty
    assert speakers(lake) == ["S1", "S2", "S3", "S2", "S1"]


def test_a_profile_that_hears_anew_is_told_what_it_undoes(scored: tuple[Lake, Recording]) -> None:
    lake, recording = scored
    recluster(lake, "talk", THREE)
    plan = plan_of([recording], lake, newer("transcribe"))
    assert plan.todo["restart"].to_pylist() == ["decode"]
    assert plan.num_recounted == 1


def test_files_of_the_same_audio_that_show_the_same_count_follow(scored: tuple[Lake, Recording]) -> None:
    lake, recording = scored
    folder = Path(recording.root)
    copy = recording_at(audio_file(folder, "copy.wav", Path(recording.uri).read_bytes()), folder)
    other = replace(recording, corpus="other")
    job(lake, [copy, other])
    assert recluster(lake, recording.uri, ONE).num_files == 3
    assert plan_of([recording, copy, other], lake).is_empty


def test_a_copy_follows_the_count_that_it_will_name_and_no_other(scored: tuple[Lake, Recording]) -> None:
    """Of one audio there are two counts to work on, in a commit each, and a copy waits for the one that was found."""
    lake, recording = scored
    recluster(lake, "talk", THREE)
    second, third = replace(recording, corpus="other"), replace(recording, corpus="third")
    job(lake, [second])
    keys = newer("emotion")
    plan = plan_of([recording, second, third], lake, keys)
    assert (plan.todo["corpus"].to_pylist(), plan.copies["corpus"].to_pylist()) == (["calls", "other"], ["third"])
    assert plan.limited(1).num_copies == 0
    with Writer(lake, a_run(keys), plan) as writer:
        for task, num_rows in zip(plan.tasks(lake, plan.todo), (2, 3), strict=True):
            writer.add(taken(answer(task, keys, talk(recording, keys)), keys=keys))
            writer.commit()
            assert len(contents(lake.address)["recordings"]) == num_rows
        ledger = writer.finish()
    assert (ledger.num_planned, ledger.num_received, ledger.num_scored) == (3, 3, 3)


def test_what_cannot_be_counted_again_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "audio"
    audio_file(folder, "a.wav")
    lake = Lake(tmp_path / "lake")
    with pytest.raises(LakeError, match="is not a lake"):
        recluster(lake, "a", ONE)
    plan = plan_of(listing(folder), lake)
    with Writer(lake, a_run(), plan) as writer:
        for task in plan.tasks(lake, plan.todo):
            writer.add(taken(replace(answer(task), pieces=())))
    with pytest.raises(UsageError, match=r"nothing to count the speakers of .*a\.wav from: each of its channels"):
        recluster(lake, "a", ONE)
    with pytest.raises(SourceError, match=r"no recording in .* is called 'b'"):
        recluster(lake, "b", ONE)


def test_more_speakers_than_pieces_are_refused(scored: tuple[Lake, Recording]) -> None:
    with pytest.raises(UsageError, match=r"cannot be told apart into more than \d+ speakers"):
        recluster(scored[0], "talk", Recluster(speakers=50))

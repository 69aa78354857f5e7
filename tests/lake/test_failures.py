"""Failed recordings that the lake lists itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmer_ray.errors import ErrorCode
from mmer_ray.lake.failures import GIVEN, UNREADABLE, failed_groups
from mmer_ray.lake.run import begin_run
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.profiles import Profile
from mmer_ray.records import Recording
from mmer_ray.stages.keys import Keys, keys_of
from mmer_ray.transcripts.mark import GivenMark, with_mark
from tests.lake.makers import audio_file, failed, plan_of, recording_at, taken
from tests.lake.rescores import PROFILE, WIDE


def fail(lake: Lake, recording: Recording, code: ErrorCode, profile: Profile = PROFILE, options: str = "") -> None:
    keys: Keys = keys_of(profile)
    run = begin_run(profile, keys)
    with Writer(lake, replace(run, options=options) if options else run, plan_of([recording], lake, keys)) as writer:
        writer.add(taken(failed(recording, code), keys=keys))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Failures of three kinds, under two profiles."""
    lake = Lake(tmp_path / "lake")
    for name, code, profile in (
        ("a.wav", ErrorCode.IO_ERROR, PROFILE),
        ("b.wav", ErrorCode.IO_ERROR, WIDE),
        ("c.wav", ErrorCode.WORKER_CRASH, PROFILE),
        ("d.wav", ErrorCode.EMPTY_FILE, PROFILE),
    ):
        fail(lake, recording_at(audio_file(tmp_path / "audio", name), tmp_path / "audio"), code, profile)
    return lake


def test_each_is_listed_under_the_profile_that_it_failed_under(lake: Lake) -> None:
    groups, left = failed_groups(lake, {ErrorCode.IO_ERROR})
    assert left == {}
    found = {group.profile.diarize.max_speakers: group.listed["uri"].to_pylist() for group in groups}
    assert {speakers: [Path(uri).name for uri in uris] for speakers, uris in found.items()} == {
        20: ["a.wav"],
        19: ["b.wav"],
    }


def test_without_a_code_all_that_may_pass_are_listed_and_those_that_kill_workers_apart(lake: Lake) -> None:
    groups, _ = failed_groups(lake, ())
    assert sorted((group.killed_workers, group.listed.num_rows) for group in groups) == [
        (False, 1),
        (False, 1),
        (True, 1),
    ]


@pytest.mark.slow
def test_a_named_profile_takes_the_place_of_all(lake: Lake) -> None:
    (group,) = failed_groups(lake, {ErrorCode.IO_ERROR}, profile=WIDE)[0]
    assert (group.profile, group.listed.num_rows) == (WIDE, 2)


@pytest.mark.slow
def test_sizes_and_marks_are_those_of_now_and_day_and_metadata_stay(lake: Lake, tmp_path: Path) -> None:
    path = audio_file(tmp_path / "audio", "a.wav", b"it is longer and newer now")
    (group,) = failed_groups(lake, {ErrorCode.IO_ERROR}, profile=WIDE)[0]
    (row,) = [row for row in group.listed.to_pylist() if row["uri"] == str(path)]
    assert (row["size_bytes"], row["modified"]) == (path.stat().st_size, str(path.stat().st_mtime_ns))
    assert (str(row["day"]), dict(row["metadata"])) == ("2026-11-20", {"queue": "refunds"})


@pytest.mark.slow
def test_a_file_that_is_gone_is_listed_as_it_was(lake: Lake, tmp_path: Path) -> None:
    size_bytes = (tmp_path / "audio" / "a.wav").stat().st_size
    (tmp_path / "audio" / "a.wav").unlink()
    groups, _ = failed_groups(lake, {ErrorCode.IO_ERROR})
    assert size_bytes in [row["size_bytes"] for group in groups for row in group.listed.to_pylist()]


def test_given_words_and_unknown_options_cannot_be_tried_from_the_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    recording = recording_at(audio_file(tmp_path / "audio", "a.wav"), tmp_path / "audio")
    given = replace(recording, modified=with_mark(recording.modified, GivenMark(True, False, "ab" * 16)))
    fail(lake, given, ErrorCode.IO_ERROR)
    other = recording_at(audio_file(tmp_path / "audio", "b.wav"), tmp_path / "audio")
    fail(lake, other, ErrorCode.IO_ERROR, options='{"name": "x", "later": {}}')
    assert failed_groups(lake, ()) == ([], {given.uri: GIVEN, other.uri: UNREADABLE})
    groups, left = failed_groups(lake, (), profile=PROFILE)
    assert ([group.listed.num_rows for group in groups], list(left)) == ([1], [given.uri])

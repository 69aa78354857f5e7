"""Rescores as whole jobs: real files are decoded, members have no weights and say which samples they heard."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mmer_ray.errors import LakeError
from mmer_ray.lake.rescoring import Rescoring
from mmer_ray.runners import job, rescore
from mmer_ray.runners.job import JobOptions
from tests.runners.tiny_lakes import TinyEngines, another_model, files_of, profile, rows, score, speech

FELT = "SELECT recording_id, utterance_idx, label, valence FROM emotions WHERE scorer = '{}' ORDER BY ALL"


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> TinyEngines:
    return TinyEngines(monkeypatch)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    for index, bursts in enumerate(((0.02, 0.3), (0.2, 0.05, 0.4), (0.1,))):
        speech(tmp_path / "audio" / f"{index}.wav", bursts, index)
    return tmp_path / "audio"


@pytest.fixture
def lake(engines: TinyEngines, audio: Path, tmp_path: Path) -> Path:
    lake = tmp_path / "lake"
    assert score(audio, lake).num_scored == 3
    return lake


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(another_model(tmp_path))


def test_the_other_model_hears_the_very_same_samples_and_no_model_of_hearing_is_loaded(
    lake: Path, model: str, engines: TinyEngines
) -> None:
    (first,) = {row["scorer"] for row in rows(lake, "FROM emotions")}
    report = rescore.run(str(lake), Rescoring(emotion=model))
    assert (report.num_rescored, report.left, report.interrupted) == (3, (), False)
    assert engines.heard == [True, False]
    (second,) = report.scorers
    before, after = rows(lake, FELT.format(first)), rows(lake, FELT.format(second))
    assert len(before) == 6
    assert before == after, "a clip's loudness is its valence"
    assert f"`mmer models activate {second} --lake {lake} --corpus default`" in report.notes[0]
    seconds = dict(rows(lake, "SELECT stage_s FROM runs ORDER BY started_at DESC LIMIT 1")[0]["stage_s"])
    assert {name for name, spent in seconds.items() if spent} <= {"decode", "emotion", "link"}


@pytest.mark.slow
def test_a_job_with_that_model_finds_nothing_left_to_do(lake: Path, audio: Path, model: str) -> None:
    rescore.run(str(lake), Rescoring(emotion=model))
    options = JobOptions((str(audio),), str(lake), profile(f"emotion.model={model}"))
    assert job.prepare(options).num_todo == 0
    files = files_of(lake)
    again = rescore.run(str(lake), Rescoring(emotion=model))
    assert (again.num_rescored, again.num_done, again.run_ids) == (0, 3, ())
    assert files_of(lake) == files


def test_what_is_gone_or_was_replaced_stays_as_it_was_and_is_told(lake: Path, audio: Path, model: str) -> None:
    seen = "SELECT uri, status, recording_id, heard_key FROM recordings ORDER BY uri"
    before = rows(lake, seen)
    size = (audio / "1.wav").stat().st_size
    (audio / "0.wav").unlink()
    speech(audio / "1.wav", (0.3, 0.1, 0.2), seed=9)
    assert (audio / "1.wav").stat().st_size == size
    report = rescore.run(str(lake), Rescoring(emotion=model))
    assert report.num_rescored == 1
    reasons = {Path(one.uri).name: one.reason for one in report.left}
    assert reasons["0.wav"] == "the file is gone"
    assert reasons["1.wav"].startswith("changed_during_read: the file changed since it was heard")
    assert rows(lake, seen) == before
    assert rows(lake, "SELECT status FROM runs ORDER BY started_at DESC LIMIT 1") == [{"status": "finished"}]


@pytest.mark.slow
def test_hearing_again_gives_the_rows_that_are_there(lake: Path, engines: TinyEngines) -> None:
    queries = [
        f"SELECT * EXCLUDE (run_id, commit_id) FROM {name} ORDER BY ALL" for name in ("utterances", "recordings")
    ]
    before = [rows(lake, query) for query in queries]
    report = rescore.run(str(lake), Rescoring(stage="transcribe"))
    assert (report.num_rescored, engines.heard) == (3, [True, True])
    assert [rows(lake, query) for query in queries] == before


@pytest.mark.slow
def test_measures_are_made_again_without_a_model_and_without_the_sound(
    lake: Path, audio: Path, engines: TinyEngines
) -> None:
    for path in audio.iterdir():
        path.unlink()
    report = rescore.run(str(lake), Rescoring(stage="link"))
    assert (report.num_rescored, report.left, engines.heard) == (3, (), [True])


@pytest.mark.slow
def test_a_stop_between_two_portions_leaves_the_second_for_the_same_command(
    lake: Path, tmp_path: Path, model: str
) -> None:
    score(speech(tmp_path / "more" / "3.wav", (0.2,), 3), lake, "diarize.max_speakers=19")
    stop = threading.Event()
    first = rescore.run(
        str(lake), Rescoring(emotion=model), on_progress=lambda one: stop.set() if one.num_done else None, stop=stop
    )
    assert first.interrupted
    assert 0 < first.num_rescored < 4
    second = rescore.run(str(lake), Rescoring(emotion=model))
    assert (first.num_rescored + second.num_rescored, second.interrupted) == (4, False)


@pytest.mark.slow
def test_a_dry_run_says_what_a_run_would_do(lake: Path, model: str) -> None:
    before = files_of(lake)
    planned = rescore.prepare(str(lake), Rescoring(emotion=model))
    assert (planned.num_planned, planned.planned_s, planned.num_rescored) == (3, pytest.approx(15.0), 0)
    assert files_of(lake) == before


@pytest.mark.slow
def test_where_there_is_no_lake_there_is_nothing_to_ask(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="is not a lake"):
        rescore.run(str(tmp_path / "none"), Rescoring(stage="link"))

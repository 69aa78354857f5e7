"""Whole jobs with transcripts and turns that others made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from mmer_ray.demo.truth import CALLS
from mmer_ray.lake.queries import open_lake
from mmer_ray.profiles import load_profile
from mmer_ray.runners import job
from mmer_ray.runners.job import JobOptions, JobReport
from tests.runners.clips import cut_clips
from tests.transcripts.makers import rttm, whisperx

WORDS = [("given", 0.5, 1.0), ("words", 1.25, 1.75), ("only", 2.0, 2.5)]


def score(calls: Path, lake: Path, transcripts: Path | None = None, runner: str = "inprocess") -> JobReport:
    given = None if transcripts is None else str(transcripts)
    profile = load_profile("synthetic", [f"run.runner={runner}"])
    return job.run(JobOptions((str(calls),), str(lake), profile, transcripts=given))


def rows(lake: Path, sql: str) -> list[dict[str, Any]]:
    with open_lake(lake) as reader:
        found: list[dict[str, Any]] = reader.sql(sql).to_pylist()
    return found


def texts(lake: Path) -> dict[str, str]:
    """File name -> all that was said in it."""
    sql = """
        SELECT parse_filename(uri) AS name, string_agg(text, ' ' ORDER BY start_ms) AS text
        FROM recordings LEFT JOIN utterances USING (corpus, recording_id) GROUP BY uri
    """
    return {row["name"]: row["text"] for row in rows(lake, sql)}


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    folder = tmp_path / "calls"
    folder.mkdir()
    cut_clips(folder, 2)
    return folder


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Write given files; returns their folder."""

    def write(name: str, content: object) -> Path:
        folder = tmp_path / "transcripts"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return folder

    return write


def test_given_words_and_turns_are_the_answer_and_the_rest_is_computed(
    calls: Path, put: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("clip-00.json", whisperx(WORDS))
    put("clip-01.json", whisperx(WORDS, ["X", "Y", "Y"]))
    put("without.json", {"no": "transcript"})
    transcripts = put("clip-00.rttm", rttm([("A", 0.25, 1.1), ("B", 1.2, 2.75)]))

    def not_asked(*_: object) -> None:
        raise AssertionError("words and turns are given")

    monkeypatch.setattr("mmer_ray.recognizers.ctc.CtcRecognizer.transcribe", not_asked)
    monkeypatch.setattr("mmer_ray.diarizers.clustering.ClusteringDiarizer.diarize", not_asked)
    lake = tmp_path / "lake"
    report = score(calls, lake, transcripts)

    assert report.num_scored == 2
    assert set(texts(lake).values()) == {"given words only"}
    assert [row["num_speakers"] for row in rows(lake, "SELECT num_speakers FROM recordings")] == [2, 2]
    (keys, _) = rows(lake, "SELECT transcribe_key, diarize_key FROM results")
    assert all(key.startswith("given:") for key in keys.values())
    assert rows(lake, "SELECT count(*) AS n FROM active_emotions WHERE label IS NULL AND skip_reason IS NULL") == [
        {"n": 0}
    ]
    assert [row["skip_reason"] for row in rows(lake, "SELECT skip_reason FROM active_emotions")]
    assert report.warnings == (
        "1 files in the folder of transcripts belong to no recording of these sources: without.json",
    )


def test_a_given_transcript_is_another_input_than_the_recording_alone(
    calls: Path, put: Callable[..., Path], tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    assert score(calls, lake).num_scored == 2
    by_model = texts(lake)
    transcripts = put("clip-00.json", whisperx(WORDS))

    assert score(calls, lake, transcripts).num_scored == 1, "the one with a transcript"
    assert texts(lake) == {**by_model, "clip-00.wav": "given words only"}
    assert score(calls, lake, transcripts).run_id is None, "nothing changed"
    keys = rows(
        lake, "SELECT transcribe_key LIKE 'given:%' AS given, diarize_key LIKE 'given:%' AS turned FROM results"
    )
    assert sorted(row["given"] for row in keys) == [False, True]
    assert not any(row["turned"] for row in keys)

    put("clip-00.json", whisperx([("changed", 0.5, 1.0)]))
    assert score(calls, lake, transcripts).num_scored == 1
    assert texts(lake)["clip-00.wav"] == "changed"

    score(calls, lake)
    assert texts(lake) == by_model, "without its transcript a recording has the model's answer"


def test_equal_bytes_with_different_transcripts_are_heard_apart(
    calls: Path, put: Callable[..., Path], tmp_path: Path
) -> None:
    (calls / "clip-01.wav").write_bytes((calls / "clip-00.wav").read_bytes())
    put("clip-00.json", whisperx(WORDS))
    transcripts = put("clip-01.json", whisperx([("another", 0.5, 1.0)]))

    score(calls, tmp_path / "lake", transcripts)

    assert texts(tmp_path / "lake") == {"clip-00.wav": "given words only", "clip-01.wav": "another"}


def test_words_behind_the_end_are_left_out_and_flagged(calls: Path, put: Callable[..., Path], tmp_path: Path) -> None:
    transcripts = put("clip-00.json", whisperx([*WORDS, ("late", 100.0, 101.0)]))

    score(calls, tmp_path / "lake", transcripts)

    flags = {
        Path(row["uri"]).name: row["flags"] for row in rows(tmp_path / "lake", "SELECT uri, flags FROM recordings")
    }
    assert "transcript_mismatch" in flags["clip-00.wav"]
    assert "transcript_mismatch" not in flags["clip-01.wav"]


def test_a_recording_with_a_party_on_each_channel_fails_with_the_remedy(
    put: Callable[..., Path], tmp_path: Path
) -> None:
    call = min(CALLS.glob("*stereo.opus"), key=lambda path: path.stat().st_size)
    samples, rate_hz = soundfile.read(call, stop=48_000 * 4)
    folder = tmp_path / "stereo"
    folder.mkdir()
    soundfile.write(folder / "call.wav", samples, rate_hz)
    transcripts = put("call.json", whisperx(WORDS))

    report = score(folder, tmp_path / "lake", transcripts)

    assert (report.num_failed, report.num_scored, report.failures_by_code) == (1, 0, {"bad_channels": 1})
    (row,) = rows(tmp_path / "lake", "SELECT error_message FROM recordings")
    assert "score it without its transcript" in row["error_message"]


def test_what_is_given_reaches_the_actors_of_ray(
    ray_cluster: None, calls: Path, put: Callable[..., Path], tmp_path: Path
) -> None:
    transcripts = put("clip-00.json", whisperx(WORDS))

    score(calls, tmp_path / "lake", transcripts, "ray")

    assert texts(tmp_path / "lake")["clip-00.wav"] == "given words only"

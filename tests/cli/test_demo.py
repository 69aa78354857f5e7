"""`mmer demo` around a job that knows the truth. The figures themselves: tests/demo/test_evaluate.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.demo.truth import TrueCall, TrueTurn, read_truth
from mmer_ray.records import Recording, ScoredRecording, Utterance
from mmer_ray.runners import job
from mmer_ray.runners.job import JobOptions, JobReport
from mmer_ray.sources.listing import recordings_of
from mmer_ray.sources.sources import list_sources
from tests.cli.makers import Ended, said, scored_as, write_lake
from tests.lake.makers import failed

Mmer = Callable[..., Ended]
TRUTH = {call.file: call for call in read_truth()}
FAILED = "call_02_mono.opus"
DAYS = "SELECT day, isodow(any_value(day)) AS weekday, count(*) AS n FROM recordings GROUP BY day ORDER BY day"


def as_spoken(call: TrueCall) -> list[Utterance]:
    """What a perfect pipeline would answer."""
    names: dict[str, str] = {}
    return [_as_spoken(turn, names) for turn in call.turns]


def _as_spoken(turn: TrueTurn, names: dict[str, str]) -> Utterance:
    speaker = names.setdefault(turn.speaker, f"S{len(names) + 1}")
    p_angry = 0.9 if turn.feeling == "angry" else 0.0
    return said(turn.start_s, turn.end_s, turn.text, speaker, channel=turn.channel, label=turn.feeling, p_angry=p_angry)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[JobOptions]:
    """Let `job.run` write the truth into the lake; returns what it is asked."""
    options: list[JobOptions] = []

    def run(wanted: JobOptions, **_: Any) -> JobReport:
        options.append(wanted)
        recordings = _listed(wanted)
        write_lake(Path(wanted.lake), _answer, recordings)
        return JobReport("r", "ray", num_scored=len(recordings), audio_s=600.0, wall_s=30.0)

    monkeypatch.setattr(job, "run", run)
    return options


def _listed(wanted: JobOptions) -> list[Recording]:
    """The recordings that the job would find."""
    batches = list_sources(wanted.sources, wanted.corpus).batches()
    return [recording for batch in batches for recording in recordings_of(batch)]


def _answer(recording: Recording) -> ScoredRecording:
    call = TRUTH[Path(recording.uri).name]
    return scored_as(recording, as_spoken(call), call.duration_s)


def test_the_demo_scores_the_shipped_calls_on_ray_into_a_new_lake_that_it_names(
    mmer: Mmer, asked: list[JobOptions], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    ended = mmer("demo")

    (options,) = asked
    assert ended.code == 0
    assert [Path(one.uri).name for one in _listed(options)] == sorted(TRUTH)
    assert (options.profile.run.runner, options.profile.link.channel_roles) == ("ray", ("agent", "customer"))
    assert Path(options.lake).parent == tmp_path
    assert options.lake in ended.err
    assert f"mmer show --lake {options.lake} " in ended.out


def test_the_demo_prints_calls_the_worst_moment_and_the_measured_truth(
    mmer: Mmer, asked: list[JobOptions], tmp_path: Path
) -> None:
    out = mmer("demo", "--into", tmp_path / "lake").out

    assert all(name in out for name in TRUTH)
    assert "the worst moment: call_" in out
    lines = {line[:20].strip(): line[20:].split() for line in out.splitlines()}
    assert lines["words wrong (WER)"][:2] == ["0.0", "%"]
    assert lines["speakers wrong (DER)"][:2] == ["0.0", "%"]
    assert lines["speakers confused"][:2] == ["0.0", "%"]
    assert lines["emotions right (UA)"][:2] == ["100.0", "%"]


def test_the_printed_commands_run(mmer: Mmer, asked: list[JobOptions], tmp_path: Path) -> None:
    document = json.loads(mmer("demo", "--into", tmp_path / "lake", "--json").out)
    dashboard, show, query = document["next"]

    assert dashboard == f"mmer dashboard --lake {tmp_path / 'lake'}"
    assert mmer(*show.split()[1:]).code == 0
    assert "angry" in mmer("query", "--lake", tmp_path / "lake", query.split('"')[1]).out


def test_json_is_one_document_with_the_same_figures(mmer: Mmer, asked: list[JobOptions], tmp_path: Path) -> None:
    document = json.loads(mmer("demo", "--into", tmp_path / "lake", "--json").out)

    assert document["schema"] == "mmer.demo/1"
    assert document["measured"]["emotion_ua"] == 1.0
    assert document["measured"]["num_turns"] == sum(len(call.turns) for call in TRUTH.values())
    assert {one["name"] for one in document["calls"]} == set(TRUTH)
    assert document["job"]["num_scored"] == len(TRUTH)


def test_a_call_that_failed_counts_against_the_figures_and_ends_with_3(
    mmer: Mmer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(wanted: JobOptions, **_: Any) -> JobReport:
        recordings = _listed(wanted)
        write_lake(Path(wanted.lake), lambda one: failed(one) if one.uri.endswith(FAILED) else _answer(one), recordings)
        return JobReport("r", "ray", num_scored=19, num_failed=1)

    monkeypatch.setattr(job, "run", run)

    ended = mmer("demo", "--into", tmp_path / "lake", "--json")
    document = json.loads(ended.out)

    assert ended.code == 3
    assert document["measured"]["wer"] == pytest.approx(_share_of_words([FAILED]), rel=1e-6)
    assert document["measured"]["der"] > 0


def _share_of_words(names: Sequence[str]) -> float:
    num_words = {name: sum(len(turn.text.split()) for turn in call.turns) for name, call in TRUTH.items()}
    return sum(num_words[name] for name in names) / sum(num_words.values())


def test_the_calls_lie_on_ten_working_days_and_their_corpus_has_its_facts(
    mmer: Mmer, asked: list[JobOptions], tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    mmer("demo", "--into", lake, "--quiet")

    days = json.loads(mmer("query", "--lake", lake, "--format", "json", DAYS).out)["rows"]
    (facts,) = json.loads(mmer("lake", "corpus", "--lake", lake, "--json").out)["corpora"]

    assert [row["n"] for row in days] == [2] * 10
    assert {row["weekday"] for row in days} == {1, 2, 3, 4, 5}
    assert "synthetic" in facts["legal_basis"]
    assert facts["notice_given"] is True

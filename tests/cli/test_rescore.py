"""`mmer rescore`: what it asks for, what it says and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.lake.hearings import ERASED
from mmer_ray.lake.rescoring import Left, Rescoring
from mmer_ray.runner import Runner
from mmer_ray.runners import rescore
from mmer_ray.runners.rescore import RescoreReport
from tests.cli.makers import Ended

Run = Callable[..., Ended]
Asked = list[tuple[str, Rescoring]]
DONE = RescoreReport(
    scorers=("mmer-2",),
    num_planned=3,
    planned_s=90.0,
    num_done=1,
    run_ids=("r",),
    runners=(Runner.INPROCESS,),
    num_rescored=3,
    computed_s=90.0,
    wall_s=10.0,
    notes=(
        "corpus calls follows another emotion model: `mmer models activate mmer-2 --lake l --corpus calls` moves it",
    ),
)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Callable[[RescoreReport], Asked]:
    """Let `rescore.run` answer with a report; returns what it is asked."""
    asked: Asked = []

    def use(report: RescoreReport) -> Asked:
        def run(lake: str, wanted: Rescoring, **_: Any) -> RescoreReport:
            asked.append((lake, wanted))
            return report

        monkeypatch.setattr(rescore, "run", run)
        monkeypatch.setattr(rescore, "prepare", run)
        return asked

    return use


def with_left(**changes: Any) -> RescoreReport:
    left = (Left("calls", "/a.wav", "the file is gone"), Left("calls", "/b.wav", "the file is gone"))
    return RescoreReport(**{**vars(DONE), "left": left, **changes})


def test_all_arguments_reach_the_job(mmer: Run, jobs: Callable[[RescoreReport], Asked]) -> None:
    asked = jobs(DONE)
    options = ("--corpus", "calls", "--where", "duration_ms > 9", "--limit", 2, "--set", "emotion.batch_s=9")
    mmer("rescore", "--lake", "l", "--emotion", "folder", *options, "--runner", "ray", "--root", "/data")
    ((lake, wanted),) = asked
    assert (lake, wanted.emotion, wanted.stage, wanted.corpus, wanted.where) == (
        *("l", "folder", None),
        *("calls", "duration_ms > 9"),
    )
    assert (wanted.limit, wanted.settings, wanted.roots) == (2, ("emotion.batch_s=9", "run.runner=ray"), ("/data",))
    mmer("rescore", "--lake", "l", "--from", "decode", "--profile", "synthetic")
    assert asked[1][1].profile is not None
    assert (asked[1][1].begin, asked[1][1].profile.name) == ("decode", "synthetic")


def test_it_says_what_was_done_and_which_command_lets_a_corpus_follow(
    mmer: Run, jobs: Callable[[RescoreReport], Asked]
) -> None:
    jobs(DONE)
    done = mmer("rescore", "--lake", "l", "--emotion", "m")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "3 rescored, 1 with nothing to do"
    assert lines[1] == "1 min 30 s of audio in 10.0 s (inprocess)"
    assert any("mmer models activate mmer-2 --lake l --corpus calls" in line for line in lines)


def test_recordings_that_were_not_asked_end_it_with_3_and_their_reasons(
    mmer: Run, jobs: Callable[[RescoreReport], Asked]
) -> None:
    jobs(with_left())
    done = mmer("rescore", "--lake", "l", "--emotion", "m")
    assert done.code == 3
    assert "2 recordings not rescored; the earlier answers stay" in done.out
    assert "2 the file is gone, such as /a.wav" in done.out
    document = json.loads(mmer("rescore", "--lake", "l", "--emotion", "m", "--json").out)
    assert (document["schema"], document["left_by_reason"]) == ("mmer.rescore/1", {"the file is gone": 2})
    assert document["left"][1] == {"corpus": "calls", "uri": "/b.wav", "reason": "the file is gone"}
    jobs(with_left(interrupted=True))
    assert mmer("rescore", "--lake", "l", "--emotion", "m").code == 130


def test_what_was_erased_is_told_and_no_failure(mmer: Run, jobs: Callable[[RescoreReport], Asked]) -> None:
    jobs(with_left(left=(Left("calls", "/a.wav", ERASED),)))
    done = mmer("rescore", "--emotion", "m", "--lake", "l")
    assert done.code == 0
    assert ERASED in done.out


def test_a_dry_run_says_what_would_be_done(mmer: Run, jobs: Callable[[RescoreReport], Asked]) -> None:
    jobs(DONE)
    done = mmer("rescore", "--lake", "l", "--emotion", "m", "--dry-run")
    assert done.out.splitlines()[:2] == [
        "to rescore    3 recordings, 1 min 30 s of audio",
        "nothing to do 1 recording",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ((), 2, "name an emotion model"),
        (("--from", "feel"), 2, "no stage is called so"),
        (("--emotion", "m", "--set", "transcribe.beam_width=1"), 2, "that stage is not done again"),
        (("--from", "link"), 4, "is not a lake"),
    ],
)
def test_what_cannot_be_done_is_refused(
    mmer: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, why: str
) -> None:
    ended = mmer("rescore", "--lake", tmp_path / "none", *arguments)
    assert (ended.code, why in ended.err) == (code, True), ended.err

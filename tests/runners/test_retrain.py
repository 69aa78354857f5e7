"""The loop from labelled speech to a lake that follows the new model. Training is made up, everything after is real."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.cli import main
from mmer_ray.errors import LakeError, PreflightError, UsageError
from mmer_ray.runner import Runner
from mmer_ray.runners import retrain as loop
from mmer_ray.runners import training_run
from mmer_ray.runners.retrain import Ended, Retrained, Retraining, Watch, retrain
from mmer_ray.runners.train import Trained
from mmer_ray.runners.training_run import Finished
from mmer_ray.stages.keys import keys_of
from mmer_ray.training.family_recipes import recipe_of
from mmer_ray.training.fresh_model import Architecture
from mmer_ray.training.registry.registry import Registry
from mmer_ray.training.registry.run_folder import read_run
from mmer_ray.training.registry.verdict import Gate
from mmer_ray.training.run import Asked
from mmer_ray.training.whole_files import locked_at_once
from tests.runners.tiny_lakes import TinyEngines, another_model, files_of, profile, rows, score, speech
from tests.training.registry.makers import answers, run_folder

ACTIVE = "SELECT DISTINCT scorer FROM active_emotions"


@dataclass
class Training:
    """Takes the place of `training_run.run`: a finished run of a chosen skill, around a model that loads."""

    folder: Path
    skill: float = 0.8
    num_calls: int = 0
    interrupted: bool = False

    def run(self, asked: Asked, into: Path, num_workers: int, **_: Any) -> Finished:
        self.num_calls += 1
        if self.interrupted:
            return Finished(Trained(0, 0, 0.0, True), None, ())
        made = run_folder(into, answers(self.skill, chance=self.num_calls))
        model = another_model(self.folder, f"model {self.num_calls}")
        shutil.copytree(model, made / "model", dirs_exist_ok=True)
        return Finished(Trained(1, 0, 0.0, False), read_run(made).evaluation, ())


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Training:
    made = Training(tmp_path)
    monkeypatch.setattr(training_run, "run", made.run)
    return made


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three recordings (`audio`), their labels (`labels.csv`) and the lake that they were scored into."""
    folder = tmp_path_factory.mktemp("scored")
    for index in range(3):
        speech(folder / "audio" / f"{index}.wav", (0.1,), index)
    (folder / "labels.csv").write_text(
        "path,speaker,label\n" + "".join(f"audio/{n}.wav,S{n},angry\n" for n in range(3))
    )
    with pytest.MonkeyPatch.context() as patch:
        TinyEngines(patch)
        score(folder / "audio", folder / "lake")
    return folder


@pytest.fixture
def wanted(tmp_path: Path, scored: Path, training: Training, monkeypatch: pytest.MonkeyPatch) -> Retraining:
    """The lake of three recordings, which are labelled too, and a registry without a model."""
    TinyEngines(monkeypatch)
    monkeypatch.setenv("MMER_REGISTRY", str(tmp_path / "registry"))
    shutil.copytree(scored / "lake", tmp_path / "lake")
    asked = Asked(Architecture("late_fusion"), recipe_of("late_fusion", "tiny"), str(scored / "labels.csv"))
    return Retraining(asked, tmp_path / "runs", str(tmp_path / "lake"), Gate(floor=0.5), runner=Runner.INPROCESS)


def do(wanted: Retraining, stop: threading.Event | None = None) -> Retrained:
    return retrain(wanted, Watch(lambda line: None, stop))


def states(wanted: Retraining, folder: Path) -> dict[str, bytes]:
    """Every file of the lake, the registry and the runs."""
    return {**files_of(Path(wanted.lake)), **files_of(folder / "registry"), **files_of(wanted.into)}


def test_the_loop_ends_with_a_lake_whose_views_follow_the_new_model(wanted: Retraining) -> None:
    ((before,),) = [row.values() for row in rows(Path(wanted.lake), ACTIVE)]
    found = do(wanted)
    assert found.promotion is not None
    assert found.rescored is not None
    assert (found.ended, found.moved, found.rescored.num_rescored) == (Ended.FOLLOWED, ("default",), 3)
    assert rows(Path(wanted.lake), ACTIVE) == [{"scorer": found.promotion.scorer}]
    assert Registry().active() == found.promotion.name
    assert {row["scorer"] for row in rows(Path(wanted.lake), "FROM emotions")} == {before, found.promotion.scorer}
    by_name = keys_of(profile(f"emotion.model={found.promotion.name}"))
    assert by_name == keys_of(profile(f"emotion.model={Registry().model_folder(found.promotion.name)}"))
    assert by_name.scorer == found.promotion.scorer


def test_the_same_call_again_trains_writes_and_moves_nothing(
    wanted: Retraining, training: Training, tmp_path: Path
) -> None:
    first = do(wanted)
    before = states(wanted, tmp_path)
    second = do(wanted)
    assert (second.ended, second.run, second.moved, training.num_calls) == (Ended.FOLLOWED, first.run, (), 1)
    assert states(wanted, tmp_path) == before


@pytest.mark.parametrize(
    "point", ["retrain_trained", pytest.param("retrain_promoted", marks=pytest.mark.slow), "retrain_rescored"]
)
def test_after_a_kill_between_two_steps_the_same_call_does_the_rest(
    point: str, wanted: Retraining, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(name: str) -> None:
        if name == point:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "failpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            do(wanted)
    found = do(wanted)
    assert (found.ended, found.moved, training.num_calls) == (Ended.FOLLOWED, ("default",), 1)
    assert len(rows(Path(wanted.lake), "SELECT DISTINCT scorer FROM emotions")) == 2


def test_a_refused_model_leaves_lake_and_registry_as_they_are(
    wanted: Retraining, training: Training, tmp_path: Path
) -> None:
    training.skill = 0.3
    before = files_of(Path(wanted.lake))
    found = do(wanted)
    assert (found.ended, found.rescored, Registry().names()) == (Ended.REFUSED, None, [])
    assert files_of(Path(wanted.lake)) == before


def test_other_data_are_another_run_and_the_better_model_is_followed(
    wanted: Retraining, training: Training, scored: Path
) -> None:
    first = do(wanted)
    labels = scored / "corrected.csv"
    labels.write_text((scored / "labels.csv").read_text().replace("angry", "sad", 1))
    training.skill = 0.9
    second = do(replace(wanted, asked=replace(wanted.asked, data=str(labels))))
    assert first.run != second.run
    assert first.promotion is not None
    assert second.promotion is not None
    assert second.promotion.verdict.paired is not None
    assert second.promotion.verdict.paired.active == first.promotion.name
    assert rows(Path(wanted.lake), ACTIVE) == [{"scorer": second.promotion.scorer}]


@pytest.mark.slow
def test_a_model_that_was_taken_back_does_not_come_again_by_itself(wanted: Retraining, training: Training) -> None:
    first = do(wanted)
    training.skill = 0.9
    better = do(replace(wanted, asked=replace(wanted.asked, protocol="kfold3")))
    assert first.promotion is not None
    assert main(["models", "activate", first.promotion.name, "--lake", wanted.lake]) == 0
    assert main(["models", "activate", first.promotion.name]) == 0
    again = do(replace(wanted, asked=replace(wanted.asked, protocol="kfold3")))
    assert (better.ended, again.ended, again.run) == (Ended.FOLLOWED, Ended.SUPERSEDED, better.run)
    assert rows(Path(wanted.lake), ACTIVE) == [{"scorer": first.promotion.scorer}]


def test_recordings_that_cannot_be_asked_keep_the_lake_where_it_is_unless_so_many_are_allowed(
    wanted: Retraining, scored: Path
) -> None:
    before = rows(Path(wanted.lake), ACTIVE)
    labels = scored / "two.csv"
    labels.write_text("".join((scored / "labels.csv").read_text().splitlines(keepends=True)[:-1]))
    wanted = replace(wanted, asked=replace(wanted.asked, data=str(labels)))
    gone = (scored / "audio" / "2.wav").rename(scored / "2.wav")
    try:
        assert do(wanted).ended == Ended.LEFT
        assert rows(Path(wanted.lake), ACTIVE) == before
        assert do(replace(wanted, max_left=0.4)).ended == Ended.FOLLOWED
        assert rows(Path(wanted.lake), ACTIVE) != before
    finally:
        gone.rename(scored / "audio" / "2.wav")


def test_a_stopped_training_promotes_nothing(wanted: Retraining, training: Training) -> None:
    training.interrupted = True
    assert do(wanted).ended == Ended.INTERRUPTED
    assert Registry().names() == []


def test_a_stop_before_the_rescore_leaves_it_to_the_next_call(
    wanted: Retraining, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    plain: Callable[[str], None] = loop.failpoint

    def stopped(name: str) -> None:
        if name == "retrain_promoted":
            stop.set()
        plain(name)

    monkeypatch.setattr(loop, "failpoint", stopped)
    assert do(wanted, stop).ended == Ended.INTERRUPTED
    assert do(wanted).ended == Ended.FOLLOWED


def test_a_name_that_another_model_has_is_refused_before_anything_is_trained(
    wanted: Retraining, training: Training
) -> None:
    named = replace(wanted, name="calls")
    assert do(named).ended == Ended.FOLLOWED
    assert do(named).ended == Ended.FOLLOWED
    later = replace(named, asked=replace(wanted.asked, seeds=(1,)))
    with pytest.raises(UsageError, match="--name calls: another model is registered under this name"):
        do(later)
    assert training.num_calls == 1


def test_one_process_at_a_time_works_in_a_folder(wanted: Retraining) -> None:
    wanted.into.mkdir()
    with locked_at_once(wanted.into), pytest.raises(PreflightError, match="another process works in"):
        do(wanted)


def test_without_a_lake_nothing_is_trained(wanted: Retraining, training: Training, tmp_path: Path) -> None:
    with pytest.raises(LakeError):
        do(replace(wanted, lake=str(tmp_path / "none")))
    assert training.num_calls == 0

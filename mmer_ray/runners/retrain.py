"""The loop closed: train, evaluate, promote, rescore, activate. Each step asks what is there already.

So the same call may be made any number of times, after a kill at any point too: what is done is found, what is not is
done. Other data, another recipe or other folds are another run, in a folder of its own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path

from mmer_ray.failpoint import failpoint
from mmer_ray.lake.activation import activate, corpora_to_move
from mmer_ray.lake.labelled import corpus_at
from mmer_ray.lake.rescoring import Rescoring
from mmer_ray.lake.store import Lake
from mmer_ray.models.layout import CARD_NAME
from mmer_ray.runner import Runner
from mmer_ray.runners import rescore, training_run
from mmer_ray.runners.rescore import RescoreReport
from mmer_ray.runners.tally import OnProgress as OnRescoring
from mmer_ray.runners.train import OnProgress as OnTraining
from mmer_ray.training.evaluation.result import EVALUATION_NAME
from mmer_ray.training.registry.promotion import Promotion, free_name, promote
from mmer_ray.training.registry.registry import Registry
from mmer_ray.training.registry.run_folder import read_run
from mmer_ray.training.registry.verdict import Gate
from mmer_ray.training.run import MODEL, Asked
from mmer_ray.training.utterances import Corpus
from mmer_ray.training.whole_files import locked_at_once

RUN_DIGITS = 12


class Ended(StrEnum):
    """How a retraining ended."""

    FOLLOWED = "followed"
    """The lake follows the new model, now or since an earlier call."""
    INTERRUPTED = "interrupted"
    REFUSED = "refused"
    """By the gate: the lake stays as it is."""
    SUPERSEDED = "superseded"
    """Another model was promoted since: the lake stays as it is."""
    LEFT = "left"
    """Too many recordings could not be asked again: the lake has the new answers and follows the earlier model."""


@dataclass(frozen=True)
class Retraining:
    """What the loop is run with."""

    asked: Asked
    """What is trained, on what."""
    into: Path
    """Where runs lie, each in a folder of its own."""
    lake: str
    gate: Gate
    name: str | None = None
    """Of the model in the registry; None: family and digest."""
    num_workers: int = 1
    """Processes that train one model together."""
    runner: Runner = Runner.AUTO
    """Of the rescore."""
    max_left: float = 0.0
    """The share of the lake's recordings that may stay without the new model's answers, such as files that are gone."""


@dataclass(frozen=True)
class Retrained:
    """What became of it."""

    ended: Ended
    run: Path
    promotion: Promotion | None = None
    """None: it was stopped before."""
    rescored: RescoreReport | None = None
    moved: tuple[str, ...] = ()
    """Corpora that follow the new model and did not before."""


class Watch:
    """Who looks on: what is told, and what may stop it."""

    def __init__(
        self,
        tell: Callable[[str], None],
        stop: threading.Event | None = None,
        on_training: OnTraining | None = None,
        on_rescoring: OnRescoring | None = None,
    ) -> None:
        self.tell, self.stop = tell, stop or threading.Event()
        self.on_training, self.on_rescoring = on_training, on_rescoring


def retrain(wanted: Retraining, watch: Watch) -> Retrained:
    """Run the loop as far as it goes.

    Raises `UsageError` for data, a gate or a name that cannot be meant, `LakeError` where there is no lake or another
    process writes it, `PreflightError` where another process runs this loop in the same folder, and as its steps.
    """
    Lake(wanted.lake).require_existing()
    wanted.into.mkdir(parents=True, exist_ok=True)
    with locked_at_once(wanted.into):
        run = _train(wanted, watch)
        if run is None or watch.stop.is_set():
            return Retrained(Ended.INTERRUPTED, run or _run_folder(wanted))
        failpoint("retrain_trained")
        promotion = _promote(wanted, run, watch)
        done = Retrained(Ended.REFUSED, run, promotion)
        if not promotion.promoted:
            return done
        if promotion.active != promotion.name:
            watch.tell(f"rescore: left out, {promotion.active} is the active model since")
            return replace(done, ended=Ended.SUPERSEDED)
        failpoint("retrain_promoted")
        return _follow(wanted, done, promotion, watch)


def run_name(asked: Asked, corpus: Corpus) -> str:
    """Name a run by what decides its models: family, and a digest over all that is asked and the data."""
    table = asdict(asked) | {"data": corpus.digest, "corpus": corpus.name}
    digest = blake2b(json.dumps(table, sort_keys=True).encode(), digest_size=16).hexdigest()
    return f"{asked.architecture.family}-{digest[:RUN_DIGITS]}"


def _run_folder(wanted: Retraining) -> Path:
    asked = wanted.asked
    corpus = corpus_at(Path(asked.data).absolute(), asked.kind, asked.classes)
    return wanted.into / run_name(asked, corpus)


def _train(wanted: Retraining, watch: Watch) -> Path | None:
    """Train and evaluate, unless that is done; None where it was stopped."""
    folder = _run_folder(wanted)
    # The card is written last.
    if (folder / MODEL / CARD_NAME).is_file() and (folder / EVALUATION_NAME).is_file():
        watch.tell(f"train: done before, in {folder}")
        return folder
    if wanted.name is not None:
        # Asked before hours of training, not after.
        free_name(Registry(), wanted.name)
    watch.tell(f"train: {wanted.asked.architecture.family} on {wanted.asked.data}, into {folder}")
    finished = training_run.run(
        wanted.asked,
        folder,
        wanted.num_workers,
        note=watch.tell,
        on_progress=watch.on_training,
        stop=watch.stop,
    )
    return None if finished.trained.interrupted else folder


def _promote(wanted: Retraining, folder: Path, watch: Watch) -> Promotion:
    run = read_run(folder)
    measures = run.evaluation.metrics
    watch.tell(
        f"evaluate: {', '.join(f'{name} {measures[name].value:.3f}' for name in ('ua', 'wa') if name in measures)}"
    )
    found = promote(Registry(), run, wanted.gate, wanted.name)
    if not found.promoted:
        watch.tell(f"promote: {found.name} is refused: {'; '.join(found.verdict.reasons)}")
    else:
        watch.tell(f"promote: {found.name} {'is the active model' if found.is_new else 'was promoted before'}")
    return found


def _follow(wanted: Retraining, done: Retrained, promotion: Promotion, watch: Watch) -> Retrained:
    """Rescore the lake and let it follow, unless that is done."""
    settings = () if wanted.runner == Runner.AUTO else (f"run.runner={wanted.runner}",)
    asked = Rescoring(emotion=promotion.name, settings=settings)
    report = rescore.run(wanted.lake, asked, on_progress=watch.on_rescoring, stop=watch.stop)
    num_all = report.num_rescored + report.num_done + len(report.left)
    watch.tell(
        f"rescore: {report.num_rescored} recordings, {report.num_done} had its answers, {len(report.left)} left out"
    )
    done = replace(done, rescored=report)
    if report.interrupted:
        return replace(done, ended=Ended.INTERRUPTED)
    if len(report.left) > wanted.max_left * num_all:
        watch.tell(f"activate: left out, {len(report.left)} of {num_all} recordings lack its answers")
        return replace(done, ended=Ended.LEFT)
    failpoint("retrain_rescored")
    moved = _activate(wanted.lake, promotion.scorer)
    watch.tell(f"activate: {', '.join(moved)} follows {promotion.scorer}" if moved else "activate: done before")
    return replace(done, ended=Ended.FOLLOWED, moved=moved)


def _activate(address: str, scorer: str) -> tuple[str, ...]:
    """Let every corpus with answers of a model follow it; returns those that did not yet. Nothing is written where all
    of them do."""
    lake = Lake(address)
    waiting = corpora_to_move(lake, scorer)
    if waiting:
        activate(lake, scorer)
    return tuple(waiting)

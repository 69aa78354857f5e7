"""A whole run of `mmer train`: folds with every seed, the final model on all speakers, and the evaluation."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmer_ray.lake.labelled import corpus_at
from mmer_ray.models.families import load_emotion_model
from mmer_ray.models.folders import write_temperature
from mmer_ray.models.layout import CARD_NAME
from mmer_ray.runners.baseline_systems import Note, baselines_on
from mmer_ray.runners.run_evaluation import evaluate_folds, run_predictions
from mmer_ray.runners.train import OnProgress, Trained, train
from mmer_ray.training.evaluation.calibrated import fit_temperature
from mmer_ray.training.evaluation.report import write_report
from mmer_ray.training.evaluation.result import EVALUATION_NAME, Evaluation, read_evaluation
from mmer_ray.training.folds import protocol
from mmer_ray.training.leaks import check
from mmer_ray.training.one_fold import FoldTask, num_epochs_of, speech_weight_of
from mmer_ray.training.run import Asked, RunFolder
from mmer_ray.training.run_card import card_of
from mmer_ray.training.utterances import Corpus, Split
from mmer_ray.training.whole_files import locked_at_once, write_whole

ALL_SPEAKERS = "all speakers"
"""Name of the final model's split, which has no test set."""


@dataclass(frozen=True)
class Prepared:
    """A run before anything is trained."""

    run: RunFolder
    asked: Asked
    corpus: Corpus
    splits: tuple[Split, ...]
    leaks: tuple[str, ...]
    """What tests share with their trainings, a line each."""

    @property
    def tasks(self) -> list[FoldTask]:
        """The trainings of all folds and seeds."""
        labels = self.corpus.labels
        return [
            FoldTask(self.asked, labels, split, seed, self.run.fold(seed, split.name), features=self.run.features)
            for seed in self.asked.seeds
            for split in self.splits
        ]


@dataclass(frozen=True)
class Finished:
    """What came out of a run."""

    trained: Trained
    """Of the folds, and the final model where it was reached."""
    evaluation: Evaluation | None
    """None: the run was interrupted before all folds were there."""
    leaks: tuple[str, ...]


def prepare(asked: Asked, into: Path) -> Prepared:
    """Read the corpus, deal the folds, look for leaks and write `run.json`.

    Raises `UsageError` for a corpus, a protocol or a folder that cannot be meant, and for a speaker in two parts.
    """
    corpus = corpus_at(Path(asked.data).absolute(), asked.kind, asked.classes)
    splits = tuple(protocol(asked.protocol, corpus))
    leaks = tuple(line for split in splits for line in check(split).lines())
    run = RunFolder(into)
    run.begin(asked, corpus, splits)
    return Prepared(run, asked, corpus, splits, leaks)


def run(
    asked: Asked,
    into: Path,
    num_workers: int,
    *,
    note: Note,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Finished:
    """Do all of a run that is not done: safe to repeat. Setting `stop` ends it; the next call goes on.

    `note` is told which baselines cannot be had. Raises as `prepare` and as `runners.train.train`, and `PreflightError`
    while another process trains in the same folder.
    """
    prepared = prepare(asked, into)
    with locked_at_once(prepared.run.folder):
        trained = train(prepared.tasks, num_workers, on_progress=on_progress, stop=stop)
        if trained.interrupted:
            return Finished(trained, None, prepared.leaks)
        evaluation = _evaluation(prepared, note, is_new=trained.num_trained > 0)
        final = _final_task(prepared)
        last = train([final], num_workers, on_progress=on_progress, stop=stop)
        if not last.interrupted:
            _complete(prepared, final, evaluation)
    return Finished(_together(trained, last), evaluation, prepared.leaks)


def _evaluation(prepared: Prepared, note: Note, *, is_new: bool) -> Evaluation:
    """What the folds are worth, beside the baselines; of folds that were done before, as it was written then."""
    run, corpus, splits = prepared.run, prepared.corpus, prepared.splits
    if not is_new and (run.folder / EVALUATION_NAME).is_file():
        return read_evaluation(run.folder / EVALUATION_NAME)
    test, _ = run_predictions(run)
    found = evaluate_folds(run, corpus, splits, baselines_on(splits, test[0].labels, note))
    write_report(run.folder, found)
    return found


def _complete(prepared: Prepared, final: FoldTask, evaluation: Evaluation) -> None:
    """Give the final model its temperature and its card, which is written last."""
    run = prepared.run
    _, development = run_predictions(run)
    temperature = fit_temperature(development)
    write_temperature(run.model, temperature)
    # Loaded as a scorer will load it: what cannot be read must not be called finished.
    load_emotion_model(run.model)
    card = card_of(prepared.asked, prepared.corpus, evaluation, final, temperature)
    write_whole(run.model / CARD_NAME, card)


def _together(folds: Trained, final: Trained) -> Trained:
    return Trained(
        folds.num_trained + final.num_trained,
        folds.num_done_before + final.num_done_before,
        folds.wall_s + final.wall_s,
        final.interrupted,
    )


def _final_task(prepared: Prepared) -> FoldTask:
    """The training on all speakers: nobody is left to choose on, so that it takes as long as the folds' choice did."""
    recipe = prepared.asked.recipe
    if recipe.selection == "best":
        epochs = statistics.median(num_epochs_of(task.folder) for task in prepared.tasks)
        recipe = replace(recipe, selection="last", num_epochs=round(epochs))
    asked = replace(prepared.asked, recipe=recipe, oracle=False)
    everybody = Split(ALL_SPEAKERS, prepared.corpus.utterances, (), ())
    run = prepared.run
    return FoldTask(
        asked,
        prepared.corpus.labels,
        everybody,
        asked.seeds[0],
        run.final,
        run.model,
        _speech_weight(prepared.tasks),
        run.features,
    )


def _speech_weight(folds: Sequence[FoldTask]) -> float | None:
    """What the folds of `late_fusion` chose, in the middle."""
    if folds[0].asked.architecture.is_head:
        return None
    chosen = [weight for task in folds if (weight := speech_weight_of(task.folder)) is not None]
    return statistics.median(chosen) if chosen else None

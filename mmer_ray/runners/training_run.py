"""A whole run of `mmer train`: folds with every seed, the final model on all speakers, and the evaluation."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmer_ray.models.families import load_emotion_model
from mmer_ray.models.folders import write_temperature
from mmer_ray.models.layout import CARD_NAME
from mmer_ray.runners.train import OnProgress, Trained, train
from mmer_ray.training.clips import load_clip
from mmer_ray.training.corpora.reading import read_corpus
from mmer_ray.training.evaluation import baselines
from mmer_ray.training.evaluation.calibrated import fit_temperature
from mmer_ray.training.evaluation.comparison import OtherSystem
from mmer_ray.training.evaluation.evaluate import Conditions, evaluate
from mmer_ray.training.evaluation.report import write_report
from mmer_ray.training.evaluation.result import Evaluation
from mmer_ray.training.folds import protocol
from mmer_ray.training.leaks import check
from mmer_ray.training.one_fold import FoldTask, num_epochs_of
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.predictions_file import read_predictions
from mmer_ray.training.run import DEVELOPMENT, TEST, Asked, RunFolder
from mmer_ray.training.run_card import card_of
from mmer_ray.training.utterances import Corpus, Split

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
    corpus = read_corpus(Path(asked.data).absolute(), asked.kind)
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
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Finished:
    """Do all of a run that is not done: safe to repeat. Setting `stop` ends it; the next call goes on.

    Raises as `prepare` and as `runners.train.train`.
    """
    prepared = prepare(asked, into)
    trained = train(prepared.tasks, num_workers, on_progress=on_progress, stop=stop)
    if trained.interrupted:
        return Finished(trained, None, prepared.leaks)
    test, development = (_read(prepared.tasks, name) for name in (TEST, DEVELOPMENT))
    evaluation = _evaluate(prepared, test, development)
    final = _final_task(prepared)
    last = train([final], num_workers, on_progress=on_progress, stop=stop)
    both = Trained(
        trained.num_trained + last.num_trained,
        trained.num_done_before + last.num_done_before,
        trained.wall_s + last.wall_s,
        last.interrupted,
    )
    if not last.interrupted:
        temperature = fit_temperature(development)
        write_temperature(prepared.run.model, temperature)
        # Loaded as a scorer will load it: what cannot be read must not be called finished.
        load_emotion_model(prepared.run.model)
        card = card_of(asked, prepared.corpus, evaluation, final, temperature)
        (prepared.run.model / CARD_NAME).write_text(card, encoding="utf-8")
    return Finished(both, evaluation, prepared.leaks)


def _read(tasks: Sequence[FoldTask], name: str) -> list[Predictions]:
    return [read_predictions(task.folder / name) for task in tasks if (task.folder / name).is_file()]


def _evaluate(prepared: Prepared, test: Sequence[Predictions], development: Sequence[Predictions]) -> Evaluation:
    asked = prepared.asked
    found = evaluate(
        test,
        f"{asked.architecture.family} {asked.architecture.size}",
        prepared.corpus,
        Conditions(protocol=asked.protocol, oracle=asked.oracle, num_left_out=prepared.corpus.left_out),
        development=development,
        splits=prepared.splits,
        others=_baselines(prepared, test[0].labels),
    )
    write_report(prepared.run.folder, found)
    return found


def _baselines(prepared: Prepared, labels: tuple[str, ...]) -> dict[str, OtherSystem]:
    """What the system must beat, on the same folds."""
    splits = prepared.splits
    found = {"majority": baselines.majority(splits, labels)}
    if all(one.text for one in prepared.corpus.utterances):
        found["transcript look-up"] = baselines.transcript_look_up(splits, labels)
        found["words alone"] = baselines.words_alone(splits, labels)
    found["acoustic statistics"] = baselines.acoustic_statistics(splits, labels, load_clip)
    return found


def _final_task(prepared: Prepared) -> FoldTask:
    """The training on all speakers: nobody is left to choose on, so that it takes as long as the folds' choice did."""
    recipe = prepared.asked.recipe
    if recipe.selection == "best":
        epochs = statistics.median(num_epochs_of(task.folder) for task in prepared.tasks)
        recipe = replace(recipe, selection="last", num_epochs=round(epochs))
    asked = replace(prepared.asked, recipe=recipe, oracle=False)
    everybody = Split(ALL_SPEAKERS, prepared.corpus.utterances, (), ())
    run = prepared.run
    return FoldTask(asked, prepared.corpus.labels, everybody, asked.seeds[0], run.final, run.model, run.features)

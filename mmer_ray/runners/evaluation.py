"""Evaluations as they are asked for, on labelled speech: of a run of `mmer train`, of a model, of a scored lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mmer_ray.errors import UsageError
from mmer_ray.lake.labelled import corpus_at, read_labelled
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.scored import answers_about
from mmer_ray.lake.store import Lake
from mmer_ray.runners.baseline_systems import Note, baselines_on
from mmer_ray.runners.model_predictions import ask_model
from mmer_ray.runners.origin import origin_of
from mmer_ray.runners.run_evaluation import evaluate_folds, run_predictions
from mmer_ray.training.asr_texts import read_asr_texts, with_texts, word_error_rate
from mmer_ray.training.corpora.classes import Classes
from mmer_ray.training.evaluation.comparison import OtherSystem
from mmer_ray.training.evaluation.evaluate import Conditions, evaluate
from mmer_ray.training.evaluation.result import ClusterKind, Evaluation, TextCondition
from mmer_ray.training.folds import protocol
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.predictions_file import read_predictions, write_predictions
from mmer_ray.training.run import RunFolder
from mmer_ray.training.utterances import Corpus, Split

PREDICTIONS_NAME = "predictions.parquet"
"""What an evaluation of a model or a lake leaves beside its report, for later ones to be compared with."""
NO_WORD_TIMES = (
    "No word error rate: an utterance of the lake has no times of its words, so that it cannot be cut to labels."
)
WITHHELD = "{} labels lie below the model's least confidence: scoring withholds them, here they count."


@dataclass(frozen=True)
class Wanted:
    """What is asked for."""

    data: Path | None = None
    """The labelled speech; None: that of the run, or the lake's own annotations."""
    kind: str | None = None
    """Its layout; None: told by its shape."""
    classes: Classes = "four"
    """Which of its labels count; of a run's corpus, the run says so."""
    protocol: str = "kfold"
    """How baselines are trained, where a run does not say."""
    with_baselines: bool = False
    against: tuple[str, ...] = ()
    """Runs, folders with predictions, or models to compare with."""
    cluster: ClusterKind = "speaker"
    text: Literal["reference", "none"] = "reference"
    asr: Path | None = None
    """A table of recognized words, which the model is given instead of the reference."""
    asr_system: str = ""
    """What recognized them."""
    leave_out_unknown: bool = False
    """Whether utterances with labels that the model does not know are left out, counted, instead of refused."""


@dataclass(frozen=True)
class Evaluated:
    """An evaluation and the predictions that it is of."""

    evaluation: Evaluation
    predictions: Sequence[Predictions]

    def keep_predictions(self, folder: Path) -> None:
        """Write the predictions of one fold and seed, for later evaluations to be compared with."""
        (one,) = self.predictions
        write_predictions(folder / PREDICTIONS_NAME, one)


def evaluate_run(run: RunFolder, wanted: Wanted, note: Note) -> Evaluated:
    """Evaluate the answers of a run's folds about the speakers that each had not heard.

    Raises `UsageError` where the run is not finished, or its corpus is another by now.
    """
    asked = run.read()
    _refuse_text(wanted, "a run's answers are there already")
    corpus = corpus_at(wanted.data or Path(asked["data"]), wanted.kind or asked["kind"], asked["classes"])
    if corpus.digest != asked["corpus"]["digest"]:
        raise UsageError(f"{corpus.name} is not the corpus that {run.folder} was trained on: its digest is another one")
    test, _ = run_predictions(run)
    splits = protocol(asked["protocol"], corpus)
    others = _others(test, splits, corpus, wanted, note)
    return Evaluated(evaluate_folds(run, corpus, splits, others, wanted.cluster), test)


def evaluate_model(model: str, wanted: Wanted, note: Note) -> Evaluated:
    """Ask a model, named as a profile names it, about all labelled utterances of a corpus, and evaluate the answers."""
    if wanted.data is None:
        raise UsageError("--data is missing: name the labelled speech that the model is to be asked about")
    corpus = corpus_at(wanted.data, wanted.kind, wanted.classes)
    texts, condition = _texts(corpus, wanted)
    asked = ask_model(model, corpus.utterances, texts)
    tested, unknown = _known(asked.predictions, wanted)
    withheld = (WITHHELD.format(asked.num_withheld),) if asked.num_withheld else ()
    conditions = Conditions(
        text=condition if asked.reads_text else TextCondition("none", "the model reads none"),
        is_calibrated=True,
        cluster=wanted.cluster,
        num_left_out={**corpus.left_out, **asked.num_left_out, **unknown},
        notes=(origin_of(asked.scorer, corpus, model), *withheld),
    )
    return _fixed(asked.scorer, tested, corpus, conditions, wanted, note)


def evaluate_lake(
    lake: str, wanted: Wanted, note: Note, *, scorer: str | None = None, corpus: str | None = None
) -> Evaluated:
    """Evaluate what an emotion model answered in a lake: about gold labels, or about the lake's own annotations.

    `scorer`: which model's answers; `corpus`: of this corpus of the lake alone. The words are those of the lake.
    """
    _refuse_text(wanted, "a lake's answers were made with its own words")
    if wanted.data is None:
        gold = read_labelled(Lake(lake, to_read=True), wanted.classes)
    else:
        gold = corpus_at(wanted.data, wanted.kind, wanted.classes)
    with open_lake(lake) as reader:
        scored = answers_about(reader, gold, scorer, corpus)
    tested, unknown = _known(scored.predictions, wanted)
    # The words of the lake's own annotations are its own: there is nothing to compare them with.
    texts = None if wanted.data is None else scored.texts
    wer = None if texts is None else word_error_rate(tested.utterances, texts)
    conditions = Conditions(
        text=TextCondition("asr", "as the lake has them", wer),
        is_calibrated=True,
        cluster=wanted.cluster,
        num_left_out={**gold.left_out, **scored.num_left_out, **unknown},
        notes=(origin_of(scored.scorer, gold), *([NO_WORD_TIMES] if scored.texts is None and wanted.data else [])),
    )
    return _fixed(scored.scorer, tested, gold, conditions, wanted, note)


def _fixed(
    system: str, tested: Predictions, corpus: Corpus, conditions: Conditions, wanted: Wanted, note: Note
) -> Evaluated:
    """One set of answers, that of no fold."""
    conditions = replace(conditions, notes=(*conditions.notes, *corpus.notes))
    splits = protocol(wanted.protocol, corpus) if wanted.with_baselines else []
    if splits:
        conditions = replace(conditions, notes=(*conditions.notes, f"Baselines are trained by {wanted.protocol}."))
    others = _others([tested], splits, corpus, wanted, note)
    return Evaluated(evaluate([tested], system, corpus, conditions, others=others), [tested])


def _others(
    test: Sequence[Predictions], splits: Sequence[Split], corpus: Corpus, wanted: Wanted, note: Note
) -> dict[str, OtherSystem]:
    labels = test[0].labels
    ids = {utterance.utterance_id for one in test for utterance in one.utterances}
    found = {name: _restricted(_other(name, corpus, wanted), ids) for name in wanted.against}
    if wanted.with_baselines:
        found |= {name: _restricted(one, ids) for name, one in baselines_on(splits, labels, note).items()}
    return found


def _other(name: str, corpus: Corpus, wanted: Wanted) -> OtherSystem:
    """A run, a folder that an evaluation wrote, or a model that is asked now."""
    folder = Path(name)
    if (run := RunFolder(folder)).exists:
        test, development = run_predictions(run)
        return OtherSystem(test, development)
    if (folder / PREDICTIONS_NAME).is_file():
        return OtherSystem([read_predictions(folder / PREDICTIONS_NAME)])
    texts, _ = _texts(corpus, wanted)
    asked = ask_model(name, corpus.utterances, texts)
    return OtherSystem([asked.predictions], note=f"{asked.scorer}. {origin_of(asked.scorer, corpus, name)}")


def _restricted(other: OtherSystem, ids: set[str]) -> OtherSystem:
    """The other system's answers about the utterances that ours answered."""
    return other._replace(predictions=[_of_these(one, ids) for one in other.predictions])


def _of_these(predictions: Predictions, ids: set[str]) -> Predictions:
    rows = [row for row, one in enumerate(predictions.utterances) if one.utterance_id in ids]
    return replace(
        predictions,
        utterances=tuple(predictions.utterances[row] for row in rows),
        logits=predictions.logits[rows],
        dimensions=None if predictions.dimensions is None else predictions.dimensions[rows],
    )


def _known(predictions: Predictions, wanted: Wanted) -> tuple[Predictions, dict[str, int]]:
    """Leave utterances out whose labels the model does not know, where that was asked for, and count them."""
    if not wanted.leave_out_unknown:
        return predictions, {}
    ids = {one.utterance_id for one in predictions.utterances if one.label is None or one.label in predictions.labels}
    num_unknown = len(predictions.utterances) - len(ids)
    return _of_these(predictions, ids), {"labels that the model does not know": num_unknown} if num_unknown else {}


def _texts(corpus: Corpus, wanted: Wanted) -> tuple[Mapping[str, str] | None, TextCondition]:
    """What the model is given to read: None: the reference."""
    if wanted.asr is not None:
        texts = read_asr_texts(wanted.asr)
        with_texts(corpus.utterances, texts)
        return texts, TextCondition("asr", wanted.asr_system, word_error_rate(corpus.utterances, texts))
    if wanted.text == "none":
        return {one.utterance_id: "" for one in corpus.utterances}, TextCondition("none")
    has_words = any(one.text for one in corpus.utterances)
    return None, TextCondition("reference") if has_words else TextCondition("none", "the corpus has no transcripts")


def _refuse_text(wanted: Wanted, why: str) -> None:
    if wanted.asr is not None or wanted.text != "reference":
        raise UsageError(f"--text and --asr are for a model that is asked now: {why}")

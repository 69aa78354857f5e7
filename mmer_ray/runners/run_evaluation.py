"""What the folds of a run of `mmer train` are worth, each on speakers that it had not heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmer_ray.errors import UsageError
from mmer_ray.training.evaluation.comparison import OtherSystem
from mmer_ray.training.evaluation.evaluate import Conditions, evaluate
from mmer_ray.training.evaluation.result import ClusterKind, Evaluation, TextCondition
from mmer_ray.training.fresh_model import Architecture
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.predictions_file import read_predictions
from mmer_ray.training.run import DEVELOPMENT, TEST, RunFolder
from mmer_ray.training.utterances import Corpus, Split


def run_predictions(run: RunFolder) -> tuple[list[Predictions], list[Predictions]]:
    """The test and development answers of a run. Raises `UsageError` where a fold lacks its own."""
    folds = sorted(path.parent for path in run.folder.glob(f"seeds/*/*/{TEST}"))
    if not folds:
        raise UsageError(f"{run.folder} has no answers about a test set: finish it with the same `mmer train`")
    begun = {path.parent for path in run.folder.glob("seeds/*/*/*")}
    if unfinished := sorted(begun - set(folds)):
        raise UsageError(f"{unfinished[0]} is not finished: end the run with the same `mmer train`")
    test = [read_predictions(fold / TEST) for fold in folds]
    development = [fold / DEVELOPMENT for fold in folds if (fold / DEVELOPMENT).is_file()]
    return test, [read_predictions(path) for path in development]


def evaluate_folds(
    run: RunFolder,
    corpus: Corpus,
    splits: Sequence[Split],
    others: Mapping[str, OtherSystem],
    cluster: ClusterKind = "speaker",
) -> Evaluation:
    """Evaluate a run whose folds are all done; `others` are compared with it on the same utterances."""
    asked = run.read()
    architecture = Architecture(**asked["architecture"])
    test, development = run_predictions(run)
    conditions = Conditions(
        protocol=asked["protocol"],
        text=_text_given(architecture, corpus),
        oracle=asked["oracle"],
        cluster=cluster,
        num_left_out=corpus.left_out,
        notes=corpus.notes,
    )
    return evaluate(test, str(architecture), corpus, conditions, development=development, splits=splits, others=others)


def _text_given(architecture: Architecture, corpus: Corpus) -> TextCondition:
    if not architecture.reads_text:
        return TextCondition("none", "the model reads none")
    has_words = any(one.text for one in corpus.utterances)
    return TextCondition("reference") if has_words else TextCondition("none", "the corpus has no transcripts")

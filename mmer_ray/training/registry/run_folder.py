"""A finished run of `mmer train`, as far as a registry asks: its model, what it was, and what it did on strangers.

Of its folder (`training/run.py`): `run.json`, the final model with its card, `evaluation.json`, and the answers of the
folds that it was computed from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmer_ray.errors import UsageError
from mmer_ray.models.emotion_checkpoints import check_emotion_model
from mmer_ray.models.layout import CARD_NAME
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import ResolvedModel, resolve
from mmer_ray.training.evaluation.result import EVALUATION_NAME, Evaluation, read_evaluation
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.predictions_file import read_predictions
from mmer_ray.training.registry.entry import DataRecord, FoldRecord
from mmer_ray.training.run import MODEL, RUN_NAME, TEST, RunFolder

PREDICTIONS = f"seeds/*/*/{TEST}"
REMEDY = "name the --into folder of a finished `mmer train`; the same command finishes one that was stopped"


@dataclass(frozen=True)
class FinishedRun:
    """A trained model and all that was found out about it."""

    folder: Path
    asked: Mapping[str, Any]
    """`run.json`."""
    model: ResolvedModel
    evaluation: Evaluation
    predictions: tuple[Predictions, ...]
    """One a fold and seed: answers about speakers that their training had not heard."""

    @property
    def data(self) -> DataRecord:
        """What was tested."""
        tested = {one.utterance_id: one for answers in self.predictions for one in answers.utterances}.values()
        return DataRecord(
            corpus=self.evaluation.corpus,
            digest=self.evaluation.corpus_digest,
            num_utterances=len(tested),
            num_speakers=len({one.speaker for one in tested}),
            labels=dict(sorted(Counter(one.label for one in tested if one.label is not None).items())),
        )

    @property
    def folds(self) -> tuple[FoldRecord, ...]:
        """The folds of the first seed: other seeds have the same ones."""
        first = min(answers.seed for answers in self.predictions)
        return tuple(
            FoldRecord(
                answers.fold, tuple(sorted({one.speaker for one in answers.utterances})), len(answers.utterances)
            )
            for answers in self.predictions
            if answers.seed == first
        )


def read_run(folder: Path) -> FinishedRun:
    """Read a finished run. Raises `UsageError` where something is missing, `PreflightError` for an unfit model."""
    lacking = [name for name in (RUN_NAME, EVALUATION_NAME, f"{MODEL}/{CARD_NAME}") if not (folder / name).is_file()]
    files = sorted(folder.glob(PREDICTIONS))
    if lacking or not files:
        raise UsageError(f"{folder} has no {', no '.join([*lacking, *([] if files else [PREDICTIONS])])}: {REMEDY}")
    asked = RunFolder(folder).read()
    # With a slash a path is never taken for a name.
    model = resolve(ModelRef("emotion", str((folder / MODEL).absolute())))
    check_emotion_model(model.path)
    return FinishedRun(
        folder,
        asked,
        model,
        read_evaluation(folder / EVALUATION_NAME),
        tuple(read_predictions(file) for file in files),
    )

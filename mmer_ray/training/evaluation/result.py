"""What an evaluation found, as one value and as a file of JSON. Loads no torch.

A measure that is not defined on the data, such as a CCC of a model without dimensions, is absent from its mapping.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from mmer_ray.errors import UsageError

SCHEMA = "mmer.evaluation/1"
EVALUATION_NAME = "evaluation.json"
TextSource = Literal["reference", "asr", "none"]
Verdict = Literal["calibrated", "not calibrated", "too few", "not fitted"]
ClusterKind = Literal["speaker", "dialogue"]


@dataclass(frozen=True)
class Measure:
    """One figure. With several seeds each part is the mean over them."""

    value: float
    """Pooled: over the test utterances of all folds together."""
    low: float | None = None
    """95 % interval of `value`, resampled over clusters; None where there are fewer than two."""
    high: float | None = None
    fold_mean: float | None = None
    """Mean over the folds, each fold counting alike; None with one fold."""
    fold_sd: float | None = None
    """Sample standard deviation over the folds."""
    seed_sd: float | None = None
    """Sample standard deviation of `value` over the seeds; None with one seed."""


@dataclass(frozen=True)
class FoldResult:
    """One fold under one seed."""

    fold: str
    seed: int
    num_utterances: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Group:
    """A part of the test utterances."""

    by: str
    """What parts them: "style", "transcript", "length", "sex", "session"."""
    name: str
    num_utterances: int
    num_speakers: int
    metrics: Mapping[str, Measure]


@dataclass(frozen=True)
class TextCondition:
    """Which words the model was given at test."""

    source: TextSource
    detail: str = ""
    """Of ASR: the system and its version."""
    wer: float | None = None
    """Word error rate of the ASR against the reference transcripts of the same utterances."""


REFERENCE_TEXT = TextCondition("reference")


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers whose best probability lies in (low, high]."""

    low: float
    high: float
    num_answers: int
    confidence: float
    """Mean best probability."""
    accuracy: float
    """Share of right answers."""


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities are what they say, after temperatures that were fitted on development data."""

    verdict: Verdict
    """`calibrated`: ECE at most `limit`; `too few`: fewer answers than an ECE means anything on; `not fitted`: there is
    no development data."""
    ece_before: float
    """At temperature 1."""
    ece_after: float | None
    ece_if_perfect: float
    """What the ECE of a perfectly calibrated model with these confidences would be on average, by chance alone."""
    limit: float
    min_utterances: int
    num_utterances: int
    temperatures: Mapping[str, float]
    """"FOLD, seed N" -> temperature."""
    temperature: float | None
    """Fitted on the development data of all folds and seeds: what a model that is trained on everybody should carry."""
    bins: tuple[ReliabilityBin, ...] = ()
    """After the fit, where there was one."""


@dataclass(frozen=True)
class Difference:
    """This system minus the other one, on the same utterances."""

    value: float
    low: float | None
    high: float | None
    """95 % interval, both systems resampled over the same clusters."""
    p: float | None
    """Two-sided, of the same paired bootstrap; None where there are fewer than two clusters."""


@dataclass(frozen=True)
class McNemar:
    """Exact McNemar test of one seed; it takes utterances as independent, which those of one speaker are not."""

    seed: int
    num_ours_only: int
    """Utterances that this system alone got right."""
    num_theirs_only: int
    p: float


@dataclass(frozen=True)
class ComparedSystem:
    """Another system, or a baseline, on the same utterances."""

    name: str
    metrics: Mapping[str, Measure]
    differences: Mapping[str, Difference]
    mcnemar: tuple[McNemar, ...] = ()
    note: str = ""
    """What it is, or why it could not be had."""


@dataclass(frozen=True)
class Evaluation:
    """A system on a corpus under a protocol."""

    system: str
    corpus: str
    labels: tuple[str, ...]
    """Names of the classes, in the order of `confusion`."""
    num_utterances: int
    """Test utterances of all folds, each once."""
    num_speakers: int
    metrics: Mapping[str, Measure]
    """Name -> figure: `wa` accuracy, `ua` macro recall, `macro_f1`, `ece`, `nll`, `brier`, and where there are truths
    for them `jsd`, `kld`, `ccc_valence`, `pearson_valence`, `mae_valence` and so on (`measures.DEFINITIONS`)."""
    recall: Mapping[str, Measure] = field(default_factory=dict)
    """Label -> recall, of the classes that occur in the truth."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Answers of all seeds: a row for each true class, a column for each answer."""
    corpus_digest: str = ""
    protocol: str = ""
    """Name of the protocol of folds; empty: a fixed test set."""
    seeds: tuple[int, ...] = (0,)
    folds: tuple[FoldResult, ...] = ()
    text: TextCondition = REFERENCE_TEXT
    oracle: bool = False
    """True: epochs or settings were chosen on the test data. Such figures are too high and prove nothing."""
    cluster: ClusterKind = "speaker"
    """What intervals are resampled over."""
    num_clusters: int = 0
    num_resamples: int = 0
    groups: tuple[Group, ...] = ()
    calibration: Calibration | None = None
    compared: tuple[ComparedSystem, ...] = ()
    num_left_out: Mapping[str, int] = field(default_factory=dict)
    """Why utterances of the corpus are not in the figures -> how many."""
    notes: tuple[str, ...] = ()
    """What a reader must know before using the figures."""
    schema: str = SCHEMA

    def to_json(self) -> str:
        """The whole of it; `from_json` gives an equal value."""
        return json.dumps(asdict(self), indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Evaluation:
        """Read what `to_json` wrote. Raises `UsageError` for anything else."""
        try:
            found: Evaluation = _EVALUATION.validate_json(text)
        except ValidationError as exc:
            first = exc.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            raise UsageError(f"this is no {SCHEMA}: {place}: {first['msg']}") from exc
        if found.schema != SCHEMA:
            raise UsageError(f"this is a {found.schema}, not a {SCHEMA}: evaluate the model again")
        return found


_EVALUATION = TypeAdapter(Evaluation)


def read_evaluation(path: Path) -> Evaluation:
    """Read an `evaluation.json`. Raises `UsageError`, by the file's name, where it is none."""
    try:
        return Evaluation.from_json(path.read_bytes())
    except OSError as exc:
        raise UsageError(f"{path} cannot be read ({exc.strerror}): name an evaluation.json") from exc
    except UsageError as exc:
        raise UsageError(f"{path}: {exc}") from exc

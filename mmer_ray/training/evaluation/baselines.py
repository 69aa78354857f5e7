"""What every system must beat: guesses from class counts, from the words alone, and from simple acoustics.

Each baseline is fitted on a fold's training part only, scaling and vocabulary included. Where it has a strength to
choose, the development part chooses it, by UA.

Shape letters: N utterances, K classes, D features.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from mmer_ray.errors import UsageError
from mmer_ray.normalise import normalise
from mmer_ray.records import Clip
from mmer_ray.training.evaluation.acoustic_statistics import statistics_of
from mmer_ray.training.evaluation.answers import Floats
from mmer_ray.training.evaluation.comparison import OtherSystem
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.utterances import Split, Utterance

Load = Callable[[Utterance], Clip]
Describe = Callable[[Sequence[Utterance]], Floats]
"""Utterances -> features, float64, shape (N, D)."""
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Of the classifiers' `C`, the inverse of regularisation."""
LEAST_PROBABILITY = 1e-6
"""Of a class that a fold's training lacks."""
_SMOOTHING = 1.0


def majority(splits: Sequence[Split], labels: Sequence[str]) -> OtherSystem:
    """Answer each utterance with the commonest class of training."""
    return _of_classifiers(
        splits,
        labels,
        lambda strength: DummyClassifier(strategy="prior"),
        lambda utterances: np.zeros((len(utterances), 1)),
        "always the commonest class of training; its UA is 1 / number of classes",
        strengths=(1.0,),
    )


def transcript_look_up(splits: Sequence[Split], labels: Sequence[str]) -> OtherSystem:
    """Answer with the commonest class that the same words had in training, or else the commonest of all.

    What it gets above the majority is what a test set gives away by repeating the sentences of training.
    """
    _require_words(splits)
    tests = [_looked_up(split, split.test, labels) for split in splits]
    development = [_looked_up(split, split.development, labels) for split in splits if split.development]
    return OtherSystem(tests, _complete(development, splits), "the class that the same words had in training")


def words_alone(splits: Sequence[Split], labels: Sequence[str]) -> OtherSystem:
    """TF-IDF of words and pairs of words, and logistic regression."""
    _require_words(splits)
    return _of_classifiers(
        splits,
        labels,
        lambda strength: make_pipeline(
            TfidfVectorizer(
                ngram_range=(1, 2), sublinear_tf=True, tokenizer=str.split, token_pattern=None, lowercase=False
            ),
            LogisticRegression(C=strength, class_weight="balanced", max_iter=2000),
        ),
        # A mark of its own keeps what has no words, and so the vocabulary, from being empty.
        lambda utterances: np.array([f"<s> {_words(one)}" for one in utterances], dtype=object),
        "TF-IDF of words and pairs of words, logistic regression: no sound at all",
    )


def acoustic_statistics(splits: Sequence[Split], labels: Sequence[str], load: Load) -> OtherSystem:
    """Statistics of level, spectrum and pitch, and a support vector machine with an RBF kernel."""
    return _of_classifiers(
        splits,
        labels,
        lambda strength: make_pipeline(StandardScaler(), SVC(C=strength, class_weight="balanced")),
        _described(splits, lambda one: statistics_of(load(one).samples)),
        "statistics of level, spectrum and pitch over the utterance, support vector machine: no words",
    )


def encoder_probe(
    splits: Sequence[Split], labels: Sequence[str], load: Load, describe: Callable[[Clip], Floats], encoder: str
) -> OtherSystem:
    """Logistic regression on what a frozen speech encoder makes of each clip.

    `describe`: clip -> vector, float64, shape (D,) (`encoder_vectors`); `encoder`: its name, for the report.
    """
    return _of_classifiers(
        splits,
        labels,
        # There are hundreds of features, all of unit variance: they need more regularisation than words do.
        lambda strength: make_pipeline(
            StandardScaler(), LogisticRegression(C=strength / 100, class_weight="balanced", max_iter=2000)
        ),
        _described(splits, lambda one: describe(load(one))),
        f"mean and deviation of the frames of {encoder}, frozen, logistic regression",
    )


def _of_classifiers(
    splits: Sequence[Split],
    labels: Sequence[str],
    make: Callable[[float], Any],
    describe: Callable[[Sequence[Utterance]], NDArray[Any]],
    note: str,
    strengths: Sequence[float] = STRENGTHS,
) -> OtherSystem:
    tests, development = [], []
    for split in splits:
        classifier = _fitted(split, make, describe, strengths)
        tests.append(_answers(split, split.test, labels, classifier, describe))
        if split.development:
            development.append(_answers(split, split.development, labels, classifier, describe))
    return OtherSystem(tests, _complete(development, splits), note)


def _complete(development: Sequence[Predictions], splits: Sequence[Split]) -> Sequence[Predictions]:
    """Temperatures are fitted for all folds or for none."""
    return development if len(development) == len(splits) else ()


def _fitted(
    split: Split,
    make: Callable[[float], Any],
    describe: Callable[[Sequence[Utterance]], NDArray[Any]],
    strengths: Sequence[float],
) -> Any:
    train, chosen_on = _labelled(split.train), _labelled(split.development)
    if len({one.label for one in train}) < 2:
        raise UsageError(f"{split.name} trains on fewer than two classes: no baseline can be fitted")
    seen, truth = describe(train), [one.label for one in train]
    if not chosen_on or len(strengths) == 1:
        return make(1.0).fit(seen, truth)
    asked, wanted = describe(chosen_on), [one.label for one in chosen_on]
    fitted = [make(strength).fit(seen, truth) for strength in strengths]
    return max(fitted, key=lambda one: balanced_accuracy_score(wanted, one.predict(asked)))


def _answers(
    split: Split,
    utterances: Sequence[Utterance],
    labels: Sequence[str],
    classifier: Any,
    describe: Callable[[Sequence[Utterance]], NDArray[Any]],
) -> Predictions:
    known = list(classifier.classes_)
    seen = describe(utterances)
    # A support vector machine has distances, which a temperature makes probabilities of.
    if _last_step(classifier, SVC):
        scores = np.asarray(classifier.decision_function(seen))
        scores = np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores
    else:
        scores = np.log(np.maximum(classifier.predict_proba(seen), LEAST_PROBABILITY))
    logits = np.full((len(utterances), len(labels)), min(np.log(LEAST_PROBABILITY), float(scores.min())))
    for column, label in enumerate(known):
        if label in labels:
            logits[:, labels.index(label)] = scores[:, column]
    return Predictions(tuple(utterances), tuple(labels), logits.astype(np.float32), fold=split.name)


def _last_step(classifier: Any, kind: type) -> bool:
    return isinstance(classifier, Pipeline) and isinstance(classifier[-1], kind)


def _looked_up(split: Split, utterances: Sequence[Utterance], labels: Sequence[str]) -> Predictions:
    everywhere: Counter[str] = Counter()
    by_words: dict[str, Counter[str]] = defaultdict(Counter)
    for one in _labelled(split.train):
        everywhere[str(one.label)] += 1
        by_words[_words(one)][str(one.label)] += 1
    prior = _shares(everywhere, labels, {label: _SMOOTHING / len(labels) for label in labels})
    of_classes = dict(zip(labels, prior, strict=True))
    rows = [_shares(by_words.get(_words(one), Counter()), labels, of_classes) for one in utterances]
    logits = np.log(np.array(rows).reshape(-1, len(labels)))
    return Predictions(tuple(utterances), tuple(labels), logits.astype(np.float32), fold=split.name)


def _shares(counts: Counter[str], labels: Sequence[str], prior: Mapping[str, float]) -> Floats:
    """Shares of the classes, the prior counted as one utterance."""
    numbers = np.array([counts[label] + prior[label] for label in labels], np.float64)
    return np.asarray(numbers / numbers.sum())


def _described(splits: Sequence[Split], describe: Callable[[Utterance], Floats]) -> Describe:
    """Features of utterances, each read once for all folds."""
    found: dict[str, Floats] = {}

    def of(utterances: Sequence[Utterance]) -> Floats:
        for one in utterances:
            if one.utterance_id not in found:
                found[one.utterance_id] = describe(one)
        return np.stack([found[one.utterance_id] for one in utterances])

    return of


def _labelled(utterances: Sequence[Utterance]) -> list[Utterance]:
    return [one for one in utterances if one.label is not None]


def _require_words(splits: Sequence[Split]) -> None:
    if not any(_words(one) for split in splits for one in split.train):
        raise UsageError("the corpus has no transcripts: baselines that read words are left out")


def _words(utterance: Utterance) -> str:
    return normalise(utterance.text or "", None)

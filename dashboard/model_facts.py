"""What a registry and the reports in it say of its models, read from their files alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from dashboard.access import Viewer
from mmer_ray.tables import Row
from mmer_ray.training.evaluation.result import Calibration, Evaluation, Measure
from mmer_ray.training.registry.entry import RegisteredModel

TITLES: Mapping[str, str] = MappingProxyType({
    "ua": "UA (macro recall)",
    "wa": "WA (accuracy)",
    "macro_f1": "Macro F1",
    "ece": "ECE",
    "nll": "NLL",
    "brier": "Brier score",
    "jsd": "JSD",
    "kld": "KLD",
})  # fmt: skip
"""Name of a measure -> what people read."""
MEANINGS: Mapping[str, str] = MappingProxyType({
    "ua": "Unweighted accuracy: the mean of the recall of each class, so that a rare class counts like a common one.",
    "wa": "Weighted accuracy: the share of right answers.",
    "macro_f1": "The mean over the classes of the harmonic mean of precision and recall.",
    "ece": "Expected calibration error: how far the share of right answers lies from the confidence; 0 is best.",
})  # fmt: skip
"""Name of a measure -> what it is, where its name does not say so."""
ANOTHER_CORPUS = "not yours to see"


def title_of(measure: str) -> str:
    """What people read: `ccc_valence` is "CCC of valence"."""
    kind, _, dimension = measure.partition("_")
    if measure in TITLES or not dimension:
        return TITLES.get(measure, measure)
    return f"{kind.upper() if kind in ('ccc', 'mae') else kind.capitalize()} of {dimension}"


def with_interval(one: Measure | None) -> str:
    """A figure with its 95 % interval; nothing for none."""
    if one is None:
        return ""
    if one.low is None or one.high is None:
        return f"{one.value:.3f}"
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def corpus_of(model: RegisteredModel, viewer: Viewer) -> str:
    """The corpus that a model was trained on, for who may know its name."""
    return model.data.corpus if viewer.may_see(model.data.corpus) else ANOTHER_CORPUS


def listed(models: Sequence[RegisteredModel], active: str | None, followed: Sequence[Row], viewer: Viewer) -> list[Row]:
    """A row per model, the newest first. `followed` are rows of `questions.method.models`."""
    corpora: dict[str, list[str]] = {}
    for row in followed:
        corpora.setdefault(row["scorer"], []).append(row["corpus"])
    return [
        {
            "Model": one.name,
            "State": "active" if one.name == active else "",
            "Followed by": ", ".join(corpora.get(one.scorer, [])),
            "Family": one.family,
            "UA": _value(one, "ua"),
            "95 % interval": _interval(one, "ua"),
            "WA": _value(one, "wa"),
            "ECE": _value(one, "ece"),
            "Tested utterances": one.data.num_utterances,
            "Speakers": one.data.num_speakers,
            "Corpus": corpus_of(one, viewer),
            "Registered": one.registered_at[:16].replace("T", " "),
            "Answers as": one.scorer,
        }
        for one in reversed(models)
    ]


def _value(model: RegisteredModel, name: str) -> float | None:
    found = model.metrics.get(name)
    return None if found is None else found.value


def _interval(model: RegisteredModel, name: str) -> str:
    found = model.metrics.get(name)
    return "" if found is None or found.low is None else f"{found.low:.3f} to {found.high:.3f}"


def gate_words(model: RegisteredModel) -> list[str]:
    """What the gate asked of a model and what it found, a sentence each."""
    verdict, gate = model.verdict, model.verdict.gate
    value = "was not measured" if verdict.value is None else f"is {verdict.value:.3f}"
    found = [f"Floor: {title_of(gate.metric)} of at least {gate.floor:.3f}; it {value}."]
    if verdict.paired is None:
        found.append("There was no active model to be measured against, or nothing to compare the two on.")
    else:
        found.append(f"Against the active model, at most {gate.margin:.3f} worse: {verdict.paired}.")
        found += verdict.paired.notes
    return found + [f"Refused: {reason}." for reason in verdict.reasons]


def conditions(found: Evaluation, *, may_name: bool) -> list[str]:
    """How a model was tested, a sentence each."""
    words = {"reference": "reference transcripts", "asr": "recognized words", "none": "no words"}[found.text.source]
    wer = "" if found.text.wer is None else f", word error rate {found.text.wer:.3f}"
    corpus = found.corpus if may_name else ANOTHER_CORPUS
    num_folds = len({one.fold for one in found.folds})
    lines = [
        f"Tested on {found.num_utterances:,} utterances of {found.num_speakers} speakers; corpus: {corpus}.",
        f"Folds: {num_folds or 1}, {found.protocol or 'a fixed test set'}; seeds: {', '.join(map(str, found.seeds))}.",
        f"Words given to the model: {words}{wer}.",
        f"Intervals: 95 %, bootstrap over {found.num_clusters} {found.cluster}s.",
    ]
    if found.oracle:
        lines.insert(0, "ORACLE: chosen on the test data. These figures are too high and prove nothing.")
    lines += [f"Left out: {number} utterances, {why}." for why, number in found.num_left_out.items()]
    return lines + [f"Note: {note}" for note in found.notes]


def calibration_words(found: Calibration) -> str:
    """What is to be read beside the reliability diagram."""
    chance = f"A perfectly calibrated model with these confidences would show {found.ece_if_perfect:.3f} by chance."
    if found.ece_after is None:
        return f"ECE {found.ece_before:.3f}; no temperature was fitted, as there is no development data. {chance}"
    few = "" if found.verdict != "too few" else f" {found.min_utterances:,} utterances are needed to judge it."
    return (
        f"ECE {found.ece_before:.3f} before and {found.ece_after:.3f} after the temperature, limit {found.limit:g}, on "
        f"{found.num_utterances:,} utterances.{few} {chance}"
    )


def compared(found: Evaluation) -> list[Row]:
    """A row per system that the model was compared with on the same utterances, its own first."""
    names = [name for name in ("ua", "wa", "macro_f1") if name in found.metrics]
    rows: list[Row] = [
        {"System": found.system, **{title_of(name): with_interval(found.metrics[name]) for name in names}}
    ]
    for other in found.compared:
        gain = other.differences.get("ua")
        rows.append(
            {
                "System": other.name,
                **{title_of(name): with_interval(other.metrics.get(name)) for name in names},
                "UA: this model minus it": "" if gain is None else f"{gain.value:+.3f}",
                "p": None if gain is None else gain.p,
                "Note": other.note,
            }
        )
    return rows


def groups(found: Evaluation) -> list[Row]:
    """A row per part of the test utterances."""
    return [
        {
            "By": one.by,
            "Part": one.name,
            "Utterances": one.num_utterances,
            "Speakers": one.num_speakers,
            **{title_of(name): with_interval(one.metrics.get(name)) for name in ("ua", "wa") if name in one.metrics},
        }
        for one in found.groups
    ]

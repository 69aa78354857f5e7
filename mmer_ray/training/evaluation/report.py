"""An evaluation as a report for people: Markdown with pictures, beside the JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmer_ray.training.evaluation.measures import DEFINITIONS, LOWER_IS_BETTER
from mmer_ray.training.evaluation.pictures import write_pictures
from mmer_ray.training.evaluation.result import EVALUATION_NAME, Calibration, ComparedSystem, Evaluation, Measure
from mmer_ray.training.evaluation.themes import DARK, LIGHT
from mmer_ray.training.whole_files import write_whole

REPORT_NAME, PICTURES_NAME = "report.md", "pictures"
_TEXTS = {"reference": "the reference transcripts", "asr": "recognized words (ASR)", "none": "no words"}
_TITLES = {name: name.upper() for name in ("wa", "ua", "ece", "nll", "jsd", "kld")}
_TITLES |= {"macro_f1": "macro-F1", "brier": "Brier score"}
_COMPARED = ("wa", "ua", "macro_f1")


def write_report(folder: Path, evaluation: Evaluation) -> Path:
    """Write `pictures/`, `report.md` and, last, `evaluation.json`; returns the path of the report."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = write_pictures(folder / PICTURES_NAME, evaluation)
    write_whole(folder / REPORT_NAME, report_of(evaluation, pictures))
    write_whole(folder / EVALUATION_NAME, evaluation.to_json())
    return folder / REPORT_NAME


def report_of(evaluation: Evaluation, pictures: Mapping[str, str] | None = None) -> str:
    """The report in Markdown; `pictures`: name -> what it shows, as `write_pictures` returns."""
    pictures = pictures or {}
    sections = [
        [f"# {_plain(evaluation.system)} on {_plain(evaluation.corpus)}"],
        ["> **ORACLE: chosen on the test data. These figures are too high and prove nothing.**"]
        if evaluation.oracle
        else [],
        _conditions(evaluation),
        _figures(evaluation),
        _classes(evaluation, pictures),
        _calibration(evaluation.calibration, pictures),
        _compared(evaluation),
        _groups(evaluation),
        _folds(evaluation),
        _definitions(evaluation),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _conditions(evaluation: Evaluation) -> list[str]:
    text = _TEXTS[evaluation.text.source]
    text += f", {_plain(evaluation.text.detail)}" if evaluation.text.detail else ""
    text += f", word error rate {evaluation.text.wer:.3f}" if evaluation.text.wer is not None else ""
    lines = [
        f"- Test: {evaluation.num_utterances} utterances of {evaluation.num_speakers} speakers, "
        f"{evaluation.protocol or 'one fixed test set'}, {len({one.fold for one in evaluation.folds})} fold(s), "
        f"seed(s) {', '.join(map(str, evaluation.seeds))}.",
        f"- Text given to the model: {text}.",
        f"- Intervals: 95 %, bootstrap over {evaluation.num_clusters} {evaluation.cluster}s, "
        f"{evaluation.num_resamples} resamples. They do not hold the spread of seeds.",
        f"- Corpus digest: `{evaluation.corpus_digest or 'not known'}`.",
    ]
    lines += [f"- Left out: {num} utterances, {_plain(why)}." for why, num in evaluation.num_left_out.items()]
    return lines + [f"- **Note:** {_plain(note)}" for note in evaluation.notes]


def _figures(evaluation: Evaluation) -> list[str]:
    rows = [
        (_title(name), _with_interval(one), _spread(one.fold_mean, one.fold_sd), _number(one.seed_sd))
        for name, one in evaluation.metrics.items()
    ]
    head = ("measure", "pooled [95 %]", "mean over folds ± sd", "sd over seeds")
    return ["## Figures", "", *_table(head, rows)]


def _classes(evaluation: Evaluation, pictures: Mapping[str, str]) -> list[str]:
    if not evaluation.recall:
        return []
    totals = {label: sum(row) for label, row in zip(evaluation.labels, evaluation.confusion, strict=True)}
    recalls = [(_plain(label), totals[label], _with_interval(one)) for label, one in evaluation.recall.items()]
    counts = [
        (_plain(label), *row) for label, row in zip(evaluation.labels, evaluation.confusion, strict=True) if sum(row)
    ]
    return [
        *("## Classes", ""),
        *_table(("class", "answers, all seeds", "recall [95 %]"), recalls),
        *_picture("recall", pictures),
        *("", "Confusion, answers of all seeds (rows: truth, columns: answer):", ""),
        *_table(("truth", *map(_plain, evaluation.labels)), counts),
        *_picture("confusion", pictures),
    ]


def _calibration(found: Calibration | None, pictures: Mapping[str, str]) -> list[str]:
    if found is None:
        return []
    lines = ["## Calibration", "", f"**{found.verdict.capitalize()}.** {_verdict_words(found)}"]
    if found.temperature is not None:
        of_folds = ", ".join(f"{_plain(name)}: {value:.3f}" for name, value in found.temperatures.items())
        lines.append(f"Temperatures, fitted on development data: {of_folds}. On all of it: {found.temperature:.3f}.")
    return lines + _picture("reliability", pictures)


def _verdict_words(found: Calibration) -> str:
    chance = f"A perfectly calibrated model with these confidences would show {found.ece_if_perfect:.3f} by chance."
    if found.ece_after is None:
        return f"There is no development data: the ECE of the logits as they are is {found.ece_before:.3f}. {chance}"
    after = f"ECE {found.ece_before:.3f} at temperature 1, {found.ece_after:.3f} after the temperature"
    if not found.temperatures:
        after = f"ECE {found.ece_after:.3f}, under the temperature that the model carries"
    if found.verdict == "too few":
        return f"{after}; {found.num_utterances} utterances, {found.min_utterances} are needed to judge it. {chance}"
    return f"{after}; the limit is {found.limit}, on {found.num_utterances} utterances. {chance}"


def _compared(evaluation: Evaluation) -> list[str]:
    if not evaluation.compared:
        return []
    names = [name for name in _COMPARED if name in evaluation.metrics]
    ours = (f"**{_plain(evaluation.system)}**", *(_with_interval(evaluation.metrics[name]) for name in names), "", "")
    rows = [ours, *(_compared_row(other, names) for other in evaluation.compared)]
    lines = _table(
        ("system", *(_title(name) for name in names), "UA: ours minus it [95 %], p", "McNemar p of each seed"), rows
    )
    notes = [f"- {_plain(other.name)}: {_plain(other.note)}" for other in evaluation.compared if other.note]
    words = (
        f"Same utterances. p of differences: paired bootstrap over {evaluation.cluster}s. McNemar's test takes "
        "utterances as independent, which those of one speaker are not: its p is too small."
    )
    return ["## Compared with", "", words, "", *lines, *([""] if notes else []), *notes]


def _compared_row(other: ComparedSystem, names: Sequence[str]) -> tuple[str, ...]:
    figures = [_with_interval(other.metrics[name]) if name in other.metrics else "" for name in names]
    gain = other.differences.get("ua")
    words = ""
    if gain is not None:
        words = f"{gain.value:+.3f}"
        words += "" if gain.low is None or gain.high is None else f" [{gain.low:+.3f}, {gain.high:+.3f}]"
        words += "" if gain.p is None else f", {_p(gain.p)}"
    return (_plain(other.name), *figures, words, ", ".join(_p(one.p) for one in other.mcnemar))


def _groups(evaluation: Evaluation) -> list[str]:
    if not evaluation.groups:
        return []
    names = [name for name in evaluation.metrics if any(name in group.metrics for group in evaluation.groups)]
    rows = [
        (
            *(group.by, _plain(group.name), group.num_utterances, group.num_speakers),
            *(_with_interval(group.metrics[name]) if name in group.metrics else "" for name in names),
        )
        for group in evaluation.groups
    ]
    head = ("by", "part", "utterances", "speakers", *(_title(name) for name in names))
    return ["## Parts of the test set", "", *_table(head, rows)]


def _folds(evaluation: Evaluation) -> list[str]:
    if len(evaluation.folds) < 2:
        return []
    names = [name for name in ("wa", "ua", "macro_f1", "ccc_valence", "ccc_arousal", "ccc_dominance", "ece")
             if name in evaluation.metrics]  # fmt: skip
    rows = [
        (
            *(_plain(one.fold), one.seed, one.num_utterances),
            *(_number(one.metrics.get(name)) for name in names),
        )
        for one in evaluation.folds
    ]
    return ["## Folds", "", *_table(("fold", "seed", "utterances", *(_title(name) for name in names)), rows)]


def _definitions(evaluation: Evaluation) -> list[str]:
    lines = [
        f"- {_title(name)}: {DEFINITIONS[name]}{' (lower is better)' if name in LOWER_IS_BETTER else ''}."
        for name in evaluation.metrics
    ]
    return ["## Definitions", "", *lines] if lines else []


def _picture(name: str, pictures: Mapping[str, str]) -> list[str]:
    if name not in pictures:
        return []
    path = f"{PICTURES_NAME}/{name}"
    return [
        "",
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{path}-{DARK.name}.png">'
        f'<img src="{path}-{LIGHT.name}.png" alt="{pictures[name]}" width="480"></picture>',
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines]


def _title(name: str) -> str:
    if name in _TITLES:
        return _TITLES[name]
    measure, _, rest = name.partition("_")
    return f"{measure.upper() if measure in ('ccc', 'mae') else measure.capitalize()} {rest}"


def _with_interval(one: Measure) -> str:
    if one.low is None or one.high is None:
        return f"{one.value:.3f}"
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _spread(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return ""
    return f"{mean:.3f}" if deviation is None else f"{mean:.3f} ± {deviation:.3f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _plain(text: str) -> str:
    """Names come from corpora: none may begin a cell, a line or a tag of its own."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

"""Pictures of an evaluation: confusion, reliability, recall of each class; each for light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from mmer_ray.training.evaluation.result import Calibration, Evaluation
from mmer_ray.training.evaluation.themes import THEMES, Theme

DOTS_PER_INCH = 160
_CLASS_INCHES = 0.75
_MIN_INCHES, _MAX_INCHES = 3.4, 9.0
_FONT_POINTS = 9
Draw = Callable[[Evaluation, Theme], Figure | None]


def write_pictures(folder: Path, evaluation: Evaluation) -> dict[str, str]:
    """Write `NAME-light.png` and `NAME-dark.png` of what there is to draw. Returns name -> what it shows."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name, (shows, draw) in PICTURES.items():
        figures = [(theme, draw(evaluation, theme)) for theme in THEMES]
        for theme, figure in figures:
            if figure is not None:
                figure.savefig(folder / f"{name}-{theme.name}.png", dpi=DOTS_PER_INCH, facecolor=theme.page)
                drawn[name] = shows
    return drawn


def draw_confusion(evaluation: Evaluation, theme: Theme) -> Figure | None:
    """Shares of each true class's answers; None without labelled utterances."""
    counts = np.array(evaluation.confusion)
    rows = [row for row, total in enumerate(counts.sum(axis=1)) if total] if counts.size else []
    if not rows:
        return None
    shares = counts[rows] / counts[rows].sum(axis=1, keepdims=True)
    width, height = (_inches(num) for num in (len(evaluation.labels), len(rows)))
    figure, (axes,) = _figure(theme, width + 1.0, height + 0.4)
    colours = LinearSegmentedColormap.from_list("shares", theme.shades)
    axes.imshow(shares, cmap=colours, vmin=0, vmax=1, aspect="auto")
    for row, index in enumerate(rows):
        for column in range(len(evaluation.labels)):
            share = shares[row, column]
            words = f"{100 * share:.0f} %\n{counts[index, column]}"
            axes.text(column, row, words, ha="center", va="center", color=_ink_on(colours(share), theme))
    axes.set_xticks(range(len(evaluation.labels)), evaluation.labels, rotation=30 if len(evaluation.labels) > 4 else 0)
    axes.set_yticks(range(len(rows)), [evaluation.labels[row] for row in rows])
    axes.set(xlabel="answer", ylabel="truth")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def draw_reliability(evaluation: Evaluation, theme: Theme) -> Figure | None:
    """How often answers of a confidence are right, and how many there are; None without labelled utterances."""
    found = evaluation.calibration
    if found is None or not found.bins:
        return None
    figure, (above, below) = _figure(theme, 4.2, 4.8, heights=(3, 1))
    above.plot([0, 1], [0, 1], color=theme.quiet, linewidth=1, linestyle="--")
    confidence = [one.confidence for one in found.bins]
    accuracy = [one.accuracy for one in found.bins]
    above.vlines(confidence, accuracy, confidence, color=theme.quiet, linewidth=1)
    above.plot(confidence, accuracy, color=theme.data, marker="o", markersize=5, linewidth=1.5)
    above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share right")
    above.set_title(_ece_words(found), color=theme.ink, fontsize=_FONT_POINTS, loc="left")
    widths = [one.high - one.low for one in found.bins]
    below.bar([one.low for one in found.bins], [one.num_answers for one in found.bins], widths, align="edge",
              color=theme.data, edgecolor=theme.page)  # fmt: skip
    below.set(xlim=(0, 1), xlabel="confidence of the answer", ylabel="answers")
    return figure


def draw_recall(evaluation: Evaluation, theme: Theme) -> Figure | None:
    """Recall of each class with its 95 % interval, beside chance; None without labelled utterances."""
    if not evaluation.recall:
        return None
    labels = list(evaluation.recall)[::-1]
    figure, (axes,) = _figure(theme, 5.0, max(1.6, 0.42 * len(labels) + 0.9))
    chance = 1 / len(evaluation.labels)
    axes.axvline(chance, color=theme.quiet, linewidth=1, linestyle="--")
    axes.text(chance, len(labels) - 0.45, " chance", color=theme.quiet, va="bottom", fontsize=_FONT_POINTS - 1)
    for row, label in enumerate(labels):
        one = evaluation.recall[label]
        if one.low is not None and one.high is not None:
            axes.hlines(row, one.low, one.high, color=theme.data, linewidth=2.5)
        axes.plot([one.value], [row], color=theme.data, marker="o", markersize=7)
        axes.text(1.03, row, f"{one.value:.2f}", color=theme.ink, va="center", clip_on=False)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlim=(0, 1), ylim=(-0.5, len(labels) - 0.5), xlabel=f"recall, 95 % interval over {evaluation.cluster}s")
    return figure


PICTURES: Mapping[str, tuple[str, Draw]] = {
    "confusion": ("Confusion: of each true class, the share of each answer, and how many answers", draw_confusion),
    "reliability": ("Reliability: how often answers of a confidence are right", draw_reliability),
    "recall": ("Recall of each class, with its 95 % interval", draw_recall),
}


def _figure(theme: Theme, width: float, height: float, heights: tuple[float, ...] = (1,)) -> tuple[Figure, list[Axes]]:
    """A figure of axes one above the other, in the theme's colours; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)
    axes = [row[0] for row in grid]
    for one in axes:
        one.set_facecolor(theme.page)
        one.tick_params(colors=theme.ink, labelsize=_FONT_POINTS)
        one.spines[["top", "right"]].set_visible(False)
        one.spines[["left", "bottom"]].set_color(theme.quiet)
        one.xaxis.label.set_color(theme.ink)
        one.yaxis.label.set_color(theme.ink)
    return figure, axes


def _inches(num_classes: int) -> float:
    return min(max(_MIN_INCHES, _CLASS_INCHES * num_classes), _MAX_INCHES)


def _ink_on(colour: tuple[float, float, float, float], theme: Theme) -> str:
    """Of page and ink the colour that is farther in luminance (WCAG 2, relative luminance without its gamma)."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    back = float(weights @ np.array(colour[:3]))
    return max((theme.page, theme.ink), key=lambda one: abs(float(weights @ np.array(to_rgb(one))) - back))


def _ece_words(found: Calibration) -> str:
    if found.ece_after is None:
        return f"ECE {found.ece_before:.3f}, no temperature fitted"
    return f"ECE {found.ece_after:.3f}: {found.verdict} ({found.num_utterances} utterances)"

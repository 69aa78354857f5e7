"""The colour of each emotion: the palette of Okabe and Ito, which colour-blind people can tell apart.

A colour never stands alone: the label is written beside it, and confidence is shown by opacity.
"""

from __future__ import annotations

from mmer_ray.tables import CLASSES

NO_ANSWER = "no answer"
"""Stands for the label of an utterance that the model did not answer for, or that is not scored."""

COLOURS = {
    "angry": "#D55E00",
    "happy": "#009E73",
    "neutral": "#999999",
    "sad": "#0072B2",
    "fear": "#CC79A7",
    "disgust": "#F0E442",
    "surprise": "#56B4E9",
    "contempt": "#E69F00",
}
OTHER_COLOUR = "#6B5B95"
"""Of labels beside `CLASSES`."""
NO_ANSWER_COLOUR = "#D0D0D0"

assert set(COLOURS) == set(CLASSES)


def colour_of(label: str | None) -> str:
    """The colour of a label, `#RRGGBB`."""
    if label is None or label == NO_ANSWER:
        return NO_ANSWER_COLOUR
    return COLOURS.get(label, OTHER_COLOUR)


def in_order(labels: list[str]) -> list[str]:
    """Labels as they stack: those of `CLASSES` in its order, others by name, no answer last."""
    known = [name for name in CLASSES if name in labels]
    others = sorted(name for name in labels if name not in CLASSES and name != NO_ANSWER)
    return [*known, *others, *([NO_ANSWER] if NO_ANSWER in labels else [])]

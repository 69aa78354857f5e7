"""How feelings are summed up and coloured, the same in every command."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mmer_ray.cli.output import share

if TYPE_CHECKING:
    from mmer_ray.records import Emotion, Utterance

STYLES = {"angry": "red", "happy": "green", "sad": "blue", "neutral": "dim", "fear": "magenta", "disgust": "yellow"}
"""Never the only sign: the label always stands beside its colour."""
UNKNOWN = "unknown"


def emotion_of(utterance: Utterance) -> Emotion | None:
    """The emotion to show: a conversation holds at most one per utterance."""
    return utterance.emotions[0] if utterance.emotions else None


def label_of(utterance: Utterance) -> str:
    """The utterance's label, `UNKNOWN` when it was not scored."""
    emotion = emotion_of(utterance)
    return emotion.label if emotion and emotion.label else UNKNOWN


def seconds_by_label(utterances: Iterable[Utterance]) -> dict[str, float]:
    """Label -> seconds of utterances that have it, the most first."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for one in utterances:
        seconds[label_of(one)] += one.end_s - one.start_s
    return dict(sorted(seconds.items(), key=lambda item: (-item[1], item[0])))


def describe_mix(seconds: Mapping[str, float]) -> str:
    """`neutral 70 %, angry 30 %`."""
    total_s = sum(seconds.values())
    return ", ".join(f"{label} {share(part, total_s)}" for label, part in seconds.items())


def describe(utterance: Utterance) -> str:
    """`angry 0.81`, or why there is no label."""
    emotion = emotion_of(utterance)
    if emotion is None:
        return ""
    if emotion.label is None:
        return emotion.skip_reason or UNKNOWN
    return emotion.label if emotion.confidence is None else f"{emotion.label} {emotion.confidence:.2f}"

"""Utterances that a window's border cut in two become one again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from mmer_ray.records import Emotion, Utterance, Window
from mmer_ray.stages.measures import MAX_UTTERANCE_S

MAX_BORDER_GAP_S = 0.5
"""An utterance that goes on within this after a window's border was cut by it."""


def mend_borders(windows: Sequence[Window]) -> list[Utterance]:
    """Collect the utterances of windows sorted by index, speakers already joined; channel after channel."""
    by_channel: dict[int, list[Utterance]] = defaultdict(list)
    for window in windows:
        collected, added = by_channel[window.channel], list(window.utterances)
        if collected and added and _cut_by_border(collected[-1], added[0], window.start_s):
            collected[-1] = _merge(collected[-1], added.pop(0))
        collected.extend(added)
    return [utterance for collected in by_channel.values() for utterance in collected]


def _cut_by_border(before: Utterance, after: Utterance, border_s: float) -> bool:
    return (
        before.speaker == after.speaker
        and before.end_s <= border_s <= after.start_s
        and after.start_s - before.end_s < MAX_BORDER_GAP_S
        and after.end_s - before.start_s <= MAX_UTTERANCE_S
    )


def _merge(before: Utterance, after: Utterance) -> Utterance:
    """Make one utterance of two neighbours; what was averaged over time is averaged by their seconds."""
    weights = (before.end_s - before.start_s, after.end_s - after.start_s)
    return replace(
        before,
        end_s=after.end_s,
        text=f"{before.text} {after.text}".strip(),
        words=before.words + after.words,
        language_p=_weighted(before.language_p, after.language_p, weights),
        asr_logprob=_weighted(before.asr_logprob, after.asr_logprob, weights),
        snr_db=_weighted(before.snr_db, after.snr_db, weights),
        emotions=_merge_emotions(before.emotions, after.emotions, weights),
    )


def _weighted(left: float | None, right: float | None, weights: tuple[float, float]) -> float | None:
    if left is None or right is None:
        return right if left is None else left
    return (left * weights[0] + right * weights[1]) / max(sum(weights), 1e-9)


def _merge_emotions(
    before: Sequence[Emotion], after: Sequence[Emotion], weights: tuple[float, float]
) -> tuple[Emotion, ...]:
    """Average what each model said of the parts; one that skipped a part is taken at its word on the other."""
    later = {emotion.scorer: emotion for emotion in after}
    return tuple(
        _merge_answers(emotion, later[emotion.scorer], weights) if emotion.scorer in later else emotion
        for emotion in before
    )


def _merge_answers(before: Emotion, after: Emotion, weights: tuple[float, float]) -> Emotion:
    if before.label is None or after.label is None:
        return after if before.label is None else before
    names = sorted({*before.probabilities, *after.probabilities})
    probabilities = {
        name: _weighted(before.probabilities.get(name, 0.0), after.probabilities.get(name, 0.0), weights) or 0.0
        for name in names
    }
    return replace(
        before,
        label=max(probabilities, key=lambda name: probabilities[name]) if probabilities else before.label,
        probabilities=probabilities,
        confidence=_weighted(before.confidence, after.confidence, weights),
        valence=_weighted(before.valence, after.valence, weights),
        arousal=_weighted(before.arousal, after.arousal, weights),
        dominance=_weighted(before.dominance, after.dominance, weights),
    )

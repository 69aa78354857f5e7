"""Window borders: which utterances lie at one, and which two halves become one utterance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mmer_ray.records import Utterance, Window
from mmer_ray.stages.utterances import MAX_UTTERANCE_S

MAX_BORDER_GAP_S = 0.5
"""An utterance that goes on within this after a window's border was cut by it."""


def starts_at_border(utterance: Utterance, window: Window) -> bool:
    """Whether the window before may have a say in this utterance."""
    return window.start_s > 0 and utterance.start_s - window.start_s < MAX_BORDER_GAP_S


def ends_at_border(utterance: Utterance, window: Window) -> bool:
    """Whether the window after, if there is one, may have a say in this utterance."""
    return window.end_s - utterance.end_s < MAX_BORDER_GAP_S


def may_be_one(before: Utterance, after: Utterance, border_s: float) -> bool:
    """Whether two utterances on either side of a border are halves of one, if one person speaks both."""
    return (
        before.end_s <= border_s <= after.start_s
        and after.start_s - before.end_s < MAX_BORDER_GAP_S
        and after.end_s - before.start_s <= MAX_UTTERANCE_S
    )


def merge_over_borders(windows: Sequence[Window]) -> list[Utterance]:
    """Collect the utterances of windows sorted by index, speakers already joined; channel after channel.

    The last of a window and the first of the next on its channel become one where they are halves and one person
    speaks both.
    """
    collected: dict[int, list[Utterance]] = defaultdict(list)
    before: dict[int, Window] = {}
    for window in windows:
        utterances, added = collected[window.channel], list(window.utterances)
        previous = before.get(window.channel)
        if previous is not None and previous.utterances and added and _is_cut(utterances[-1], added[0], window.start_s):
            utterances[-1] = _merge(utterances[-1], added.pop(0))
        utterances.extend(added)
        before[window.channel] = window
    return [utterance for utterances in collected.values() for utterance in utterances]


def number_dialogues(utterances: Iterable[Utterance], windows: Sequence[Window]) -> list[Utterance]:
    """Say which utterances a model of dialogues reads together, given the windows that they came from.

    Those inside a window have its index; each of those at a border, which is known later, has a number of its own,
    above all indices.
    """
    own = {(w.channel, one.start_s, one.end_s): w for w in windows for one in w.utterances if _is_inside(one, w)}
    next_number = 1 + max((window.index for window in windows), default=-1)
    numbered: list[Utterance] = []
    for one in sorted(utterances, key=lambda one: (one.start_s, one.end_s, one.channel)):
        window = own.get((one.channel, one.start_s, one.end_s))
        numbered.append(replace(one, dialogue_idx=next_number if window is None else window.index))
        next_number += window is None
    return numbered


def _is_inside(utterance: Utterance, window: Window) -> bool:
    return not starts_at_border(utterance, window) and not ends_at_border(utterance, window)


def _is_cut(before: Utterance, after: Utterance, border_s: float) -> bool:
    return before.speaker == after.speaker and may_be_one(before, after, border_s)


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
        fallback_reason=before.fallback_reason or after.fallback_reason,
        snr_db=_weighted(before.snr_db, after.snr_db, weights),
    )


def _weighted(left: float | None, right: float | None, weights: tuple[float, float]) -> float | None:
    if left is None or right is None:
        return right if left is None else left
    return (left * weights[0] + right * weights[1]) / max(sum(weights), 1e-9)

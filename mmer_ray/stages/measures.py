"""How a conversation went, from its utterances and its turns.

Who talks at the same time on one channel is told by turns, as a recognizer hears one voice at a time. Everything else
here reads utterances, whose times are those of their words; the ledger (`speech_s`, `non_speech_s`) reads turns, which
also hold speech without words and the quiet edges of sounds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from mmer_ray.records import CallMeasures, SpeakerTurn, Utterance
from mmer_ray.stages.intervals import gaps, seconds, union
from mmer_ray.stages.talk import Stretch, overlap_s, stretches, talk_by_speaker

FLOOR_S = 0.5
"""Who has spoken for less than this does not have the floor yet; two people starting together interrupt nobody."""
MIN_OVERLAP_S = 0.12
"""Listeners notice shorter overlaps no more than chance (Heldner 2011, "Detection thresholds for gaps, overlaps, and
no-gap-no-overlaps")."""
WORST_WINDOW_S = 30.0
QUARTERS = 4


def measure(utterances: Sequence[Utterance], duration_s: float, turns: Sequence[SpeakerTurn] = ()) -> CallMeasures:
    """Measure a conversation; utterances and turns sorted by start, speakers final.

    - talk: union of a speaker's utterances; silence: the seconds of the recording in no utterance.
    - overlap: seconds in which at least two speakers talk (`talk.stretches`).
    - interruptions: see `count_interruptions`.
    - words per minute: a speaker's words over their minutes of talk, the short pauses inside utterances included.
    - longest monologue: from a speaker's first start to their last end with nobody else starting in between.
    - valence by quarter: mean over the utterances that start in it. Worst window: the 30 s from the start of an
      utterance with the lowest mean valence of the utterances that start in them.
    """
    talk = talk_by_speaker(utterances)
    talk_s = {speaker: seconds(stretches) for speaker, stretches in talk.items()}
    words: Counter[str] = Counter()
    for utterance in utterances:
        words[utterance.speaker] += len(utterance.words)
    together = stretches(utterances, turns)
    anybody = union(stretch for stretches in talk.values() for stretch in stretches)
    worst_start_s, worst = _worst_window(utterances)
    return CallMeasures(
        num_utterances=len(utterances),
        talk_s=talk_s,
        silence_s=seconds(gaps([(0.0, duration_s)], anybody)),
        overlap_s=overlap_s(together),
        interruptions=count_interruptions(together),
        words_per_minute={speaker: words[speaker] / (talk_s[speaker] / 60) for speaker in talk_s},
        longest_monologue_s=_longest_monologue_s(utterances),
        valence_by_quarter=_valence_by_quarter(utterances, duration_s),
        worst_window_start_s=worst_start_s,
        worst_window_valence=worst,
    )


def count_interruptions(talk: Sequence[Utterance | Stretch]) -> int:
    """Count the interruptions; `talk` sorted by start."""
    return len(interruptions(talk))


def interruptions(talk: Sequence[Utterance | Stretch]) -> list[Utterance | Stretch]:
    """Find where a speaker takes the floor from somebody who is still talking: what the newcomer says; `talk` sorted by
    start.

    An interruption is a between-speaker overlap (Heldner and Edlund 2010, "Pauses, gaps and overlaps in
    conversations"): it starts while another has talked for at least `FLOOR_S`, both go on for `MIN_OVERLAP_S`, and the
    newcomer still talks when the other has ended. Speech that ends inside the other's (a backchannel) does not count.
    """
    found: list[Utterance | Stretch] = []
    holding: list[Utterance | Stretch] = []
    for new in talk:
        holding = [held for held in holding if held.end_s > new.start_s]
        if any(
            held.speaker != new.speaker
            and held.start_s + FLOOR_S <= new.start_s <= held.end_s - MIN_OVERLAP_S
            and held.end_s < new.end_s
            for held in holding
        ):
            found.append(new)
        holding.append(new)
    return found


def _longest_monologue_s(utterances: Sequence[Utterance]) -> float:
    runs = (list(run) for _, run in groupby(utterances, key=lambda utterance: utterance.speaker))
    return max((max(one.end_s for one in run) - run[0].start_s for run in runs), default=0.0)


def _valences(utterances: Sequence[Utterance]) -> list[tuple[float, float]]:
    """Start and valence of the utterances that have one, by the first model that gives it."""
    scored = ((one.start_s, [e.valence for e in one.emotions if e.valence is not None]) for one in utterances)
    return [(start_s, valences[0]) for start_s, valences in scored if valences]


def _valence_by_quarter(utterances: Sequence[Utterance], duration_s: float) -> tuple[float | None, ...]:
    valences = _valences(utterances)
    if not valences:
        return ()
    quarters: list[list[float]] = [[] for _ in range(QUARTERS)]
    for start_s, valence in valences:
        quarters[min(QUARTERS - 1, int(QUARTERS * start_s / duration_s))].append(valence)
    return tuple(sum(quarter) / len(quarter) if quarter else None for quarter in quarters)


def _worst_window(utterances: Sequence[Utterance]) -> tuple[float | None, float | None]:
    valences = _valences(utterances)
    if not valences:
        return None, None
    starts_s = [start_s for start_s, _ in valences]
    means: list[tuple[float, float]] = []
    for index, start_s in enumerate(starts_s):
        inside = [valence for _, valence in valences[index : bisect_left(starts_s, start_s + WORST_WINDOW_S)]]
        means.append((sum(inside) / len(inside), start_s))
    worst, worst_start_s = min(means)
    return worst_start_s, worst

"""The measured truth of the demo corpus: what was scored against what was said, by whom, and how.

- **WER** (word error rate): (substitutions + deletions + insertions) / words of the reference, pooled over all
  calls, by jiwer (Morris et al., "From WER and RIL to MER and WIL", Interspeech 2004). Words are compared after
  `normalise`. A reference stream is all words in order of time: of one channel where each channel holds one party, of
  the whole call otherwise. So who spoke does not matter here, except where people speak at once.
- **DER** (diarization error rate): (missed + false alarm + confused) / reference speech, pooled over the mono calls,
  by pyannote.metrics (Bredin, Interspeech 2017). 0.25 s around each reference border are not counted (pyannote's
  `collar` is the whole width, half of what NIST's md-eval means by it); overlapped speech is.
- **Speaker confusion** on the stereo calls: the share of utterance seconds given to somebody else than the party on
  that channel, after the best one-to-one match of the names. 0 when every channel is one person and every person one
  channel.
- **Emotion UA** (unweighted accuracy): the mean over the four classes of the share of truth turns of the class that
  got its label (Schuller et al., Interspeech 2009 Emotion Challenge). A turn's label is the one with the most seconds
  of overlap among the utterances on its channel; a turn that no labelled utterance meets is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmer_ray.demo.grammar import FEELINGS
from mmer_ray.demo.truth import TrueCall, TrueTurn
from mmer_ray.normalise import normalise
from mmer_ray.records import Utterance

DER_COLLAR_S = 0.25
LANGUAGE = "en"
"""Of the truth; answers are normalised by its rules."""


@dataclass(frozen=True, slots=True)
class Call:
    """What was said in a call and what was made of it."""

    truth: TrueCall
    utterances: tuple[Utterance, ...]
    """Empty when the call failed: all its words are deleted, all its turns missed."""

    @property
    def one_speaker_per_channel(self) -> bool:
        """True when each channel holds one party (stereo)."""
        return self.truth.channels > 1


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of the module's docstring; None where there was nothing to measure it on."""

    wer: float | None
    num_reference_words: int
    der: float | None
    speaker_confusion: float | None
    emotion_ua: float | None
    recall_by_label: Mapping[str, float]
    num_turns: int


def evaluate(calls: Sequence[Call]) -> Evaluation:
    """Measure all calls together: those with one speaker per channel by speaker confusion, the others by DER."""
    recalls = recall_by_label(calls)
    return Evaluation(
        wer=word_error_rate(calls),
        num_reference_words=sum(len(words) for call in calls for words in _reference_streams(call).values()),
        der=diarization_error_rate([call for call in calls if not call.one_speaker_per_channel]),
        speaker_confusion=speaker_confusion([call for call in calls if call.one_speaker_per_channel]),
        emotion_ua=sum(recalls.values()) / len(recalls) if recalls else None,
        recall_by_label=recalls,
        num_turns=sum(len(call.truth.turns) for call in calls),
    )


def word_error_rate(calls: Sequence[Call]) -> float | None:
    """Pooled WER; None without a single word of reference."""
    import jiwer

    references, hypotheses = [], []
    for call in calls:
        said, heard = _reference_streams(call), _hypothesis_streams(call)
        for channel in sorted(said.keys() | heard.keys()):
            references.append(" ".join(said.get(channel, [])))
            hypotheses.append(" ".join(heard.get(channel, [])))
    if not any(references):
        return None
    return float(jiwer.process_words(references, hypotheses).wer)


def diarization_error_rate(calls: Sequence[Call]) -> float | None:
    """Pooled DER, each call with its own match of names; None without reference speech."""
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    metric = DiarizationErrorRate(collar=DER_COLLAR_S, skip_overlap=False)
    for call in calls:
        reference, hypothesis = Annotation(uri=call.truth.file), Annotation(uri=call.truth.file)
        for index, turn in enumerate(call.truth.turns):
            reference[Segment(turn.start_s, turn.end_s), index] = turn.speaker
        for index, one in enumerate(call.utterances):
            hypothesis[Segment(one.start_s, one.end_s), index] = one.speaker
        ends_s = [turn.end_s for turn in call.truth.turns] + [one.end_s for one in call.utterances]
        metric(reference, hypothesis, uem=Timeline([Segment(0.0, max(ends_s, default=0.0))]))
    return float(abs(metric)) if any(call.truth.turns for call in calls) else None


def speaker_confusion(calls: Sequence[Call]) -> float | None:
    """Share of utterance seconds under the wrong name, over calls with one party per channel; None without any."""
    matched_s = total_s = 0.0
    for call in calls:
        seconds = _seconds_by_names(call)
        matched_s += _best_match(seconds)
        total_s += sum(seconds.values())
    return 1.0 - matched_s / total_s if total_s > 0 else None


def recall_by_label(calls: Sequence[Call]) -> dict[str, float]:
    """Label -> share of its truth turns that were given it; labels that the truth does not have are left out."""
    right: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for call in calls:
        for turn in call.truth.turns:
            total[turn.feeling] += 1
            right[turn.feeling] += label_during(call, turn) == turn.feeling
    return {label: right[label] / total[label] for label in FEELINGS if total[label]}


def label_during(call: Call, turn: TrueTurn) -> str | None:
    """The label with the most seconds of overlap with a turn; None when no labelled utterance meets it."""
    overlap_s: dict[str, float] = defaultdict(float)
    for one in call.utterances:
        label = next((emotion.label for emotion in one.emotions if emotion.label), None)
        seconds = min(one.end_s, turn.end_s) - max(one.start_s, turn.start_s)
        if label and seconds > 0 and (one.channel == turn.channel or not call.one_speaker_per_channel):
            overlap_s[label] += seconds
    return max(overlap_s, key=lambda label: overlap_s[label]) if overlap_s else None


def _reference_streams(call: Call) -> dict[int, list[str]]:
    """Channel (0 for a call on one channel) -> words said, in order of time."""
    streams: dict[int, list[str]] = defaultdict(list)
    for turn in sorted(call.truth.turns, key=lambda turn: turn.start_s):
        streams[turn.channel if call.one_speaker_per_channel else 0].extend(normalise(turn.text, LANGUAGE).split())
    return streams


def _hypothesis_streams(call: Call) -> dict[int, list[str]]:
    streams: dict[int, list[str]] = defaultdict(list)
    for one in sorted(call.utterances, key=lambda utterance: utterance.start_s):
        streams[one.channel if call.one_speaker_per_channel else 0].extend(normalise(one.text, LANGUAGE).split())
    return streams


def _seconds_by_names(call: Call) -> dict[tuple[str, str], float]:
    """(name in the truth, name in the results) -> seconds of utterances on the channel of the former."""
    party = {turn.channel: turn.speaker for turn in call.truth.turns}
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    for one in call.utterances:
        seconds[party.get(one.channel, f"nobody on channel {one.channel}"), one.speaker] += one.end_s - one.start_s
    return seconds


def _best_match(seconds: Mapping[tuple[str, str], float]) -> float:
    """Seconds that agree under the best one-to-one match of names."""
    from scipy.optimize import linear_sum_assignment

    truths, results = sorted({truth for truth, _ in seconds}), sorted({result for _, result in seconds})
    table = np.array([[seconds.get((truth, result), 0.0) for result in results] for truth in truths])
    if not table.size:
        return 0.0
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum())

"""What the player is given: one recording as plain values, ready for JSON. Times are seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.palette import COLOURS, NO_ANSWER_COLOUR, OTHER_COLOUR
from dashboard.plain import in_line
from dashboard.withheld import POLICY, without_withheld
from mmer_ray.lake.conversation import Conversation
from mmer_ray.lake.overview import WORST_WINDOW_S, emotion_of, negative_moments, worst_moment
from mmer_ray.lake.talk_marks import talk_marks
from mmer_ray.records import Emotion, Utterance
from mmer_ray.tables import CLASSES, Row

UNSURE_BELOW = 0.5
"""A label with less confidence is written as an unsure one."""
MAX_SHARES = 5
SKIPPED = {
    "too_short": "too short to judge",
    "low_confidence": "not sure",
    POLICY: "not scored: policy",
}
"""Reason why there is no label -> what people read."""
NOT_SCORED = "not scored"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the browser gets the sound from; None where there is none."""

    sound: str | None
    """As it is stored."""
    wav: str | None
    """Decoded."""
    peaks: str | None
    note: str | None = None
    """What to say where the sound cannot be had."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How a recording is shown to one viewer."""

    addresses: Addresses
    start_s: float
    viewer: str
    can_annotate: bool
    page: Mapping[str, str]
    """Of the address: what names this recording."""
    time_name: str
    """Of the address: what names the second."""


def payload_of(
    conversation: Conversation, indices: Sequence[int], annotations: Sequence[Row], shown: Shown
) -> dict[str, Any]:
    """Everything that the player shows, and nothing of the emotions that a policy withholds.

    `indices` are the `utterance_idx` of the conversation's utterances in order, `annotations` the rows of this hearing.
    """
    assert len(indices) == len(conversation.utterances)
    conversation = without_withheld(conversation)
    row, marks = conversation.recording, talk_marks(conversation)
    said = _by_utterance([_about(conversation.scorer, one) for one in annotations])
    interrupting = {(one.start_s, one.speaker) for one in marks.interruptions}
    worst = worst_moment(conversation.utterances)
    return {
        "key": f"{row['corpus']}/{row['recording_id']}/{row['heard_key']}",
        "heard_key": row["heard_key"],
        "scorer": conversation.scorer,
        "duration": (row["duration_ms"] or 0) / 1000,
        "start": shown.start_s,
        **_sound(shown.addresses),
        "address": dict(shown.page),
        "time_name": shown.time_name,
        "can_annotate": shown.can_annotate,
        "labels": list(CLASSES),
        "colours": {"by_label": COLOURS, "other": OTHER_COLOUR, "none": NO_ANSWER_COLOUR},
        "speakers": _speakers(conversation),
        "utterances": [
            _utterance(one, index, said.get(index, ()), shown.viewer, (one.start_s, one.speaker) in interrupting)
            for one, index in zip(conversation.utterances, indices, strict=True)
        ],
        "moments": [
            {"start": one.start_s, "end": one.start_s + WORST_WINDOW_S, "is_worst": one == worst}
            for one in negative_moments(conversation.utterances)
        ],
        "overlaps": [list(one) for one in marks.overlaps],
        "interruptions": [{"start": one.start_s, "speaker": one.speaker} for one in marks.interruptions],
    }


def answer_in_words(emotion: Emotion | None) -> tuple[str, str]:
    """What the model says, in a few words and in a sentence."""
    if emotion is None:
        return NOT_SCORED, "This utterance was not scored."
    if emotion.label is None:
        short = SKIPPED.get(emotion.skip_reason or "", NOT_SCORED)
        best = max(emotion.probabilities.items(), key=lambda item: item[1], default=None)
        likely = "" if best is None else f"; most likely {in_line(best[0])} ({best[1]:.0%})"
        return short, f"No answer: {short}{likely}."
    sure = "" if emotion.confidence is None else f" {round(100 * emotion.confidence)} %"
    unsure = ", unsure" if _is_unsure(emotion) else ""
    label = in_line(emotion.label)
    return f"{label}{sure}", f"{label}, confidence{sure or ' unknown'}{unsure}."


def _is_unsure(emotion: Emotion) -> bool:
    return emotion.confidence is not None and emotion.confidence < UNSURE_BELOW


def _sound(addresses: Addresses) -> dict[str, Any]:
    return {
        "sound": addresses.sound,
        "wav": addresses.wav,
        "is_converted": addresses.sound is None,
        "peaks": addresses.peaks,
        "note": addresses.note,
    }


def _speakers(conversation: Conversation) -> list[dict[str, Any]]:
    """In the order in which they first speak."""
    found: dict[str, dict[str, Any]] = {}
    for one in conversation.utterances:
        found.setdefault(
            one.speaker, {"id": one.speaker, "called": in_line(one.called), "role": in_line(one.role or "")}
        )
    return list(found.values())


def _about(scorer: str | None, said: Row) -> Row:
    """What a person said, beside the answers of this model: a verdict on another one's tells only what was heard."""
    return said if said["verdict"] is None or said["scorer"] == scorer else {**said, "verdict": None}


def _by_utterance(annotations: Sequence[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in annotations:
        found.setdefault(row["utterance_idx"], []).append(row)
    return found


def _utterance(one: Utterance, index: int, said: Sequence[Row], viewer: str, interrupts: bool) -> dict[str, Any]:
    emotion = emotion_of(one)
    short, answer = answer_in_words(emotion)
    mine = next((row for row in said if row["rater"] == viewer), {})
    words = [(word.word, word.start_s) for word in one.words]
    return {
        "index": index,
        "start": one.start_s,
        "end": one.end_s,
        "speaker": one.speaker,
        "text": one.text,
        "words": [list(word) for word in words] if all(start_s is not None for _, start_s in words) else [],
        "label": emotion.label if emotion else None,
        "short": short,
        "answer": answer,
        "is_unsure": emotion is not None and _is_unsure(emotion),
        "probabilities": _shares(emotion),
        **{name: getattr(emotion, name, None) for name in ("confidence", "valence", "arousal")},
        "word_p": _mean([word.p for word in one.words]),
        "speaker_p": one.speaker_confidence,
        "snr_db": one.snr_db,
        "overlap": one.overlap_s,
        "interrupts": interrupts,
        "verdict": mine.get("verdict"),
        "heard": mine.get("label") if mine.get("verdict") != "right" else None,
        "corrected": mine.get("text"),
        "others": [told for row in said if row["rater"] != viewer and (told := _told(row)) is not None],
    }


def _shares(emotion: Emotion | None) -> list[list[Any]]:
    if emotion is None:
        return []
    ranked = sorted(emotion.probabilities.items(), key=lambda item: -item[1])
    return [[name, share] for name, share in ranked[:MAX_SHARES] if share >= 0.005]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _told(row: Row) -> str | None:
    """What another rater says, in a few words."""
    parts = [f"heard {in_line(row['label'])}"] if row["label"] and row["verdict"] != "right" else []
    parts = [row["verdict"]] if row["verdict"] and not parts else parts
    if row["text"]:
        parts.append(f"words: {row['text']}")
    # Of "wrong", said of another model's answer, nothing is left to tell.
    return f"{in_line(row['rater'])}: {', '.join(parts)}" if parts else None

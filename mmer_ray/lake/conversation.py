"""Rows of the lake turned back into the pipeline's nouns: one recording, as it was scored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mmer_ray.measure_columns import MEASURES, Measure
from mmer_ray.records import CallMeasures, Emotion, SpeakerTurn, Utterance, Word
from mmer_ray.tables import CLASSES, Row


@dataclass(frozen=True, slots=True)
class Conversation:
    """What `mmer show` and `mmer export` work from."""

    recording: Row
    """Its row in `recordings`. Check `status`: it may have failed."""
    utterances: tuple[Utterance, ...]
    """By start, each with its words and at most one emotion: `scorer`'s."""
    measures: CallMeasures | None
    scorer: str | None
    """The emotion model whose answers these are; None where nobody spoke."""
    turns: tuple[SpeakerTurn, ...] = ()
    """Who speaks when, by start: the diarizer's answer. Empty for recordings of lakes of version 1."""
    gone: tuple[str, ...] = ()
    """The tables whose rows of this recording were removed when they had reached their age."""
    num_erased_speakers: int = 0


def utterances_of(utterances: Iterable[Row], words: Iterable[Row], emotions: Iterable[Row]) -> tuple[Utterance, ...]:
    """Put the rows of one recording, each table's in order, together."""
    words_of: defaultdict[int, list[Word]] = defaultdict(list)
    emotions_of: defaultdict[int, list[Emotion]] = defaultdict(list)
    for row in words:
        word = Word(row["word"], _s(row["start_ms"]), _s(row["end_ms"]), _score(row["p"]) or 0.0)
        words_of[row["utterance_idx"]].append(word)
    for row in emotions:
        emotions_of[row["utterance_idx"]].append(_emotion(row))
    return tuple(
        _utterance(row, words_of[row["utterance_idx"]], emotions_of[row["utterance_idx"]]) for row in utterances
    )


def turns_of(rows: Iterable[Row]) -> tuple[SpeakerTurn, ...]:
    """The rows of `turns` of one recording."""
    return tuple(
        SpeakerTurn(
            row["start_ms"] / 1000,
            row["end_ms"] / 1000,
            row["channel"],
            row["speaker"],
            _score(row["confidence"]),
            row["speaker_name"],
        )
        for row in rows
    )


def _utterance(row: Row, words: Sequence[Word], emotions: Sequence[Emotion]) -> Utterance:
    return Utterance(
        start_s=row["start_ms"] / 1000,
        end_s=row["end_ms"] / 1000,
        channel=row["channel"],
        speaker=row["speaker"],
        text=row["text"],
        words=tuple(words),
        language=row["language"],
        language_p=_score(row["language_p"]),
        asr_logprob=_score(row["asr_logprob"]),
        fallback_reason=row["fallback_reason"],
        overlap_s=row["overlap_ms"] / 1000,
        speaker_confidence=_score(row["speaker_confidence"]),
        snr_db=_score(row["snr_db"]),
        speaker_is_channel=bool(row["speaker_is_channel"]),
        dialogue_idx=row["dialogue_idx"] or 0,
        role=row["role"],
        emotions=tuple(emotions),
        speaker_name=row["speaker_name"],
    )


def _emotion(row: Row) -> Emotion:
    names = (*CLASSES, "other")
    return Emotion(
        scorer=row["scorer"],
        label=row["label"],
        probabilities={name: round(row[f"p_{name}"], 3) for name in names if row[f"p_{name}"] is not None},
        confidence=_score(row["confidence"]),
        valence=_score(row["valence"]),
        arousal=_score(row["arousal"]),
        dominance=_score(row["dominance"]),
        skip_reason=row["skip_reason"],
    )


def measures_of(row: Row) -> CallMeasures:
    """The measures of a row of `calls`."""
    return CallMeasures(**{measure.field: _measured(measure, row) for measure in MEASURES})


def _measured(measure: Measure, row: Row) -> Any:
    if len(measure.columns) > 1:
        return tuple(_score(row[column]) for column in measure.columns)
    value = row[measure.columns[0]]
    if measure.is_count:
        return value
    read = _s if measure.is_ms else _score
    # A lake that another program wrote may have no map at all.
    return {speaker: read(one) for speaker, one in (value or {}).items()} if measure.is_map else read(value)


def _s(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _score(value: float | None) -> float | None:
    """A float32 column gives 0.8299999833; the score that was written is 0.83."""
    return None if value is None else round(value, 3)

"""Everything that is known of one recording: `mmer.analysis/1`.

The upper part is for people and programs that show it: seconds, speakers, utterances with their words and emotion.
`tables` holds the rows that the batch job would have written to a lake: whole milliseconds, scores of three decimals.
`analysis_schema.py` describes every field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mmer_ray.lake.columns import clean
from mmer_ray.records import CallMeasures, ScoredRecording, SpeakerTurn, Utterance, Word
from mmer_ray.serving.interface import Served
from mmer_ray.serving.rows import rows_of
from mmer_ray.serving.transcription_formats import emotion_of, finite, text_of

SCHEMA = "mmer.analysis/1"
TIME_DIGITS = 3
"""Whole milliseconds."""


def document(scored: ScoredRecording, served: Served) -> dict[str, Any]:
    """The analysis of a recording that was scored, ready for JSON. Of hours it takes seconds: not for the loop."""
    return {
        "schema": SCHEMA,
        "profile": served.profile,
        "recording": _recording(scored),
        "text": clean(text_of(scored.utterances)),
        "speakers": _speakers(scored),
        "turns": [_turn(turn) for turn in scored.turns],
        "utterances": [_utterance(one) for one in scored.utterances],
        "measures": None if scored.measures is None else _measures(scored.measures),
        "models": {key: {"name": served.names[key], "digest": digest} for key, digest in served.models.items()},
        "keys": {**asdict(served.keys), "channel_roles": list(served.keys.channel_roles)},
        "tables": rows_of(scored, served.keys),
    }


def _recording(scored: ScoredRecording) -> dict[str, Any]:
    audio = scored.audio
    assert audio is not None, "a scored recording has its facts"
    return {
        "content_digest": audio.content_digest,
        "duration_s": _time(audio.duration_s),
        "channels": audio.channels,
        "sample_rate_hz": audio.sample_rate_hz,
        "codec": audio.codec,
        "container": audio.container,
        "flags": [flag.value for flag in audio.flags],
        "language": scored.language,
        "language_p": finite(scored.language_p),
        "num_speakers": scored.num_speakers,
        "speech_s": _time(scored.speech_s),
        "non_speech_s": _time(scored.non_speech_s),
        "overlap_s": _time(scored.overlap_s),
    }


def _speakers(scored: ScoredRecording) -> list[dict[str, Any]]:
    """Who speaks, in the order of `S1`, `S2`, ...; also who has turns without words that were read."""
    turns: dict[str, list[SpeakerTurn]] = {}
    for turn in scored.turns:
        turns.setdefault(turn.speaker, []).append(turn)
    said: dict[str, list[Utterance]] = {}
    for one in scored.utterances:
        said.setdefault(one.speaker, []).append(one)
    measures = scored.measures
    rates = {} if measures is None else measures.words_per_minute
    return [
        _speaker(speaker, turns.get(speaker, []), said.get(speaker, []), rates)
        for speaker in sorted({*turns, *said}, key=lambda speaker: (len(speaker), speaker))
    ]


def _speaker(
    speaker: str, turns: list[SpeakerTurn], said: list[Utterance], rates: Mapping[str, float]
) -> dict[str, Any]:
    channels = {turn.channel for turn in turns} | {one.channel for one in said}
    names = [turn.speaker_name for turn in turns if turn.speaker_name]
    names += [one.speaker_name for one in said if one.speaker_name]
    return {
        "speaker": speaker,
        "name": next(iter(names), None),
        "role": next((one.role for one in said if one.role), None),
        "channel": channels.pop() if any(one.speaker_is_channel for one in said) else None,
        "talk_s": _time(sum(turn.end_s - turn.start_s for turn in turns)),
        "num_utterances": len(said),
        "words_per_minute": finite(rates.get(speaker)),
    }


def _turn(turn: SpeakerTurn) -> dict[str, Any]:
    return {
        "start_s": _time(turn.start_s),
        "end_s": _time(turn.end_s),
        "channel": turn.channel,
        "speaker": turn.speaker,
        "speaker_name": turn.speaker_name,
        "confidence": finite(turn.confidence),
    }


def _utterance(one: Utterance) -> dict[str, Any]:
    return {
        "start_s": _time(one.start_s),
        "end_s": _time(one.end_s),
        "channel": one.channel,
        "speaker": one.speaker,
        "speaker_name": one.speaker_name,
        "role": one.role,
        "text": clean(one.text),
        "language": one.language,
        "words": [_word(word) for word in one.words],
        "emotion": emotion_of(one),
    }


def _word(word: Word) -> dict[str, Any]:
    return {"word": clean(word.word), "start_s": _time(word.start_s), "end_s": _time(word.end_s), "p": finite(word.p)}


def _measures(measures: CallMeasures) -> dict[str, Any]:
    return {
        "num_utterances": measures.num_utterances,
        "talk_s": {speaker: _time(seconds) for speaker, seconds in measures.talk_s.items()},
        "silence_s": _time(measures.silence_s),
        "overlap_s": _time(measures.overlap_s),
        "interruptions": measures.interruptions,
        "words_per_minute": {speaker: finite(rate) for speaker, rate in measures.words_per_minute.items()},
        "longest_monologue_s": _time(measures.longest_monologue_s),
        "valence_by_quarter": [finite(valence) for valence in measures.valence_by_quarter],
        "worst_window_start_s": _time(measures.worst_window_start_s),
        "worst_window_valence": finite(measures.worst_window_valence),
    }


def _time(seconds: float | None) -> float | None:
    known = finite(seconds)
    return None if known is None else round(known, TIME_DIGITS)

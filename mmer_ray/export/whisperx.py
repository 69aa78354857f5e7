"""The JSON that WhisperX writes (3.8: `whisperx/schema.py`, `whisperx/diarize.py`)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from mmer_ray.records import Utterance, Word


def to_whisperx(utterances: Sequence[Utterance]) -> str:
    """A segment per utterance, with speaker and words; all words again in `word_segments`; one `language`.

    A word without times has neither `start`, `end` nor `score`, as in WhisperX. The format has one language for a
    file: that of most seconds, null where none is known. Emotions have no place in it.
    """
    segments = [_segment(one) for one in sorted(utterances, key=lambda one: (one.start_s, one.channel))]
    document = {
        "segments": segments,
        "word_segments": [word for segment in segments for word in segment["words"]],
        "language": _language(utterances),
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _segment(one: Utterance) -> dict[str, Any]:
    segment: dict[str, Any] = {"start": round(one.start_s, 3), "end": round(one.end_s, 3), "text": one.text}
    if one.asr_logprob is not None:
        segment["avg_logprob"] = one.asr_logprob
    words = [_word(word, one.called) for word in one.words]
    return {**segment, "words": words, "speaker": one.called}


def _word(word: Word, speaker: str) -> dict[str, Any]:
    if word.start_s is None or word.end_s is None:
        return {"word": word.word, "speaker": speaker}
    times = {"start": round(word.start_s, 3), "end": round(word.end_s, 3)}
    return {"word": word.word, **times, "score": round(word.p, 3), "speaker": speaker}


def _language(utterances: Sequence[Utterance]) -> str | None:
    seconds: defaultdict[str, float] = defaultdict(float)
    for one in utterances:
        if one.language is not None:
            seconds[one.language] += one.end_s - one.start_s
    return max(seconds, key=lambda language: seconds[language], default=None)

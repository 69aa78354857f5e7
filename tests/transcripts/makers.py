"""Files as the three tools and a diarizer write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from faster_whisper.transcribe import Segment, Word

Spoken = Sequence[tuple[str, float, float]]
"""(word, start in seconds, end in seconds), in order."""


def whisper(words: Spoken, language: str = "en") -> dict[str, Any]:
    """openai-whisper's `--output_format json --word_timestamps True`: one segment, words with a blank in front."""
    said = [{"word": f" {word}", "start": start, "end": end, "probability": 0.75} for word, start, end in words]
    text = "".join(word["word"] for word in said)  # type: ignore[misc]
    scores = {"temperature": 0.0, "avg_logprob": -0.25, "compression_ratio": 1.0, "no_speech_prob": 0.01}
    segment = {"id": 0, "seek": 0, "start": words[0][1], "end": words[-1][2], "text": text, "tokens": [50364], **scores}
    return {"text": text, "segments": [{**segment, "words": said}], "language": language}


def whisperx(words: Spoken, speakers: Sequence[str] | None = None) -> dict[str, Any]:
    """WhisperX's aligned result, a segment per speaker's run; with `--diarize` where `speakers` are given."""
    segments: list[dict[str, Any]] = []
    for at, (word, start, end) in enumerate(words):
        who = {"speaker": speakers[at]} if speakers else {}
        if not segments or segments[-1].get("speaker") != who.get("speaker"):
            segments.append({"start": start, "end": end, "text": "", "words": [], **who})
        segments[-1]["words"].append({"word": word, "start": start, "end": end, "score": 0.5, **who})
        segments[-1].update(end=end, text=f"{segments[-1]['text']} {word}")
    return {"segments": segments, "word_segments": [one for s in segments for one in s["words"]], "language": "en"}


def faster_whisper(words: Spoken) -> list[dict[str, Any]]:
    """The library's segments as dictionaries."""
    said = [Word(start=start, end=end, word=f" {word}", probability=0.75) for word, start, end in words]
    segment = Segment(
        id=1, seek=0, start=words[0][1], end=words[-1][2], text="".join(one.word for one in said), tokens=[1],
        avg_logprob=-0.25, compression_ratio=1.0, no_speech_prob=0.01, words=said, temperature=0.0,
    )  # fmt: skip
    return [asdict(segment)]


def rttm(turns: Sequence[tuple[str, float, float]], name: str = "a") -> str:
    """(speaker, start, end) as pyannote writes them."""
    return "".join(
        f"SPEAKER {name} 1 {start:.3f} {end - start:.3f} <NA> <NA> {speaker} <NA> <NA>\n"
        for speaker, start, end in turns
    )

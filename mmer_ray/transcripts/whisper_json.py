"""The JSON of Whisper, faster-whisper and WhisperX, as written by their own tools.

- Whisper (`whisper/utils.py`, WriteJSON): `{"text", "segments", "language"}`, words under `segments[].words` with
  `probability`.
- WhisperX (`whisperx/schema.py`): `{"segments", "word_segments", "language"}`, words with `score`; `speaker` on
  segments and words once speakers were assigned. Words that could not be aligned have no times.
- faster-whisper writes no file: its `Segment`s as dictionaries, in a list or under `segments`, with `info` or the
  fields of `TranscriptionInfo` beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import nan

from pydantic import BaseModel, FiniteFloat, TypeAdapter, ValidationError

from mmer_ray.errors import SourceError
from mmer_ray.export.word_times import timed_words
from mmer_ray.records import GivenWord, SpeakerTurn, Utterance, Word

REMEDY = "expected the JSON of WhisperX, Whisper or faster-whisper: `segments` with start, end and text"


class _Word(BaseModel):
    word: str
    start: FiniteFloat | None = None
    end: FiniteFloat | None = None
    score: FiniteFloat | None = None
    probability: FiniteFloat | None = None
    speaker: str | None = None


class _Segment(BaseModel):
    start: FiniteFloat
    end: FiniteFloat
    text: str
    avg_logprob: FiniteFloat | None = None
    speaker: str | None = None
    words: list[_Word] | None = None


class _Info(BaseModel):
    language: str | None = None
    language_probability: FiniteFloat | None = None


class Transcript(_Info):
    """A parsed file."""

    segments: list[_Segment]
    info: _Info | None = None

    @property
    def language_and_p(self) -> tuple[str | None, float | None]:
        """The language and its probability, each None where the file says nothing."""
        known = self.info or self
        return known.language, known.language_probability

    def words(self) -> tuple[GivenWord, ...]:
        """Its words by start. A word without times has those of its segment: it shares evenly the gap between the
        timed words around it, or the segment's border; so do all words of a segment that has a text alone. Its
        probability is NaN where the file gives none."""
        found = (word for segment in self.segments for word, _ in _timed(segment))
        return tuple(sorted(found, key=lambda word: (word.start_s, word.end_s)))

    def turns(self) -> tuple[SpeakerTurn, ...] | None:
        """Stretches of words of one speaker inside a segment, by start; None where no speaker is named."""
        turns = [turn for segment in self.segments for turn in _turns(segment)]
        return tuple(sorted(turns, key=lambda turn: (turn.start_s, turn.end_s))) or None


_SEGMENTS = TypeAdapter(list[_Segment])


def parse(data: bytes, name: str) -> Transcript:
    """Read a file's bytes. Raises `SourceError` with its name and the remedy for anything but the three layouts."""
    try:
        if data.lstrip().startswith(b"["):
            transcript = Transcript(segments=_SEGMENTS.validate_json(data))
        else:
            transcript = Transcript.model_validate_json(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise SourceError(f"{name} is no transcript: {place}: {first['msg']}; {REMEDY}") from exc
    for at, segment in enumerate(transcript.segments):
        if not 0 <= segment.start <= segment.end:
            times = f"{segment.start} to {segment.end} s"
            raise SourceError(f"{name} is no transcript: segments.{at} lasts from {times}; {REMEDY}")
    return transcript


def _timed(segment: _Segment) -> Iterator[tuple[GivenWord, str | None]]:
    """The words of a segment with times and speakers."""
    said = [word for word in segment.words or () if word.word.strip()]
    words = tuple(Word(word.word.strip(), word.start, word.end, _p(word)) for word in said)
    timed = timed_words(Utterance(segment.start, segment.end, 0, "", segment.text, words))
    speakers = [word.speaker or segment.speaker for word in said] or [segment.speaker] * len(timed)
    for word, speaker in zip(timed, speakers, strict=True):
        p = nan if word.p is None else word.p
        yield GivenWord(word.word, word.start_s, max(word.end_s, word.start_s), p, segment.avg_logprob), speaker


def _p(word: _Word) -> float:
    return next((p for p in (word.score, word.probability) if p is not None), nan)


def _turns(segment: _Segment) -> Iterator[SpeakerTurn]:
    for speaker, run in groupby(_timed(segment), key=lambda pair: pair[1]):
        if speaker is not None:
            yield _turn([word for word, _ in run], speaker)


def _turn(words: Sequence[GivenWord], speaker: str) -> SpeakerTurn:
    return SpeakerTurn(words[0].start_s, max(word.end_s for word in words), 0, speaker)

"""Scorers without models: they answer at once or after a delay, and count what is asked of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from mmer_ray.errors import ErrorCode
from mmer_ray.records import (
    AudioFacts,
    CallMeasures,
    Emotion,
    Failure,
    Recording,
    ScoredRecording,
    SpeakerTurn,
    Utterance,
    Word,
)
from mmer_ray.serving.interface import Asked, ScorersUnavailableError, Served
from mmer_ray.stages.keys import Keys

KEYS = Keys(
    decode="1" * 16,
    diarize="2" * 16,
    transcribe="3" * 16,
    join="4" * 16,
    emotion="5" * 16,
    link="6" * 16,
    scorer="cheap-0123456789abcdef",
    limits="7" * 16,
)
SERVED = Served(profile="cheap", keys=KEYS, models={"transcribe.model": "0" * 64}, names={"transcribe.model": "cheap"})
EMOTION = Emotion(
    scorer=KEYS.scorer,
    label="happy",
    probabilities={"angry": 0.1, "happy": 0.7, "neutral": 0.2},
    confidence=0.7,
    valence=0.5,
    arousal=0.25,
    dominance=0.0,
)
UTTERANCES = (
    Utterance(
        start_s=0.25,
        end_s=1.25,
        channel=0,
        speaker="S1",
        text="good morning",
        words=(Word("good", 0.25, 0.75, 0.9), Word("morning", 0.75, 1.25, 0.8)),
        language="en",
        language_p=0.9,
        asr_logprob=-0.25,
        emotions=(EMOTION,),
    ),
    Utterance(
        start_s=1.5,
        end_s=1.75,
        channel=0,
        speaker="S2",
        text="hello",
        words=(Word("hello", 1.5, 1.75, 0.9),),
        language="en",
        language_p=0.9,
        asr_logprob=-0.5,
        emotions=(Emotion(scorer=KEYS.scorer, label=None, skip_reason="too_short"),),
    ),
)
SCORED = ScoredRecording(
    recording=Recording(uri=""),
    status="scored",
    audio=AudioFacts(
        content_digest="0" * 32, duration_s=2.0, channels=1, sample_rate_hz=16_000, codec="pcm_s16le", container="wav"
    ),
    utterances=UTTERANCES,
    turns=(SpeakerTurn(0.25, 1.25, 0, "S1"), SpeakerTurn(1.5, 1.75, 0, "S2")),
    scorer=KEYS.scorer,
    measures=CallMeasures(
        num_utterances=2,
        talk_s={"S1": 1.0, "S2": 0.25},
        silence_s=0.75,
        overlap_s=0.0,
        interruptions=0,
        words_per_minute={"S1": 120.0, "S2": 240.0},
        longest_monologue_s=1.0,
        valence_by_quarter=(0.5, None, None, None),
    ),
    num_speakers=2,
    speech_s=1.25,
    non_speech_s=0.75,
    language="en",
    language_p=0.9,
)
"""What is answered: two seconds, two speakers, one utterance too short for an emotion."""


def failed(code: ErrorCode, message: str = "made to fail") -> ScoredRecording:
    """The answer for a clip that cannot be scored."""
    return ScoredRecording(recording=Recording(uri=""), status="failed", failure=Failure(code, "decode", message))


@dataclass
class CheapScorers:
    """`Scorers` in this process. Settings may be changed between requests."""

    answer: ScoredRecording | Exception = SCORED
    """What `score` returns or raises."""
    delay_s: float = 0.0
    """An answer takes this long."""
    is_ready: bool = True
    asked: list[Asked] = field(default_factory=list)
    """What was asked, in order."""
    num_running: int = 0
    most_running: int = 0
    num_answered: int = 0
    num_cancelled: int = 0

    @property
    def num_asked(self) -> int:
        return len(self.asked)

    async def served(self) -> Served:
        if not self.is_ready:
            raise ScorersUnavailableError("no replica is ready")
        return SERVED

    async def score(self, asked: Asked) -> ScoredRecording:
        self.asked.append(asked)
        if not self.is_ready:
            raise ScorersUnavailableError("no replica is ready")
        self.num_running += 1
        self.most_running = max(self.most_running, self.num_running)
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.num_cancelled += 1
            raise
        finally:
            self.num_running -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        self.num_answered += 1
        return replace(self.answer)

"""The models behind two calls: windows are heard, clips are felt."""

from __future__ import annotations

from collections.abc import Sequence

from mmer_ray.diarizers.interface import Diarizer
from mmer_ray.pipelines.clock import Clock
from mmer_ray.profiles import Profile
from mmer_ray.recognizers.interface import Recognizer
from mmer_ray.records import Clip, Emotion, Expected, Window
from mmer_ray.stages.diarize import diarize
from mmer_ray.stages.emotion import AdaptingScorer, Answer, EmotionScorer
from mmer_ray.stages.transcribe import transcribe


class Engine:
    """A diarizer, a recognizer and an emotion scorer in memory.

    It reads no file, starts no thread and changes no setting of the process; several threads may call it at once.
    """

    def __init__(self, diarizer: Diarizer | None, recognizer: Recognizer | None, emotion: EmotionScorer) -> None:
        """Without a diarizer and a recognizer it feels and cannot hear."""
        self._diarizer = diarizer
        self._recognizer = recognizer
        self._emotion = emotion

    @classmethod
    def load(cls, profile: Profile, *, hears: bool = True) -> Engine:
        """Load the members that a profile names; without `hears` the emotion scorer alone.

        Raises `PreflightError` where a model is missing.
        """
        from mmer_ray.audio.vad import load_vad
        from mmer_ray.diarizers.members import load_diarizer
        from mmer_ray.recognizers.members import load_recognizer
        from mmer_ray.stages.emotion import load_scorer

        if not hears:
            return cls(None, None, load_scorer(profile.emotion))
        diarizer = load_diarizer(profile.diarize, load_vad(profile.vad))
        return cls(diarizer, load_recognizer(profile.transcribe), load_scorer(profile.emotion))

    @property
    def scorer(self) -> str:
        """Name and digest of the emotion model."""
        return self._emotion.scorer

    @property
    def reads_dialogue(self) -> bool:
        """Whether an emotion depends on the other clips of the same dialogue."""
        return self._emotion.reads_dialogue

    @property
    def join_threshold(self) -> float:
        """Cosine distance above which the speaker embeddings of two windows are of two people."""
        assert self._diarizer is not None, "an engine that cannot hear joins no windows"
        return self._diarizer.join_threshold

    def check_expected(self, expected: Expected) -> None:
        """Raise `UsageError` for what the recognizer cannot heed; the message begins with the field that is meant."""
        assert self._recognizer is not None, "an engine that cannot hear expects nothing"
        self._recognizer.check_expected(expected)

    def hear(self, windows: Sequence[Window], clock: Clock | None = None) -> list[Window]:
        """Add turns, speaker embeddings and utterances to windows: same order, one out per in.

        Speakers are local to their window; times are whole milliseconds. `clock` is told the seconds of each stage.
        """
        assert self._diarizer is not None, "an engine without a diarizer was asked to hear"
        assert self._recognizer is not None
        clock = clock or Clock()
        with clock.stage("diarize"):
            diarized = diarize(windows, self._diarizer)
        with clock.stage("transcribe"):
            return transcribe(diarized, self._recognizer)

    def feel(self, clips: Sequence[Clip], clock: Clock | None = None) -> list[Answer]:
        """Score clips: one answer each, in order. Clips of one dialogue stand together, in order of time.

        Answers are emotions, or what `conclude` makes emotions of, for a model that adapts to speakers.
        """
        clock = clock or Clock()
        with clock.stage("emotion"):
            if isinstance(self._emotion, AdaptingScorer):
                return list(self._emotion.describe(clips))
            return list(self._emotion.predict(clips))

    def conclude(self, answers: Sequence[Answer], speakers: Sequence[str], clock: Clock | None = None) -> list[Emotion]:
        """Make emotions of the answers to all clips of a recording, in order, given who speaks in each. What is an
        emotion already stays, and counts for nobody else's."""
        if not isinstance(self._emotion, AdaptingScorer):
            return [answer for answer in answers if isinstance(answer, Emotion)]
        clock = clock or Clock()
        with clock.stage("emotion"):
            described = [None if isinstance(answer, Emotion) else answer for answer in answers]
            emotions = self._emotion.conclude(described, speakers)
        pairs = zip(answers, emotions, strict=True)
        return [answer if isinstance(answer, Emotion) else emotion for answer, emotion in pairs]

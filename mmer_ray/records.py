"""The nouns of the pipeline. Times are float seconds from the start of the recording.

A `Recording` is planned, decoded into `Window`s plus one `AudioFacts`, and comes out of the pipeline as a
`ScoredRecording`. Everything but `Window` is plain data that survives a round trip through JSON, so it may
cross process and machine borders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from mmer_ray.errors import ErrorCode, Flag

SAMPLE_RATE_HZ = 16_000
"""The rate of all audio behind the decoder."""
SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000
"""A whole number: a time in milliseconds is an exact sample."""

GUESSED_BYTES_PER_S = 32_000
"""16-bit mono at 16 kHz: the length of a file whose header says nothing is guessed from its size."""

Samples = npt.NDArray[np.int16]
Embedding = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recording:
    """One audio file as the planner sees it, before a byte is decoded."""

    uri: str
    """Absolute path, `file://` URL (for names that are not UTF-8), `s3://` address, or `parquet://` and a row."""
    corpus: str = "default"
    root: str = ""
    """The folder or prefix that the file must lie in once links are resolved."""
    size_bytes: int = 0
    """Of a row of a Parquet file: the mean of its row group."""
    modified: str = ""
    """Modification mark: mtime in nanoseconds, or an etag; with given files, their digest too (`transcripts/mark.py`).
    A new mark means new input."""
    day: str = "1970-01-01"
    """UTC day of the recording (manifest column `recorded_at`, else the file's mtime), YYYY-MM-DD."""
    expected_s: float | None = None
    """Duration that the header claims and the size allows, or an estimate from the size; None when unknown."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 1

    @property
    def planned_s(self) -> float:
        """Seconds that planning counts: `expected_s`, else a guess from the file's size."""
        return self.size_bytes / GUESSED_BYTES_PER_S if self.expected_s is None else self.expected_s


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What decoding found: known once the last window has left the decoder."""

    content_digest: str
    """32 hex digits: BLAKE2b-128 of the file's bytes, with given files that of both (`transcripts/mark.py`). The lake,
    which holds the key, makes the recording_id of it."""
    duration_s: float
    channels: int
    """Channels in the file; at most two are kept apart."""
    sample_rate_hz: int
    """The file's own rate."""
    codec: str
    container: str
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """One stretch of one speaker inside a window."""

    start_s: float
    end_s: float
    speaker: int
    """Index of the speaker inside the window, from 0."""
    confidence: float | None = None
    """How much nearer the voice is to this speaker than to the next, 0..1 (`diarizers/confidence.py`); None where the
    window holds one speaker, or the diarizer does not say."""


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """One stretch of one speaker in a recording, speakers joined over windows."""

    start_s: float
    """Whole milliseconds, as `end_s`."""
    end_s: float
    channel: int
    speaker: str
    """`S1`, `S2`, .. as in the utterances."""
    confidence: float | None = None
    """As `Turn.confidence`."""
    speaker_name: str | None = None
    """As `Utterance.speaker_name`."""

    @property
    def called(self) -> str:
        """As `Utterance.called`."""
        return self.speaker_name or self.speaker


@dataclass(frozen=True, slots=True)
class KeptPieces:
    """What a diarizer knew of a window before it counted speakers: enough to count them again without the sound."""

    num_pieces: int = 0
    embeddings: bytes = b""
    """Of the pieces in order: float16, little-endian, shape (num_pieces, embedding_dim); empty where nobody speaks."""
    activity: bytes = b""
    """`diarizers.local_reading.LocalReading.packed`; empty where nobody speaks."""


@dataclass(frozen=True, slots=True)
class WindowPieces:
    """The pieces of one window of a recording."""

    window_idx: int
    """`Window.index`."""
    channel: int
    start_sample: int
    """Counted at 16 kHz from the start of the recording."""
    num_samples: int
    one_speaker: bool
    """As `Window.one_speaker`: then nothing is kept."""
    kept: KeptPieces


@dataclass(frozen=True, slots=True)
class Word:
    """One word. Times are None where alignment found none."""

    word: str
    start_s: float | None
    end_s: float | None
    p: float
    """Mean probability of the word's characters, 0..1."""


class DroppedWords(NamedTuple):
    """Words that a recognizer read and does not believe."""

    reason: str
    """Which of the recognizer's rules they broke."""
    num_words: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class GivenWord:
    """A word of a given transcript; times in seconds from the start of the recording."""

    word: str
    start_s: float
    end_s: float
    p: float
    """Its probability; NaN where the transcript has none."""
    logprob: float | None = None
    """Mean log probability of its segment; None where the transcript has none."""


@dataclass(frozen=True, slots=True)
class Given:
    """What others found in a recording: it takes the place of a stage."""

    words: tuple[GivenWord, ...] | None = None
    """Sorted by start; None: to be transcribed."""
    turns: tuple[SpeakerTurn, ...] | None = None
    """Sorted by start; None: to be diarized."""
    language: str | None = None
    language_p: float | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What a caller knows beforehand of one recording's words; empty: what the profile says."""

    languages: tuple[str, ...] = ()
    """ISO 639-1 codes that its speech may be in."""
    keywords: tuple[str, ...] = ()
    """Names and terms to expect, as `transcribe.keywords`."""
    prompt: str = ""
    """Text that may have come before, for members that go on from one."""


class Clip(NamedTuple):
    """One utterance as an emotion model is asked about it."""

    samples: npt.NDArray[np.float32]
    """Mono 16 kHz, float32 in -1..1, shape (num_samples,)."""
    text: str
    """The transcript; it may be empty."""
    language: str | None = None
    dialogue: int | None = None
    """Clips with the same number are one dialogue, in order of time, for models that read one; None: alone."""
    speaker: str | None = None
    """Who speaks, as `Utterance.speaker`: equal names in one dialogue are one speaker; None: nobody knows."""


@dataclass(frozen=True, slots=True)
class Emotion:
    """One model's answer for one utterance."""

    scorer: str
    """Name and digest of the model."""
    label: str | None
    """The most probable class; None when skipped or withheld."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Class name -> probability; sums to 1, also of a withheld label; empty when skipped."""
    confidence: float | None = None
    valence: float | None = None
    """-1..1, as arousal and dominance; None for models without dimensions."""
    arousal: float | None = None
    dominance: float | None = None
    skip_reason: str | None = None
    """Why there is no label: `too_short` (skipped), `policy` (never asked), `low_confidence` (withheld); None where
    there is one."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One speaker's words without a long pause, at most 30 s: the unit that emotion is scored on."""

    start_s: float
    """Whole milliseconds, as `end_s` and the times of the words: the lake's rows give back the same sound."""
    end_s: float
    channel: int
    speaker: str
    """`W<window>:<local speaker>` until `join` joins speakers across windows; then `S1`, `S2`, ... by first words."""
    text: str
    words: tuple[Word, ...] = ()
    language: str | None = None
    language_p: float | None = None
    """Probability of the language; None where the recognizer gives none."""
    asr_logprob: float | None = None
    """Mean log probability per frame of the transcript."""
    fallback_reason: str | None = None
    """Why the recognizer decoded this stretch a second time; None where the first answer stood."""
    overlap_s: float = 0.0
    """Seconds in which somebody else speaks too; filled by `join`."""
    speaker_confidence: float | None = None
    """The mean over this speaker's turns in it, by seconds (`Turn.confidence`); filled by `join`. None where no turn
    has one."""
    snr_db: float | None = None
    speaker_is_channel: bool = False
    """True where the channel holds one party, which is the speaker: only then a role can be told."""
    dialogue_idx: int = 0
    """Utterances of a recording with the same number form one dialogue for models that read one."""
    role: str | None = None
    emotions: tuple[Emotion, ...] = ()
    """Empty until an emotion model has answered."""
    speaker_name: str | None = None
    """The name that somebody gave the speaker (`mmer speakers rename`); None: only `speaker` is known."""

    @property
    def called(self) -> str:
        """The speaker as people are shown it: by name, where there is one."""
        return self.speaker_name or self.speaker


@dataclass(frozen=True)
class Window:
    """The unit of work: at most `window_s` of one channel of one recording, cut at a pause."""

    recording: Recording
    index: int
    """Position among the recording's windows, over all channels."""
    channel: int
    start_s: float
    end_s: float
    samples: Samples
    """Mono 16 kHz, int16, shape (num_samples,). Empty once the models are done with it."""
    one_speaker: bool = False
    """True when each channel holds one party: the channel is the speaker. False: anybody may speak here."""
    turns: tuple[Turn, ...] = ()
    """Sorted by start; empty when nobody speaks."""
    embeddings: tuple[Embedding, ...] = ()
    """One L2-normalised vector per local speaker, float32, shape (embedding_dim,); empty with `one_speaker`."""
    utterances: tuple[Utterance, ...] = ()
    dropped: tuple[DroppedWords, ...] = ()
    """What the recognizer read and does not believe: in no utterance. Sorted by start."""
    given: Given | None = None
    """What is given of this window and need not be found."""
    expected: Expected = Expected()
    exclusive_turns: tuple[Turn, ...] = ()
    """`turns` with one speaker at a time, for what can be of one person only, as a word; empty where `turns` is so."""
    kept: KeptPieces | None = None
    """As `Diarization.kept`."""

    def without_samples(self) -> Window:
        """The same window, its audio let go."""
        return replace(self, samples=np.empty(0, dtype=np.int16))


@dataclass(frozen=True, slots=True)
class CallMeasures:
    """How a conversation went. Definitions are in `stages/measures.py`."""

    num_utterances: int
    talk_s: Mapping[str, float]
    """Speaker -> seconds of speech."""
    silence_s: float
    overlap_s: float
    interruptions: int
    words_per_minute: Mapping[str, float]
    longest_monologue_s: float
    valence_by_quarter: tuple[float | None, ...] = ()
    """Mean valence of the utterances that start in each quarter of the recording; None where none does."""
    worst_window_start_s: float | None = None
    """Start of the 30 s with the lowest mean valence."""
    worst_window_valence: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a recording has no results."""

    code: ErrorCode
    stage: str
    message: str


Restart = Literal["decode", "emotion", "link"]
"""The first step that a recording has to go through again: everything, emotion and measures, or measures alone."""


@dataclass(frozen=True, slots=True)
class ScoredRecording:
    """The answer for one recording: scored, or failed with a reason."""

    recording: Recording
    status: Literal["scored", "failed"]
    restart: Restart = "decode"
    """Where this answer began: what came before it was read from the lake and is not written again."""
    audio: AudioFacts | None = None
    failure: Failure | None = None
    utterances: tuple[Utterance, ...] = ()
    """Sorted by start; speakers and overlaps final."""
    turns: tuple[SpeakerTurn, ...] = ()
    """Sorted by start."""
    pieces: tuple[WindowPieces, ...] = ()
    """By window; empty where the diarizer keeps nothing, or each channel is a speaker, and of what the lake knows."""
    dropped: tuple[DroppedWords, ...] = ()
    """Words that the recognizer read and does not believe: in no utterance. Sorted by start."""
    heard_key: str | None = None
    """The hearing that these are the results of; None: that of the job's keys. Another where the speakers were counted
    again (`mmer recluster`)."""
    scorer: str | None = None
    """Name of the emotion model that was asked, also where there was no utterance to ask it about."""
    measures: CallMeasures | None = None
    num_speakers: int = 0
    speech_s: float = 0.0
    """Seconds in which at least one person speaks, on any channel."""
    non_speech_s: float = 0.0
    """The other seconds, summed over the gaps, not as duration minus speech: the ledger compares the two."""
    overlap_s: float = 0.0
    language: str | None = None
    language_p: float | None = None
    """None where nothing is known."""
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    """Stage -> wall seconds spent on this recording."""
    gpu_seconds: Mapping[str, float] = field(default_factory=dict)
    """Stage -> seconds of GPU time spent on this recording; empty without a GPU."""


@dataclass(frozen=True, slots=True)
class Task:
    """One recording and where its work begins."""

    recording: Recording
    restart: Restart = "decode"
    known: ScoredRecording | None = None
    """What the lake holds of it: needed unless the work begins at `decode`. With `link` its utterances carry the
    emotions of the wanted scorer, with `emotion` none."""
    given: Given | None = None
    """What others found in it, for work that begins at `decode`."""
    expected: Expected = Expected()
    """What is known of its words, for work that begins at `decode`."""

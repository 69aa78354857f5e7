"""Labelled folders of acted speech, read into clips at 16 kHz."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal

from mmer_ray.errors import UsageError
from mmer_ray.models.interface import Clip
from mmer_ray.records import SAMPLE_RATE_HZ

Sex = Literal["female", "male"]
Samples = NDArray[np.float32]

LEVEL_FRAME_S = 0.01
SPEECH_RANGE_DB = 35.0
"""Frames this far below the loudest still count as speech: the last sounds of a sentence fade by about 30 dB."""
MARGIN_S = 0.1

RAVDESS_EMOTIONS: Mapping[str, str] = {"01": "neutral", "02": "neutral", "03": "happy", "04": "sad", "05": "angry"}
"""Code of the file name -> feeling; calm counts as neutral, the other codes are left out."""
RAVDESS_SENTENCES: Mapping[str, str] = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
_RAVDESS_NAME = re.compile(r"\d\d-\d\d-(?P<emotion>\d\d)-\d\d-(?P<sentence>\d\d)-\d\d-(?P<actor>\d\d)")
CREMA_D_EMOTIONS: Mapping[str, str] = {"NEU": "neutral", "HAP": "happy", "SAD": "sad", "ANG": "angry"}
_CREMA_D_NAME = re.compile(r"(?P<actor>\d{4})_(?P<sentence>[A-Z]{3})_(?P<emotion>[A-Z]{3})_[A-Z]{2}")
EMODB_EMOTIONS: Mapping[str, str] = {"N": "neutral", "L": "neutral", "F": "happy", "T": "sad", "W": "angry"}
"""Of the German names: neutral, Langeweile, Freude, Trauer, Wut. Boredom counts as neutral, as calm of RAVDESS does:
little arousal without grief."""
EMODB_MEN = frozenset({"03", "10", "11", "12", "15"})
"""By the corpus's own list of its speakers; the median pitch of their neutral speech agrees (108 to 148 Hz, the women's
165 to 212 Hz)."""
_EMODB_NAME = re.compile(r"(?P<actor>\d\d)(?P<sentence>[ab]\d\d)(?P<emotion>[A-Z])[a-z]")
_AUDIO_SUFFIXES = frozenset({".flac", ".wav"})


@dataclass(frozen=True)
class LabelledClip:
    """One utterance, who said it and what is felt in it."""

    clip: Clip
    label: str
    speaker: str
    sex: Sex | None = None
    sentence: str | None = None
    """Which of the corpus's sentences is said; None where that is not known."""


def read_ravdess(folder: Path) -> list[LabelledClip]:
    """Read the four feelings of RAVDESS speech (Livingstone and Russo 2018) under `folder/Actor_NN`, sorted by name.

    Samples are float32 at 16 kHz with the silence around the speech cut off. Raises `UsageError` where none is found.
    """
    paths = [path for path in sorted(folder.glob("Actor_*/*")) if path.suffix in _AUDIO_SUFFIXES]
    clips = [clip for path in paths if (clip := _read_ravdess_clip(path)) is not None]
    if not clips:
        raise UsageError(f"{folder} holds no labelled speech: expected Actor_NN/03-01-EE-II-SS-RR-AA.flac or .wav")
    return clips


def read_corpus(folder: Path) -> list[LabelledClip]:
    """Read the four feelings of RAVDESS, CREMA-D (Cao et al. 2014) or EmoDB (Burkhardt et al. 2005), by files' names.

    Samples are as of `read_ravdess`; of CREMA-D and EmoDB there is no text. Raises `UsageError` where the folder holds
    none of the three.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix in _AUDIO_SUFFIXES)
    if any(_RAVDESS_NAME.fullmatch(path.stem) for path in paths):
        return read_ravdess(folder)
    for pattern, emotions, sex_of in (
        (_CREMA_D_NAME, CREMA_D_EMOTIONS, _unknown_sex),
        (_EMODB_NAME, EMODB_EMOTIONS, _sex_in_emodb),
    ):
        named = [(path, name) for path in paths if (name := pattern.fullmatch(path.stem)) is not None]
        clips = [
            LabelledClip(
                Clip(trim(read_speech(path)), ""),
                emotions[name["emotion"]],
                name["actor"],
                sex_of(name["actor"]),
                name["sentence"],
            )
            for path, name in named
            if name["emotion"] in emotions
        ]
        if clips:
            return clips
    raise UsageError(
        f"{folder} holds no labelled speech: expected RAVDESS (Actor_NN/03-01-EE-II-SS-RR-AA.wav), CREMA-D "
        "(AudioWAV/AAAA_SSS_EEE_LL.wav) or EmoDB (wav/AASSSEV.wav), as .flac or .wav"
    )


def read_speech(path: Path) -> Samples:
    """Read any file that libsndfile knows as mono 16 kHz: float32 in -1..1, shape (num_samples,)."""
    sound_SC, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    samples = sound_SC.mean(axis=1)
    if rate_hz != SAMPLE_RATE_HZ:
        divisor = gcd(rate_hz, SAMPLE_RATE_HZ)
        samples = signal.resample_poly(samples, SAMPLE_RATE_HZ // divisor, rate_hz // divisor)
    return np.asarray(samples, np.float32)


def trim(samples: Samples) -> Samples:
    """Cut off the silence before and after speech, but for `MARGIN_S`; float32, shape (num_samples,), 16 kHz.

    >>> tone = np.sin(np.arange(16_000)).astype(np.float32)
    >>> len(trim(np.concatenate([np.zeros(8_000, np.float32), tone, np.zeros(8_000, np.float32)])))
    19200
    """
    frame, margin = round(LEVEL_FRAME_S * SAMPLE_RATE_HZ), round(MARGIN_S * SAMPLE_RATE_HZ)
    num_frames = len(samples) // frame
    if not num_frames:
        return samples
    powers = np.square(samples[: num_frames * frame]).reshape(num_frames, frame).mean(axis=1)
    loud = np.flatnonzero(powers >= powers.max() * 10 ** (-SPEECH_RANGE_DB / 10))
    start, end = loud[0] * frame - margin, (loud[-1] + 1) * frame + margin
    return samples[max(0, start) : end]


def sexes(clips: list[LabelledClip]) -> dict[str, Sex | None]:
    """Name every speaker and, where known, the sex: what folds are dealt from."""
    return {clip.speaker: clip.sex for clip in clips}


def _read_ravdess_clip(path: Path) -> LabelledClip | None:
    name = _RAVDESS_NAME.fullmatch(path.stem)
    if name is None or name["emotion"] not in RAVDESS_EMOTIONS or name["sentence"] not in RAVDESS_SENTENCES:
        return None
    return LabelledClip(
        clip=Clip(trim(read_speech(path)), RAVDESS_SENTENCES[name["sentence"]]),
        label=RAVDESS_EMOTIONS[name["emotion"]],
        speaker=name["actor"],
        sex="male" if int(name["actor"]) % 2 else "female",
        sentence=name["sentence"],
    )


def _unknown_sex(actor: str) -> Sex | None:
    return None


def _sex_in_emodb(actor: str) -> Sex | None:
    return "male" if actor in EMODB_MEN else "female"

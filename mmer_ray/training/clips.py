"""The samples of an utterance, read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal

from mmer_ray.errors import SourceError
from mmer_ray.records import SAMPLE_RATE_HZ, Clip
from mmer_ray.training.utterances import Sound, Utterance

Samples = NDArray[np.float32]

LEVEL_FRAME_S = 0.01
SPEECH_RANGE_DB = 35.0
"""Frames this far below the loudest still count as speech: the last sounds of a sentence fade by about 30 dB."""
MARGIN_S = 0.1
LIBSNDFILE_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".au", ".w64", ".caf"})


def load_clip(utterance: Utterance) -> Clip:
    """Read what a model is asked: mono samples at 16 kHz, float32 in -1..1, and the transcript, "" where there is none.

    Raises `SourceError`, naming the file and where the corpus speaks of it.
    """
    try:
        samples = read_sound(utterance.sound)
    except (OSError, soundfile.LibsndfileError, av.FFmpegError, IndexError) as exc:
        said = f" (named in {utterance.read_from})" if utterance.read_from else ""
        raise SourceError(
            f"{utterance.sound.path}{said} cannot be read as sound: {exc}; repair the file or take the utterance out"
        ) from exc
    if not len(samples):
        raise SourceError(f"{utterance.sound.path} holds no sound of utterance {utterance.utterance_id}")
    return Clip(samples, utterance.text or "", speaker=utterance.speaker)


def read_sound(sound: Sound) -> Samples:
    """Read a sound as mono 16 kHz: float32 in -1..1, shape (num_samples,).

    Raises what the reader of the format raises, and `IndexError` for a channel that the file does not have.
    """
    is_plain = sound.path.suffix.lower() in LIBSNDFILE_SUFFIXES
    sound_SC, rate_hz = _read_frames(sound) if is_plain else _decode_frames(sound)
    if sound.channel is not None and sound.channel >= sound_SC.shape[1]:
        raise IndexError(f"there is no channel {sound.channel}, the file has {sound_SC.shape[1]}")
    samples = resampled(sound_SC.mean(axis=1) if sound.channel is None else sound_SC[:, sound.channel], rate_hz)
    return trim(samples) if sound.trimmed else samples


def read_speech(path: Path) -> Samples:
    """Read a whole file as mono 16 kHz: float32 in -1..1, shape (num_samples,)."""
    return read_sound(Sound(path))


def resampled(samples: NDArray[np.floating], rate_hz: int) -> Samples:
    """Bring samples of shape (num_samples,) to 16 kHz, as float32."""
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


def _read_frames(sound: Sound) -> tuple[NDArray[np.float32], int]:
    """The frames of a file that libsndfile reads, of the wanted stretch alone: shape (S, channels), and the rate."""
    with soundfile.SoundFile(sound.path) as file:
        rate_hz: int = file.samplerate
        start, end = _range(sound, rate_hz)
        file.seek(min(start, file.frames))
        return file.read(-1 if end is None else max(0, end - start), dtype="float32", always_2d=True), rate_hz


def _decode_frames(sound: Sound) -> tuple[NDArray[np.float32], int]:
    """The frames of the first audio track of any other container, films among them."""
    with av.open(str(sound.path), metadata_errors="ignore") as container:
        if not container.streams.audio:
            raise IndexError("the file has no audio track")
        track = container.streams.audio[0]
        rate_hz = int(track.rate)
        blocks = list(_planes(container, track))
    frames_SC = np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)
    start, end = _range(sound, rate_hz)
    return frames_SC[start:end], rate_hz


def _planes(container: av.container.InputContainer, track: av.AudioStream) -> Iterator[NDArray[np.float32]]:
    resampler = av.AudioResampler(format="fltp")
    for frame in [*container.decode(track), None]:
        for converted in resampler.resample(frame):
            yield converted.to_ndarray().T.astype(np.float32, copy=False)


def _range(sound: Sound, rate_hz: int) -> tuple[int, int | None]:
    """First frame, and the one after the last."""
    return sound.start_ms * rate_hz // 1000, None if sound.end_ms is None else sound.end_ms * rate_hz // 1000

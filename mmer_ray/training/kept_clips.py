"""The sounds of utterances: read when a batch needs them, and kept while there is room."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from mmer_ray.errors import SourceError
from mmer_ray.models.interface import Clip
from mmer_ray.training.clips import LIBSNDFILE_SUFFIXES, load_clip
from mmer_ray.training.utterances import Utterance

Load = Callable[[Utterance], Clip]
KEPT_BYTES = 512 << 20
"""Two hours of speech: small corpora are decoded once, large ones in every epoch."""


def length_s(utterance: Utterance) -> float:
    """How long an utterance's sound is, by the header of its file, before any trimming.

    Raises `SourceError` where the file cannot be read.
    """
    sound = utterance.sound
    if sound.end_ms is not None:
        return (sound.end_ms - sound.start_ms) / 1_000
    return file_length_s(sound.path) - sound.start_ms / 1_000


def lengthened(samples: NDArray[np.float32], num_samples: int) -> NDArray[np.float32]:
    """Samples with as much silence behind them as they lack of a number: float32, shape (num_samples,) or longer."""
    return np.pad(samples, (0, max(0, num_samples - len(samples))))


class KeptClips:
    """Reads clips, and keeps the first ones up to so many bytes: a training comes back to all of them alike.

    Threads may share it: batches are prepared in one, and the development set is read in another.
    """

    def __init__(self, load: Load = load_clip, kept_bytes: int = KEPT_BYTES) -> None:
        self._load = load
        self._room = kept_bytes
        self._kept: dict[str, Clip] = {}
        self._lock = threading.Lock()

    def __call__(self, utterance: Utterance) -> Clip:
        """The clip of an utterance: float32 samples at 16 kHz and its transcript, empty where there is none."""
        if utterance.utterance_id in self._kept:
            return self._kept[utterance.utterance_id]
        clip = self._load(utterance)
        with self._lock:
            # Two threads may have read the same clip.
            if utterance.utterance_id not in self._kept and clip.samples.nbytes <= self._room:
                self._room -= clip.samples.nbytes
                self._kept[utterance.utterance_id] = clip
        return clip


def file_length_s(path: Path) -> float:
    """How long a file is, by its header. Raises `SourceError` where it cannot be read."""
    try:
        if path.suffix.lower() in LIBSNDFILE_SUFFIXES:
            return float(soundfile.info(path).duration)
        with av.open(str(path), metadata_errors="ignore") as container:
            return (container.duration or 0) / av.time_base
    except (OSError, soundfile.LibsndfileError, av.FFmpegError) as error:
        raise SourceError(
            f"{path} cannot be read as sound: {error}; repair the file or take the utterance out"
        ) from error

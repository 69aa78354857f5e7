"""Speech or not: the voice activity detectors by name. A new one is a class here and a line in the table.

Silero is the network that comes with faster-whisper, with a rule of ours that turns its answers into regions.

The network is recurrent: its answer for a frame leans on the seconds before it, so the same sound at another place of
another window may differ in about 1 % of the frames. Everything else here is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmer_ray.audio.pcm import to_float
from mmer_ray.errors import PreflightError, ProfileError
from mmer_ray.profiles import VadOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

Region = tuple[float, float]
"""Start and end in seconds."""

FRAME_SAMPLES = 512
CONTEXT_SAMPLES = 64
"""The network sees the end of the frame before: both sizes are fixed by its weights."""
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
STATE_SIZE = 128
FRAMES_PER_RUN = 2_048
"""About a minute. The state is handed on, so the number changes memory and not the answer."""

EXIT_FRACTION = 0.2
"""Speech ends below this share of the threshold. Syllables fade: a higher exit chops the ends of words."""
PADDING_BEFORE_S = 0.2
PADDING_AFTER_S = 0.3
"""Quiet first and last sounds lie outside what the network marks. With these paddings it finds 92 % of the AMI
sample's reference speech and all of two_speakers', at a precision of 0.98 and 0.96; without them 72 % and 98 %."""
MIN_SPEECH_S = 0.1
"""Shorter bursts, before padding, are clicks."""


class VoiceDetector(Protocol):
    """Finds speech in mono 16 kHz audio. Safe to call from several threads."""

    @property
    def min_silence_s(self) -> float:
        """Shorter pauses do not end a region."""
        ...

    def regions(self, samples: Samples) -> list[Region]:
        """Find the stretches with speech: sorted, apart by at least `min_silence_s`.

        Takes int16, shape (num_samples,). Seconds count from the first sample.
        """
        ...

    def follow(self) -> LiveDetector:
        """Begin with a sound that is still being spoken."""
        ...


class LiveDetector(Protocol):
    """Listens to one channel of mono 16 kHz audio as it comes. One thread at a time."""

    @property
    def threshold(self) -> float:
        """A frame at or above it starts speech; what is below `EXIT_FRACTION` of it does not go on with it."""
        ...

    def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        """Say how likely each frame of `FRAME_S` that these samples complete holds speech: shape (num_frames,).

        Takes int16, shape (num_samples,): what follows on the samples of the call before, in pieces of any size.
        """
        ...


@dataclass(frozen=True)
class Detector:
    """One line of the table."""

    load: Callable[[VadOptions], VoiceDetector]
    weights: Callable[[], Path]
    """Where its network lies. Raises `PreflightError` where it is missing."""


def load_vad(options: VadOptions) -> VoiceDetector:
    """Load the detector that a profile names. Raises `ProfileError` for an unknown one."""
    return _detector(options.model).load(options)


def weights_of(options: VadOptions) -> Path:
    """The file that a detector's answers hang on. Raises `ProfileError` or `PreflightError`."""
    return _detector(options.model).weights()


def _detector(name: str) -> Detector:
    if name not in DETECTORS:
        raise ProfileError(f"vad.model: there is no detector {name!r}; valid: {', '.join(DETECTORS)}")
    return DETECTORS[name]


def silero_weights() -> Path:
    """Where faster-whisper keeps the network; the package itself is not imported, it takes seconds."""
    spec = find_spec("faster_whisper")
    if spec is None or not spec.submodule_search_locations:
        raise PreflightError("faster-whisper, which brings the voice activity detector, is not installed")
    found = sorted(Path(spec.submodule_search_locations[0]).glob("assets/silero_vad_v*.onnx"))
    if not found:
        raise PreflightError("faster-whisper is installed without assets/silero_vad_v*.onnx: install it again")
    return found[-1]


class SileroVad:
    """Finds speech with the Silero network. One core, deterministic."""

    def __init__(self, options: VadOptions) -> None:
        """Load the network. A frame at or above `options.threshold` starts speech."""
        import onnxruntime  # 0.2 s: only who scores audio pays

        settings = onnxruntime.SessionOptions()
        settings.inter_op_num_threads = settings.intra_op_num_threads = 1
        settings.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(
            str(silero_weights()), sess_options=settings, providers=["CPUExecutionProvider"]
        )
        self._threshold = options.threshold
        self.min_silence_s = options.min_silence_s

    def regions(self, samples: Samples) -> list[Region]:
        """As `VoiceDetector.regions`."""
        bursts = above(self.probabilities(samples), self._threshold, self._threshold * EXIT_FRACTION)
        return pad_and_join(bursts, len(samples) / SAMPLE_RATE_HZ, self.min_silence_s)

    def follow(self) -> SileroStream:
        """As `VoiceDetector.follow`."""
        return SileroStream(self._session, self._threshold)

    def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        """Say how likely each frame of 32 ms holds speech: int16, shape (num_samples,) -> shape (num_frames,)."""
        num_frames = -(-len(samples) // FRAME_SAMPLES)
        padded = np.zeros(num_frames * FRAME_SAMPLES, dtype=np.int16)
        padded[: len(samples)] = samples
        return self.follow().probabilities(padded)


class SileroStream:
    """The network's state after what one channel has said so far."""

    def __init__(self, session: Any, threshold: float) -> None:
        self.threshold = threshold
        self._session = session
        self._state = {name: np.zeros((1, 1, STATE_SIZE), dtype=np.float32) for name in "hc"}
        self._unread = np.zeros(CONTEXT_SAMPLES, dtype=np.float32)
        """The end of the last frame, then the beginning of the next."""

    def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        """As `LiveDetector.probabilities`."""
        held = np.concatenate([self._unread, to_float(samples)])
        num_frames = (len(held) - CONTEXT_SAMPLES) // FRAME_SAMPLES
        self._unread = held[num_frames * FRAME_SAMPLES :].copy()
        if num_frames == 0:
            return np.empty(0, dtype=np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(held, CONTEXT_SAMPLES + FRAME_SAMPLES)[::FRAME_SAMPLES]
        answers: list[NDArray[np.float32]] = []
        for first in range(0, num_frames, FRAMES_PER_RUN):
            run = np.ascontiguousarray(frames[first : min(first + FRAMES_PER_RUN, num_frames)])
            speech, self._state["h"], self._state["c"] = self._session.run(None, {"input": run, **self._state})
            answers.append(speech.reshape(-1))
        return np.concatenate(answers)


def above(probabilities: NDArray[np.float32], threshold: float, exit_threshold: float) -> list[Region]:
    """Find runs of frames that reach `threshold` once and never fall below `exit_threshold`, without clicks.

    Takes shape (num_frames,).
    """
    alive = np.concatenate([[False], probabilities >= exit_threshold, [False]])
    edges = np.flatnonzero(alive[1:] != alive[:-1])
    bursts: list[Region] = []
    for first, last in edges.reshape(-1, 2).tolist():
        reached = np.flatnonzero(probabilities[first:last] >= threshold)
        # What rises towards speech is breath and noise: a burst begins where the threshold is reached.
        if len(reached) and (last - first - reached[0]) * FRAME_S >= MIN_SPEECH_S:
            bursts.append(((first + int(reached[0])) * FRAME_S, last * FRAME_S))
    return bursts


def pad_and_join(bursts: list[Region], duration_s: float, min_silence_s: float) -> list[Region]:
    """Widen bursts by the paddings, within 0..duration_s, and join those closer than the shortest silence."""
    joined: list[Region] = []
    for start_s, end_s in bursts:
        start_s, end_s = max(0.0, start_s - PADDING_BEFORE_S), min(duration_s, end_s + PADDING_AFTER_S)
        if joined and start_s - joined[-1][1] < min_silence_s:
            joined[-1] = (joined[-1][0], end_s)
        else:
            joined.append((start_s, end_s))
    return joined


DETECTORS: Mapping[str, Detector] = {
    "silero": Detector(SileroVad, silero_weights),
}

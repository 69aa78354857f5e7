"""Who talks in each frame, with names that hold for a few seconds only: the segmentation network over a window.

The network reads chunks of `chunk_s`, each begun half a chunk after the one before. A frame is read from the chunk in
whose middle it lies, so every frame has at least a quarter of a chunk of sound on either side; only the ends of the
window have less.

Shape letters: F frames of a window, T frames of a chunk, C chunks, L local speakers, K sets of speakers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.audio.pcm import to_float
from mmer_ray.diarizers.local_reading import LocalReading, graded
from mmer_ray.models.gpu_clock import forward_pass
from mmer_ray.models.segmentation.config import SegmentationConfig
from mmer_ray.models.segmentation.model import SegmentationModel, speaker_sets
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

BATCH_CHUNKS = 16
"""Chunks of one forward pass: about 300 MB of activations on a CPU, and few enough to bound a window of any length."""


class LocalReader:
    """Runs the segmentation network over the chunks of many windows at once."""

    def __init__(self, model: SegmentationModel, device: str) -> None:
        self._config = model.config
        self._model = model.to(device)
        self._device = device
        sets = speaker_sets(model.config.num_speakers, model.config.max_simultaneous)
        self._members_KL = np.zeros((len(sets), model.config.num_speakers), np.float32)
        for row, chosen in zip(self._members_KL, sets, strict=True):
            row[list(chosen)] = 1.0

    def read(self, windows: Sequence[Samples]) -> list[LocalReading | None]:
        """Read windows, int16, shape (num_samples,) each: one answer each, None for one shorter than a frame sees."""
        plans = [_plan(len(samples), self._config) for samples in windows]
        by_length: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for window, plan in enumerate(plans):
            if plan is not None:
                by_length[plan.num_samples].extend((window, chunk) for chunk in range(len(plan.begins)))
        answers: dict[tuple[int, int], NDArray[np.float32]] = {}
        for num_samples, places in by_length.items():
            for first in range(0, len(places), BATCH_CHUNKS):
                batch = places[first : first + BATCH_CHUNKS]
                chunks = [_cut(windows[window], plans[window], chunk) for window, chunk in batch]
                assert all(len(chunk) == num_samples for chunk in chunks)
                answers.update(zip(batch, self._predict(np.stack(chunks)), strict=True))
        return [
            None if plan is None else self._reading(plan, [answers[window, chunk] for chunk in range(len(plan.begins))])
            for window, plan in enumerate(plans)
        ]

    def _predict(self, chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        with forward_pass(self._device):
            sets: NDArray[np.float32] = self._model(torch.from_numpy(chunks).to(self._device)).exp().cpu().numpy()
        return sets

    def _reading(self, plan: _Plan, sets: list[NDArray[np.float32]]) -> LocalReading:
        sets_CTK = np.stack(sets)
        return LocalReading(
            frame_samples=self._config.frame_samples,
            first_centre=self._config.receptive_samples // 2,
            chunk_begins=np.array(plan.begins) // self._config.frame_samples,
            middle_ends=np.array(plan.middle_ends),
            probabilities=graded(sets_CTK @ self._members_KL),
            active=self._members_KL[sets_CTK.argmax(axis=2)] > 0,
        )


@dataclass(frozen=True)
class _Plan:
    """How a window is cut into chunks."""

    num_samples: int
    """Of every chunk."""
    begins: tuple[int, ...]
    """First sample of each chunk, a whole number of frames."""
    middle_ends: tuple[int, ...]
    """Frame of the window after each chunk's middle."""


def _plan(num_samples: int, config: SegmentationConfig) -> _Plan | None:
    """Cut a window into chunks; a window shorter than one is one chunk, filled up to whole seconds with zeros."""
    if num_samples < config.receptive_samples:
        return None
    step, seen = config.frame_samples, config.receptive_samples
    chunk_samples = min(round(config.chunk_s), -(-num_samples // SAMPLE_RATE_HZ)) * SAMPLE_RATE_HZ
    num_chunk_frames = 1 + (chunk_samples - seen) // step
    num_frames = 1 + (num_samples - seen) // step
    hop = num_chunk_frames // 2
    num_chunks = 1 + max(0, -(-(num_frames - num_chunk_frames) // hop))
    begins = [min(chunk * hop, max(0, num_frames - num_chunk_frames)) for chunk in range(num_chunks)]
    middle_ends = [
        # Half-way through what two neighbours share.
        (begins[chunk + 1] + begins[chunk] + num_chunk_frames) // 2
        for chunk in range(num_chunks - 1)
    ]
    return _Plan(chunk_samples, tuple(begin * step for begin in begins), (*middle_ends, num_frames))


def _cut(samples: Samples, plan: _Plan | None, chunk: int) -> NDArray[np.float32]:
    assert plan is not None
    begin = plan.begins[chunk]
    sound = to_float(samples[begin : begin + plan.num_samples])
    return np.pad(sound, (0, plan.num_samples - len(sound)))

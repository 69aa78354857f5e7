"""Who talks in each frame of a window, with names that hold inside one chunk only, and the same as bytes. No torch.

Shape letters: C chunks, T frames of a chunk, L local speakers.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmer_ray.records import SAMPLE_RATE_HZ

GRADES = 255
"""Probabilities are kept in so many steps: a byte each."""


@dataclass(frozen=True)
class LocalReading:
    """The answers of all chunks of one window."""

    frame_samples: int
    first_centre: int
    """Sample at the centre of frame 0."""
    chunk_begins: NDArray[np.int64]
    """First frame of each chunk, shape (C,)."""
    middle_ends: NDArray[np.int64]
    """Frame after the middle of each chunk, shape (C,); the middles tile the window."""
    probabilities: NDArray[np.float32]
    """Probability that each local speaker of a chunk talks, float32, shape (C, T, L), one of those of `graded`."""
    active: NDArray[np.bool_]
    """The speakers of the likeliest set, shape (C, T, L)."""

    @property
    def num_frames(self) -> int:
        """Frames of the window."""
        return int(self.middle_ends[-1])

    @property
    def frame_s(self) -> float:
        """Seconds from frame to frame."""
        return self.frame_samples / SAMPLE_RATE_HZ

    def middles(self) -> Iterator[tuple[int, int, int]]:
        """Yield chunk, first and end frame of its middle, in order of time."""
        begin = 0
        for chunk, end in enumerate(self.middle_ends.tolist()):
            yield chunk, begin, end
            begin = end

    def edge_s(self, frame: int) -> float:
        """Where a frame begins, in seconds from the start of the window."""
        return max(0.0, (self.first_centre + (frame - 0.5) * self.frame_samples) / SAMPLE_RATE_HZ)

    def packed(self) -> bytes:
        """All of it but probabilities that nobody asks for: those of silent speakers, and outside the middles."""
        grades_CTL = np.rint(self.probabilities * GRADES).astype(np.uint8) * self.active
        file = io.BytesIO()
        np.savez_compressed(
            file,
            scale=np.array([self.frame_samples, self.first_centre]),
            chunk_begins=self.chunk_begins.astype(np.int32),
            middle_ends=self.middle_ends.astype(np.int32),
            shape=np.array(self.active.shape),
            active=np.packbits(self.active),
            grades=grades_CTL[self._in_middle()],
        )
        return file.getvalue()

    @classmethod
    def unpacked(cls, data: bytes) -> LocalReading:
        """What `packed` made: `diarizers.assignment` answers the same from it."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            frame_samples, first_centre = arrays["scale"].tolist()
            num_chunks, num_frames, num_locals = arrays["shape"].tolist()
            active = np.unpackbits(arrays["active"], count=num_chunks * num_frames * num_locals)
            reading = cls(
                frame_samples=frame_samples,
                first_centre=first_centre,
                chunk_begins=arrays["chunk_begins"].astype(np.int64),
                middle_ends=arrays["middle_ends"].astype(np.int64),
                probabilities=np.zeros((num_chunks, num_frames, num_locals), np.float32),
                active=active.reshape(num_chunks, num_frames, num_locals) > 0,
            )
            reading.probabilities[reading._in_middle()] = arrays["grades"].astype(np.float32) / GRADES
            return reading

    def _in_middle(self) -> NDArray[np.bool_]:
        """Which frames are of the middle of their chunk, shape (C, T)."""
        in_middle_CT = np.zeros(self.active.shape[:2], dtype=bool)
        for chunk, begin, end in self.middles():
            offset = int(self.chunk_begins[chunk])
            in_middle_CT[chunk, begin - offset : end - offset] = True
        return in_middle_CT


def graded(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest probabilities that a byte can keep, none of them 0: what is asked first and what is asked of the
    lake later are the same numbers."""
    return np.maximum(np.rint(probabilities * GRADES), 1).astype(np.float32) / np.float32(GRADES)

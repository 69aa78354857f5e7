"""A copy of a recording's sound with stretches covered: FLAC, 16 kHz, 16 bit, without tags."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, Protocol

import soundfile

from mmer_ray.audio.cover import Cover, covered, sample_ranges
from mmer_ray.records import SAMPLE_RATE_HZ, AudioFacts, Recording, Samples


class GivesSound(Protocol):
    """`audio.decode.Decoder`, as far as it is needed here."""

    def sound(self, recording: Recording) -> Generator[Samples | AudioFacts, None, None]: ...


def write_copy(
    decoder: GivesSound, recording: Recording, stretches_s: Iterable[tuple[float, float]], cover: Cover, path: Path
) -> AudioFacts:
    """Write what the pipeline's decoder hears of a recording, one channel or both of the file's two, stretches (start
    and end in seconds) covered with their margins on all of them; every other sample is as decoded.

    The decoder's own times are those of the lake's rows, whatever the container says. Raises `AudioError`.
    """
    ranges = sample_ranges(stretches_s)
    with contextlib.ExitStack() as stack:
        blocks = stack.enter_context(contextlib.closing(decoder.sound(recording)))
        file: Any = None
        first_sample = 0
        for block in blocks:
            if isinstance(block, AudioFacts):
                return block
            if file is None:
                file = stack.enter_context(_flac(path, block.shape[0]))
            file.write(covered(block, first_sample, ranges, cover).T)
            first_sample += block.shape[1]
    raise AssertionError("a decoder's last word on a recording is its facts")


def _flac(path: Path, num_channels: int) -> Any:
    return soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, num_channels, subtype="PCM_16", format="FLAC")

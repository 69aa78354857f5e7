"""Headers whose lengths are wrong: recorders that died, writers to a pipe, chunks that tools leave."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest

from mmer_ray.errors import Flag
from tests.bad_audio.case import Decode
from tests.bad_audio.containers import encoded, wav
from tests.bad_audio.signals import int16, voice

PCM = int16(voice(4.0)).tobytes()
NOISE = np.random.default_rng(1).integers(0, 256, 100_000, dtype=np.uint8).tobytes()
BAD_START = {Flag.HEADER_FIXED}


def patched(data: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    at = data.index(mark) + offset
    return data[:at] + value + data[at + len(value) :]


def rf64(num_bytes: int) -> bytes:
    data = encoded(voice(4.0), "wav", "pcm_s16le", muxer_options={"rf64": "always"})
    return patched(data, b"ds64", 16, struct.pack("<Q", num_bytes))


def aiff(num_bytes: int) -> bytes:
    return patched(encoded(voice(4.0), "aiff", "pcm_s16be"), b"SSND", 4, struct.pack(">I", num_bytes))


def wave64(num_bytes: int) -> bytes:
    return patched(encoded(voice(4.0), "w64", "pcm_s16le"), b"data\xf3\xac", 16, struct.pack("<Q", num_bytes))


def core_audio(num_bytes: int) -> bytes:
    return patched(encoded(voice(4.0), "caf", "pcm_s16be"), b"data", 4, struct.pack(">Q", num_bytes))


def aiff_backwards() -> bytes:
    data = encoded(voice(4.0), "aiff", "pcm_s16be")
    begin, end = data.index(b"COMM"), data.index(b"SSND")
    return data[:begin] + data[end:] + data[begin:end]


HALF = len(PCM) // 2
WRONG_LENGTHS: dict[str, tuple[Callable[[], bytes], set[Flag]]] = {
    "half, all behind it sound": (lambda: wav(PCM, data_size=HALF), BAD_START),
    "half, and the file's length too": (
        lambda: patched(wav(PCM, data_size=HALF), b"RIFF", 4, struct.pack("<I", 36 + HALF)),
        BAD_START,
    ),
    "half of mu-law": (
        lambda: patched(encoded(voice(4.0, 8_000), "wav", "pcm_mulaw", 8_000), b"data", 4, struct.pack("<I", 16_000)),
        BAD_START,
    ),
    "0": (lambda: wav(PCM, data_size=0), BAD_START),
    "44 too many": (lambda: wav(PCM, data_size=len(PCM) + 44), BAD_START),
    "7fffffff": (lambda: wav(PCM, data_size=0x7FFF_FFFF), set()),
    "80000000": (lambda: wav(PCM, data_size=0x8000_0000), set()),
    "7ffff000": (lambda: wav(PCM, data_size=0x7FFF_F000), set()),
    "ffffffff less its header": (lambda: wav(PCM, data_size=0xFFFF_FFFF - 36), set()),
    "odd chunk without padding": (lambda: wav(PCM, before_data=b"note\x05\0\0\0hello"), BAD_START),
    "odd chunk with padding": (lambda: wav(PCM, before_data=b"note\x05\0\0\0hello\0"), set()),
    "samples before their format": (
        lambda: b"RIFF" + bytes(4) + b"WAVEdata" + struct.pack("<I", len(PCM)) + PCM + wav(b"")[12:36],
        BAD_START,
    ),
    "RF64 of 0": (lambda: rf64(0), BAD_START),
    "RF64 of half": (lambda: rf64(HALF), BAD_START),
    "RF64 without end": (lambda: rf64((1 << 64) - 1), BAD_START),
    "AIFF of 0": (lambda: aiff(0), BAD_START),
    "AIFF of half": (lambda: aiff(HALF + 8), BAD_START),
    "AIFF without end": (lambda: aiff(0x7FFF_FFFF), set()),
    "AIFF with its chunks in the other order": (aiff_backwards, set()),
    "Wave64 of 0": (lambda: wave64(0), BAD_START),
    "Wave64 of half": (lambda: wave64(HALF + 24), BAD_START),
    "Wave64 without end": (lambda: wave64((1 << 63) - 1), BAD_START),
    "Core Audio of half": (lambda: core_audio(HALF + 4), BAD_START),
    "Core Audio up to the end": (lambda: core_audio((1 << 64) - 1), set()),
    "Wave64": (lambda: encoded(voice(4.0), "w64", "pcm_s16le"), set()),
    "Core Audio": (lambda: encoded(voice(4.0), "caf", "pcm_s16be"), set()),
    "AU without end": (lambda: patched(encoded(voice(4.0), "au", "pcm_s16be"), b".snd", 8, b"\x7f\xff\xff\xff"), set()),
}


@pytest.mark.parametrize(("data", "flags"), WRONG_LENGTHS.values(), ids=WRONG_LENGTHS)
def test_a_wrong_length_costs_no_sound(data: Callable[[], bytes], flags: set[Flag], decode: Decode) -> None:
    samples, facts = decode(data())
    assert facts.duration_s == pytest.approx(4, abs=0.01)
    assert set(facts.flags) == flags
    if facts.codec == "pcm_s16le":
        assert np.array_equal(samples, int16(voice(4.0)))


def test_a_length_far_beyond_the_file_is_called_truncated(decode: Decode) -> None:
    _, facts = decode(wav(PCM, data_size=2 * len(PCM)))
    assert (facts.duration_s, facts.flags) == (4.0, (Flag.TRUNCATED,))


@pytest.mark.parametrize(
    "behind",
    [
        b"LIST\x14\0\0\0INFO" + bytes(16),
        b"LIST" + struct.pack("<I", 9_000) + b"INFO" + bytes(8_996),
        bytes(9_000),
        NOISE,
        b"some text that a tool has left behind\n" * 1_000,
    ],
    ids=["chunk", "large chunk", "padding", "noise", "text"],
)
def test_what_stands_behind_the_samples_is_not_taken_for_sound(behind: bytes, decode: Decode) -> None:
    _, facts = decode(wav(PCM) + behind)
    assert facts.duration_s == 4.0


def test_two_recordings_in_one_file_are_both_scored(decode: Decode) -> None:
    _, facts = decode(wav(PCM) + wav(PCM))
    assert facts.duration_s == pytest.approx(8, abs=0.01)

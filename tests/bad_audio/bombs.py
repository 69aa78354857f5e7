"""E: small files that are hours long, huge ones that hold nothing, and forged rates."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from mmer_ray.errors import ErrorCode, Flag
from tests.bad_audio.bulk import flac, opus_silence
from tests.bad_audio.case import Case, bad, good, odd
from tests.bad_audio.containers import encoded, wav
from tests.bad_audio.signals import int16, voice

TERABYTE = 1 << 40


def cases() -> list[Case]:
    ten_hours = good("E06_10h_flac", ".flac", _ten_hours, also=(Flag.DROPOUT,))
    opus = bad("E03_opus_10h", ".opus", lambda: opus_silence(36_000), ErrorCode.TOO_LONG)
    return [
        bad("E01_flac_24h", ".flac", lambda: flac(21_095), ErrorCode.TOO_LONG),
        bad("E02_flac_8ch_192k", ".flac", _eight_channels, ErrorCode.TOO_LONG),
        dataclasses.replace(opus, online=True, is_long=True),
        odd("E04_sparse_wav", _sparse, ErrorCode.FILE_TOO_BIG),
        bad("E05_flac_rate_forged", ".flac", _forged_rate, ErrorCode.BAD_SAMPLE_RATE),
        dataclasses.replace(ten_hours, is_long=True),
    ]


def _eight_channels() -> bytes:
    return flac(10_548, rate_hz=192_000, channels=8)


def _ten_hours() -> bytes:
    return flac(12_000, block_samples=48_000, sound=int16(voice(3.0)), sound_every=100)


def _sparse(path: Path) -> None:
    path.write_bytes(wav(b"", data_size=0xFFFF_FFFF))
    os.truncate(path, TERABYTE)


def _forged_rate() -> bytes:
    forged = bytearray(encoded(voice(), "flac", "flac"))
    # The rate is the high 20 bits of bytes 18 to 20: 1 Hz.
    forged[18:21] = (1 << 4 | forged[20] & 0x0F).to_bytes(3, "big")
    return bytes(forged)

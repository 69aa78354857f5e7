"""B: every format that is read, cut, damaged, chained, or with a header that lies."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from functools import cache

import numpy as np
import soundfile

from mmer_ray.errors import ErrorCode, Flag
from tests.bad_audio.case import Case, bad, good
from tests.bad_audio.containers import encoded, wav, wav_float
from tests.bad_audio.signals import Signal, int16, voice

STREAMINFO_LENGTH = slice(21, 26)
"""Total samples are the low 36 bits of bytes 21 to 25 of a FLAC file."""
UNTAGGED = {"write_xing": "0", "id3v2_version": "0"}
DAMAGE = (Flag.OUT_OF_RANGE, Flag.TRUNCATED, Flag.FORMAT_CHANGE, Flag.CLIPPED)
"""What flipped bits may look like."""


def cases() -> list[Case]:
    return [*_mp3_cases(), *_flac_cases(), *_ogg_cases(), *_other_cases(), *_pcm_cases()]


def _mp3_cases() -> list[Case]:
    return [
        good("B01_mp3_trunc", ".mp3", lambda: _mp3()[: len(_mp3()) // 2 + 17], Flag.TRUNCATED),
        good("B02_mp3_bitflip", ".mp3", lambda: _flipped(_mp3(), 200), Flag.DECODE_WARN, also=DAMAGE),
        good("B03_mp3_junk_front", ".mp3", lambda: bytes(65_536) + _mp3()),
        good("B04_mp3_8mb_id3", ".mp3", lambda: _id3(8 << 20) + bytes(8 << 20) + _mp3()),
        bad("B05_mp3_id3_lie", ".mp3", lambda: _id3((1 << 28) - 1) + _mp3(), ErrorCode.CORRUPT_HEADER),
        good("B06_vbr_no_xing", ".mp3", lambda: _untagged(flags="+qscale", global_quality="472")),
        good("B15_mp3_rate_change", ".mp3", _mp3_of_two_rates, Flag.FORMAT_CHANGE, also=(Flag.DECODE_WARN,)),
    ]


@cache
def _mp3() -> bytes:
    return encoded(voice(rate_hz=44_100), "mp3", "libmp3lame", 44_100, bit_rate=64_000)


def _untagged(**codec_options: str) -> bytes:
    options: Mapping[str, str] = codec_options
    return encoded(voice(rate_hz=44_100), "mp3", "libmp3lame", 44_100, muxer_options=UNTAGGED, codec_options=options)


def _mp3_of_two_rates() -> bytes:
    return _untagged() + encoded(_stereo_22k(), "mp3", "libmp3lame", 22_050, muxer_options=UNTAGGED)


def _stereo_22k() -> Signal:
    return np.stack([voice(rate_hz=22_050), voice(rate_hz=22_050, pitch_hz=190.0)], axis=1)


def _flipped(data: bytes, num_bits: int) -> bytes:
    flipped, dice = bytearray(data), random.Random(3)
    for _ in range(num_bits):
        position = dice.randrange(2000, len(data))
        flipped[position] ^= 1 << dice.randrange(8)
    return bytes(flipped)


def _id3(num_bytes: int) -> bytes:
    return b"ID3\x03\x00\x00" + bytes(num_bytes >> shift & 0x7F for shift in (21, 14, 7, 0))


def _flac_cases() -> list[Case]:
    return [
        good("B07_flac_trunc", ".flac", lambda: _flac()[: len(_flac()) // 2], Flag.TRUNCATED, also=(Flag.DECODE_WARN,)),
        good("B08_flac_corrupt", ".flac", _torn_flac, Flag.CHECKSUM, also=(Flag.DECODE_WARN,)),
        good("B09_flac_bad_md5", ".flac", lambda: _flac()[:26] + bytes(range(16)) + _flac()[42:], Flag.CHECKSUM),
        good("B10_flac_len_lie", ".flac", lambda: _flac_with_length(0xF_FFFF_FFFF), Flag.HEADER_FIXED),
        good("B11_flac_len_zero", ".flac", lambda: _flac_with_length(0)),
    ]


@cache
def _flac() -> bytes:
    return encoded(voice(), "flac", "flac")


def _torn_flac() -> bytes:
    middle = len(_flac()) // 2
    return _flac()[:middle] + random.Random(5).randbytes(64) + _flac()[middle + 64 :]


def _flac_with_length(num_samples: int) -> bytes:
    data = bytearray(_flac())
    bits_above = data[STREAMINFO_LENGTH.start] & 0xF0
    data[STREAMINFO_LENGTH] = (bits_above << 32 | num_samples).to_bytes(5, "big")
    return bytes(data)


def _ogg_cases() -> list[Case]:
    return [
        good("B12_opus_trunc", ".opus", lambda: _opus()[: len(_opus()) // 2], Flag.TRUNCATED),
        good("B13_ogg_chained", ".opus", lambda: _opus() + _opus()),
        good("B14_ogg_rate_change", ".ogg", _vorbis_of_two_rates, Flag.FORMAT_CHANGE, also=(Flag.DECODE_WARN,)),
    ]


@cache
def _opus() -> bytes:
    return encoded(voice(rate_hz=48_000), "ogg", "libopus", 48_000)


def _vorbis_of_two_rates() -> bytes:
    return _vorbis(voice(rate_hz=44_100), 44_100) + _vorbis(_stereo_22k(), 22_050)


def _vorbis(sound: Signal, rate_hz: int) -> bytes:
    # PyAV's FFmpeg comes without a Vorbis encoder for mono.
    sink = io.BytesIO()
    soundfile.write(sink, sound, rate_hz, format="OGG", subtype="VORBIS")
    return sink.getvalue()


def _other_cases() -> list[Case]:
    return [
        bad("B16_m4a_no_moov", ".m4a", _m4a_without_index, ErrorCode.CORRUPT_HEADER),
        good("B17_adts", ".aac", lambda: encoded(voice(rate_hz=44_100), "adts", "aac", 44_100)),
        good("B18_webm_live", ".webm", lambda: encoded(voice(rate_hz=48_000), "webm", "libopus", 48_000, live=True)),
        good("B19_two_tracks", ".mp4", _film_with_two_tracks, Flag.MULTI_TRACK),
        good("B20_amr", ".amr", _amr),
        good("B21_mulaw", ".wav", lambda: encoded(voice(rate_hz=8_000), "wav", "pcm_mulaw", 8_000)),
        good("B22_adpcm", ".wav", lambda: encoded(voice(), "wav", "adpcm_ima_wav")),
        good("B23_wma", ".wma", lambda: encoded(voice(rate_hz=44_100), "asf", "wmav2", 44_100, bit_rate=64_000)),
        good("B24_aiff", ".aiff", lambda: encoded(voice(), "aiff", "pcm_s16be")),
        good("B25_caf", ".caf", lambda: encoded(voice(), "caf", "pcm_s16be")),
        good("B26_au", ".au", lambda: encoded(voice(), "au", "pcm_s16be")),
        good("B27_rf64", ".wav", lambda: encoded(voice(), "wav", "pcm_s16le", muxer_options={"rf64": "always"})),
    ]


def _m4a_without_index() -> bytes:
    whole = encoded(voice(rate_hz=44_100), "ipod", "aac", 44_100)
    return whole[: whole.rindex(b"moov") - 4]


def _film_with_two_tracks() -> bytes:
    return encoded(voice(rate_hz=44_100), "mp4", "aac", 44_100, num_tracks=2, with_video=True)


def _amr() -> bytes:
    return encoded(voice(rate_hz=8_000), "amr", "libopencore_amrnb", 8_000, bit_rate=12_200)


def _pcm_cases() -> list[Case]:
    return [
        good("B28_pcm24", ".wav", _pcm24),
        good("B29_pcmu8", ".wav", lambda: wav(((int16(voice()) >> 8) + 128).astype(np.uint8).tobytes(), bits=8)),
        good("B30_f64", ".wav", lambda: wav_float(voice())),
    ]


def _pcm24() -> bytes:
    padded = np.zeros((len(voice()), 3), dtype=np.uint8)
    padded[:, 1:] = int16(voice()).view(np.uint8).reshape(-1, 2)
    return wav(padded.tobytes(), bits=24)

"""000 and A: whole files, empty ones, headers that are cut or lie, bytes that are something else."""

from __future__ import annotations

import io
import random
import zipfile
from fractions import Fraction

import av
import numpy as np

from mmer_ray.errors import ErrorCode, Flag
from tests.bad_audio.case import Case, bad, good
from tests.bad_audio.containers import encoded, wav, wav16
from tests.bad_audio.signals import int16, voice

HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"


def cases() -> list[Case]:
    return [
        good("000_good", ".wav", lambda: wav(pcm())),
        bad("A01_zero_bytes", ".wav", lambda: b"", ErrorCode.EMPTY_FILE),
        bad("A02_one_byte", ".wav", lambda: b"R", ErrorCode.UNRECOGNISED),
        bad("A03_header_only", ".wav", lambda: wav(b""), ErrorCode.NO_SAMPLES),
        good("A04_one_sample", ".wav", lambda: wav(pcm()[2000:2002]), Flag.TOO_SHORT),
        bad("A05_trunc_header", ".wav", lambda: wav(pcm())[:30], ErrorCode.CORRUPT_HEADER),
        good("A06_trunc_data", ".wav", lambda: wav(pcm())[: 44 + 32_000], Flag.TRUNCATED),
        good("A07_size_ffffffff", ".wav", lambda: wav(pcm(), data_size=0xFFFF_FFFF)),
        good("A08_size_zero", ".wav", lambda: wav(pcm(), data_size=0), Flag.HEADER_FIXED),
        good(
            "A09_size_lie_2g",
            ".wav",
            lambda: wav(pcm()[:1024], data_size=2_000_000_000),
            Flag.TOO_SHORT,
            Flag.TRUNCATED,
        ),
        bad("A10_rate_zero", ".wav", lambda: wav(pcm(), rate_hz=0), ErrorCode.BAD_SAMPLE_RATE),
        bad("A11_rate_1hz", ".wav", lambda: wav(pcm(), rate_hz=1), ErrorCode.BAD_SAMPLE_RATE),
        bad("A12_rate_max", ".wav", lambda: wav(pcm(), rate_hz=0xFFFF_FFFF), ErrorCode.BAD_SAMPLE_RATE),
        bad("A13_ch_zero", ".wav", lambda: wav(pcm(), channels=0), ErrorCode.BAD_CHANNELS),
        bad("A14_ch_1000", ".wav", lambda: wav(pcm(), channels=1000), ErrorCode.BAD_CHANNELS),
        bad("A15_bits_7", ".wav", lambda: wav(pcm(), bits=7), ErrorCode.CORRUPT_HEADER),
        good("A16_align_bad", ".wav", lambda: wav(pcm(), align=3)),
        bad("A17_list_lie", ".wav", lambda: wav(pcm(), before_data=b"LIST\xf0\xff\xff\xff"), ErrorCode.CORRUPT_HEADER),
        good("A18_trailing_junk", ".wav", lambda: wav(pcm()) + random_bytes()),
        bad("A19_headerless_pcm", ".wav", pcm, ErrorCode.UNRECOGNISED),
        bad("A20_random_bytes", ".wav", random_bytes, ErrorCode.UNRECOGNISED),
        bad("A21_html_404", ".mp3", lambda: HTML, ErrorCode.UNRECOGNISED),
        bad("A22_zip_as_wav", ".wav", _zip, ErrorCode.UNRECOGNISED),
        bad("A23_png_as_mp3", ".mp3", _png, ErrorCode.NO_AUDIO_STREAM),
        bad("A24_video_only", ".mp4", _video_only, ErrorCode.NO_AUDIO_STREAM),
        good("A25_mp3_as_wav", ".wav", lambda: encoded(voice(), "mp3", "libmp3lame"), Flag.MISLABELLED),
        good("A26_wav_in_flacname", ".flac", lambda: wav16(voice()), Flag.MISLABELLED),
        good("A27_no_ext", "", lambda: wav(pcm())),
    ]


def pcm() -> bytes:
    return int16(voice()).tobytes()


def random_bytes() -> bytes:
    return random.Random(7).randbytes(1 << 20)


def _zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("sound.wav", wav16(voice(0.5)))
    return sink.getvalue()


def _png() -> bytes:
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 16, 16, "rgb24", Fraction(1)
    frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), dtype=np.uint8), "rgb24")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def _video_only() -> bytes:
    return encoded(voice(), "mp4", "aac", with_video=True, num_tracks=0)

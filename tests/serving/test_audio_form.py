"""A first look tells audio from other media and guesses its length, whatever the bytes claim."""

from __future__ import annotations

import asyncio
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from mmer_ray.serving.api_errors import ApiError
from mmer_ray.serving.audio_form import look, looked_at
from tests.bad_audio.bulk import flac, opus_silence
from tests.bad_audio.containers import encoded
from tests.bad_audio.signals import voice
from tests.serving.sounds import wav


def zipped() -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wav", wav(60))
    return target.getvalue()


def refused(sound: bytes) -> tuple[int, str, str | None]:
    with pytest.raises(ApiError) as caught:
        asyncio.run(looked_at(sound))
    return caught.value.status, caught.value.code, caught.value.param


@pytest.mark.parametrize(
    ("sound", "code"),
    [
        (b"\x00" * 5_000, "unrecognised"),
        (b"hello", "unrecognised"),
        (zipped(), "unrecognised"),
        (b"\x1f\x8b\x08" + bytes(100), "unrecognised"),
        (b"%PDF-1.7" + bytes(100), "unrecognised"),
        (b"#EXTM3U\nhttp://169.254.169.254/", "forbidden_format"),
        (b"ffconcat version 1.0\nfile /etc/passwd", "forbidden_format"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1", "forbidden_format"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "no_audio_stream"),
    ],
    # Names of their own: the archive holds the time at which it was made.
    ids=["zeros", "text", "zip", "gzip", "pdf", "playlist", "ffconcat", "sdp", "png"],
)
def test_what_is_no_audio_is_another_medium(sound: bytes, code: str) -> None:
    assert refused(sound) == (415, code, "file")


@pytest.mark.parametrize(("sound", "code"), [(b"", "empty_file"), (b"RIFF\x00\x00\x00\x00WAVEfmt ", "corrupt_header")])
def test_broken_audio_cannot_be_processed(sound: bytes, code: str) -> None:
    assert refused(sound) == (422, code, "file")


@pytest.mark.parametrize("is_path", [False, True], ids=["bytes", "file"])
@pytest.mark.parametrize(
    ("extension", "codec", "container"),
    [("wav", "pcm_s16le", "wav"), ("flac", "flac", "flac"), ("ogg", "libopus", "ogg"), ("mp3", "libmp3lame", "mp3")],
)
def test_the_length_is_guessed_without_decoding(
    extension: str, codec: str, container: str, is_path: bool, tmp_path: Path
) -> None:
    sound = encoded(voice(4.0, rate_hz=48_000), extension, codec, 48_000)
    (tmp_path / "a").write_bytes(sound)
    seen = look(tmp_path / "a" if is_path else sound)
    assert (seen.container, seen.size_bytes) == (container, len(sound))
    assert seen.seconds == pytest.approx(4.0, abs=0.2)


def test_compressed_audio_without_a_length_is_guessed_from_its_size() -> None:
    sound = encoded(voice(4.0), "ipod", "aac")
    seen = look(sound)
    assert (seen.container, seen.claimed_s) == ("mov", None)
    assert seen.seconds == len(sound) / 8_000


def test_a_claim_that_the_size_does_not_allow_is_none() -> None:
    assert look(wav(1.0)[:50]).seconds < 1
    forged = bytearray(flac(2))
    # 36 bits of samples, all set: 49 days at 16 kHz.
    forged[21] |= 0x0F
    forged[22:26] = b"\xff" * 4
    assert look(bytes(forged)).claimed_s is None


def test_hours_in_a_small_file_are_seen() -> None:
    assert look(flac(21_095)).seconds > 36_000
    assert look(opus_silence(3_600)).seconds == pytest.approx(3_600, abs=1)

"""Lengths of Ogg files by their last page, and what a probe reads at most."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest

from mmer_ray.audio import decoding
from mmer_ray.audio.decoding import Request, claimed_duration
from mmer_ray.audio.ogg import HEAD_BYTES, PAGE_HEADER_BYTES, TAIL_BYTES, claimed_length_s
from mmer_ray.audio.opening import LocalBytes
from mmer_ray.audio.pulse import Pulse
from mmer_ray.errors import AudioError
from mmer_ray.profiles import DecodeOptions
from tests.bad_audio.bulk import opus_silence
from tests.bad_audio.containers import encoded, wav16
from tests.bad_audio.signals import Signal, voice

SOUND = np.tile(voice(rate_hz=48_000), 20)
TELEPHONE = np.tile(voice(), 20)
SECONDS = 60.0


class Counting:
    """Bytes that count how many of them were read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.num_read = 0

    def __call__(self, offset: int, num_bytes: int) -> bytes:
        part = self.data[offset : offset + num_bytes]
        self.num_read += len(part)
        return part


def length_s(data: bytes) -> float | None:
    return claimed_length_s(Counting(data), len(data), 0)


def page(serial: int, position: int, body: bytes, *, flags: int = 0, number: int = 0) -> bytes:
    """One Ogg page; its checksum is left out, as nothing here reads it."""
    lacing = bytes([255] * (len(body) // 255) + [len(body) % 255])
    head = struct.pack("<BBqIIIB", 0, flags, position, serial, number, 0, len(lacing))
    return b"OggS" + head + lacing + body


@pytest.mark.parametrize(
    ("codec", "sound", "rate_hz"),
    [("libopus", SOUND, 48_000), ("vorbis", np.stack([SOUND, SOUND], axis=1), 48_000), ("flac", TELEPHONE, 16_000)],
)
def test_the_length_is_that_of_the_last_page(codec: str, sound: Signal, rate_hz: int) -> None:
    options = {"strict": "experimental"} if codec == "vorbis" else {}
    data = encoded(sound, "ogg", codec, rate_hz, codec_options=options)
    assert length_s(data) == pytest.approx(SECONDS, abs=0.1)


def test_speex_has_its_rate_in_its_header() -> None:
    header = b"Speex   " + bytes(28) + struct.pack("<I", 8_000) + bytes(40)
    assert length_s(page(1, 0, header, flags=2) + page(1, 160_000, bytes(100), flags=4)) == 20.0


def test_ten_hours_cost_no_more_to_read_than_ten_minutes() -> None:
    source = Counting(opus_silence(36_000))
    assert claimed_length_s(source, len(source.data), 0) == pytest.approx(36_000, abs=0.1)
    assert source.num_read <= HEAD_BYTES + TAIL_BYTES < len(source.data)


def test_a_file_that_was_cut_has_the_length_of_what_is_left() -> None:
    data = encoded(SOUND, "ogg", "libopus", 48_000)
    cut_s = length_s(data[: len(data) // 2])
    assert cut_s is not None
    assert 0.4 * SECONDS < cut_s < 0.6 * SECONDS


def test_a_chain_of_streams_claims_no_length() -> None:
    first, second = encoded(SOUND, "ogg", "libopus", 48_000), encoded(SOUND[:96_000], "ogg", "libopus", 48_000)
    assert first[14:18] != second[14:18]
    assert length_s(first + second) is None


def test_a_stream_recorded_from_its_middle_counts_from_its_first_page() -> None:
    head = b"OpusHead" + bytes([1, 1]) + struct.pack("<H", 312) + bytes(7)
    hour, minute = 3_600 * 48_000, 60 * 48_000
    data = page(1, 0, head, flags=2) + page(1, hour, bytes(100)) + page(1, hour + minute, bytes(100), flags=4)
    assert length_s(data) == 60.0


def test_film_in_front_of_the_sound_is_passed_over() -> None:
    film, sound = b"\x80theora" + bytes(35), b"OpusHead" + bytes([1, 1]) + bytes(9)
    data = page(1, 0, film, flags=2) + page(2, 0, sound, flags=2)
    data += page(2, 480_000, bytes(100)) + page(1, 999, bytes(100), flags=4)
    assert length_s(data) == 10.0


@pytest.mark.parametrize(
    "data",
    [
        b"OggS",
        page(1, 0, b"OpusHead", flags=2),
        page(1, 0, b"\x80theora" + bytes(35), flags=2),
        page(1, 0, b"\x01vorbis" + bytes(23), flags=2) + page(1, 48_000, bytes(10), flags=4),
        page(1, 0, b"OpusHead" + bytes(11), flags=2) + page(1, -1, bytes(10), flags=4),
    ],
)
def test_what_has_no_length_claims_none(data: bytes) -> None:
    assert length_s(data) is None


class CountingFile(LocalBytes):
    """A local file that counts what is read of it."""

    num_read = 0

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        data = super().read_at(offset, num_bytes)
        self.num_read += max(len(data), PAGE_HEADER_BYTES)
        return data


class StillPulse(Pulse):
    """Sets no limits: they would be those of the test's own process."""

    def __init__(self) -> None:
        super().__init__(30.0, lambda decoded_s, waited_s: None)

    def __call__(self) -> None:
        pass


def probed(path: Path) -> tuple[float | None, int]:
    """The seconds that a probe finds, and the bytes that it reads."""
    source = CountingFile(str(path), "")
    options = DecodeOptions().model_dump(exclude={"max_memory_mb"})
    request = Request(kind="probe", uri=str(path), root="", remote_bytes=None, **options)
    ((header, _),) = claimed_duration(request, source, StillPulse())
    source.close()
    return header["duration_s"], source.num_read


FORMATS = {
    "wav": ("wav", "pcm_s16le"),
    "w64": ("w64", "pcm_s16le"),
    "flac": ("flac", "flac"),
    "opus": ("ogg", "libopus"),
    "mp3": ("mp3", "libmp3lame"),
    "aac": ("adts", "aac"),
    "m4a": ("ipod", "aac"),
    "webm": ("webm", "libopus"),
    "mka": ("matroska", "flac"),
    "aiff": ("aiff", "pcm_s16be"),
    "caf": ("caf", "pcm_s16be"),
    "au": ("au", "pcm_s16be"),
    "wma": ("asf", "wmav2"),
    "avi": ("avi", "pcm_s16le"),
    "wv": ("wv", "wavpack"),
    "tta": ("tta", "tta"),
    "flv": ("flv", "aac"),
    "mpg": ("vob", "mp2"),
    "ts": ("mpegts", "aac"),
    "ac3": ("ac3", "ac3"),
    "voc": ("voc", "pcm_u8"),
}


@pytest.mark.parametrize("ending", FORMATS)
def test_a_probe_reads_a_bounded_part_of_any_container(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate_hz = 44_100 if ending in ("flv", "wma") else 48_000
    path = tmp_path / f"a.{ending}"
    sound = np.tile(voice(rate_hz=rate_hz), 20)
    path.write_bytes(encoded(sound, *FORMATS[ending], rate_hz, bit_rate=128_000))
    claimed_s, whole = probed(path)
    assert claimed_s is None or claimed_s == pytest.approx(SECONDS, rel=0.02)
    assert whole <= decoding.MAX_PROBE_BYTES
    # However much there is to read, reading ends at the bound.
    monkeypatch.setattr(decoding, "MAX_PROBE_BYTES", 1 << 16)
    with contextlib.suppress(AudioError):
        _, num_read = probed(path)
        assert num_read <= 1 << 16


def test_a_file_with_a_million_chunks_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.aiff"
    path.write_bytes(b"FORM" + struct.pack(">I", 1 << 30) + b"AIFF" + (b"NOTE" + struct.pack(">I", 0)) * (1 << 20))
    with pytest.raises(AudioError, match=r"no COMM chunk|too long to be probed"):
        probed(path)


def test_a_long_wav_is_probed_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav16(np.tile(voice(), 400)))
    claimed_s, num_read = probed(path)
    assert claimed_s == 1_200.0
    assert num_read < 64 << 10 < path.stat().st_size

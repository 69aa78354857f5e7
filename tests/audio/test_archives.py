"""What archives of real recordings hold: files cut, wrapped, with wrong lengths, and sound that begins late."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from mmer_ray.errors import AudioError, ErrorCode, Flag
from mmer_ray.records import SAMPLE_RATE_HZ, Samples
from tests.bad_audio.case import Decode
from tests.bad_audio.containers import encoded, wav, wav16
from tests.bad_audio.signals import int16, noise, tone, voice
from tests.bad_audio.timed import timed

PCM = int16(voice(4.0)).tobytes()
BAD_START = {Flag.HEADER_FIXED}


def sounding(samples: Samples) -> list[tuple[int, int]]:
    """Seconds, rounded, from when to when there is sound."""
    is_loud = np.abs(samples.astype(np.int32)) > 300
    # A syllable and its pause are one sound.
    spread = np.convolve(is_loud, np.ones(SAMPLE_RATE_HZ // 2), mode="same") > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], spread, [False]])))
    return [(round(start / SAMPLE_RATE_HZ), round(end / SAMPLE_RATE_HZ)) for start, end in edges.reshape(-1, 2)]


TIMED = {
    "m4a": ("ipod", "aac", 16_000, {}),
    "mka": ("matroska", "libopus", 48_000, {}),
    "mka of PCM": ("matroska", "pcm_s16le", 16_000, {}),
    "webm": ("webm", "libopus", 48_000, {}),
}
HOLES_ONLY = {
    "mp4 in fragments": ("mp4", "aac", 16_000, {"movflags": "frag_keyframe+empty_moov", "frag_duration": "1000000"}),
    "live webm": ("webm", "libopus", 48_000, {"live": "1"}),
    "transport stream": ("mpegts", "aac", 16_000, {}),
    "flv": ("flv", "aac", 44_100, {}),
    "ogg": ("ogg", "libopus", 48_000, {}),
}
Kind = tuple[str, str, int, dict[str, str]]


def made(kind: Kind, *starts_s: float, picture_s: float = 0.0) -> bytes:
    container, codec, rate_hz, options = kind
    parts = [(start_s, voice(2.0, rate_hz)) for start_s in starts_s]
    return timed(container, codec, rate_hz, parts, picture_s=picture_s, muxer_options=options)


@pytest.mark.parametrize("kind", TIMED.values(), ids=TIMED)
def test_sound_that_begins_late_keeps_the_time_of_its_file(kind: Kind, decode: Decode) -> None:
    samples, facts = decode(made(kind, 10.0))
    assert sounding(samples) == [(10, 12)]
    assert facts.duration_s == pytest.approx(12, abs=0.15)
    assert Flag.BAD_TIMESTAMPS not in facts.flags


@pytest.mark.parametrize("kind", [*TIMED.values(), *HOLES_ONLY.values()], ids=[*TIMED, *HOLES_ONLY])
def test_a_hole_is_silence(kind: Kind, decode: Decode) -> None:
    samples, facts = decode(made(kind, 0.0, 12.0))
    assert sounding(samples) == [(0, 2), (12, 14)]
    assert facts.duration_s == pytest.approx(14, abs=0.15)
    assert Flag.TRUNCATED not in facts.flags


def test_the_length_is_the_films_where_the_picture_goes_on(decode: Decode) -> None:
    samples, facts = decode(made(("mp4", "aac", 16_000, {}), 5.0, picture_s=12.0))
    assert sounding(samples) == [(5, 7)]
    assert facts.duration_s == pytest.approx(12, abs=0.15)
    assert facts.flags == ()


@pytest.mark.parametrize("kind", [TIMED["mka"], TIMED["m4a"]], ids=["mka", "m4a"])
@pytest.mark.parametrize("hours", [10, 15])
def test_a_jump_of_hours_is_ignored_and_flagged(kind: Kind, hours: int, decode: Decode) -> None:
    _, facts = decode(made(kind, 0.0, 3_600.0 * hours))
    assert facts.duration_s == pytest.approx(4, abs=0.3)
    assert Flag.BAD_TIMESTAMPS in facts.flags


def test_segments_that_overlap_are_heard_once(decode: Decode) -> None:
    whole = voice(6.0)
    parts = [(0.0, whole[: 4 * SAMPLE_RATE_HZ]), (2.0, whole[2 * SAMPLE_RATE_HZ :])]
    samples, facts = decode(timed("matroska", "pcm_s16le", 16_000, parts))
    assert np.array_equal(samples, int16(whole))
    assert facts.duration_s == 6.0


def test_a_file_without_holes_keeps_every_sample(decode: Decode) -> None:
    samples, _ = decode(timed("matroska", "pcm_s16le", 16_000, [(0.0, voice(6.0))]))
    assert np.array_equal(samples, int16(voice(6.0)))


SILENCE, HUM, SPEECH = np.zeros(96_000), 0.02 * tone(6.0, 100.0), voice(6.0)


@pytest.mark.parametrize(
    "tracks",
    [(SILENCE, SPEECH), (HUM, SPEECH), (SILENCE, HUM, SPEECH), (0.003 * SPEECH, SPEECH), (SPEECH, 0.5 * SPEECH)],
    ids=["silence", "hum", "silence and hum", "a leak", "speech"],
)
def test_of_several_tracks_the_one_that_speaks_is_scored(tracks: tuple[np.ndarray, ...], decode: Decode) -> None:
    samples, facts = decode(timed("matroska", "pcm_s16le", 16_000, *([(0.0, track)] for track in tracks)))
    assert np.array_equal(samples, int16(SPEECH))
    assert facts.flags == (Flag.MULTI_TRACK,)


def test_a_track_that_speaks_after_a_minute_is_found(decode: Decode) -> None:
    late = np.concatenate([np.zeros(90 * SAMPLE_RATE_HZ), SPEECH])
    samples, facts = decode(timed("matroska", "flac", 16_000, [(0.0, 0 * late)], [(0.0, late)]))
    assert sounding(samples) == [(90, 96)]
    assert Flag.MULTI_TRACK in facts.flags


@cache
def mp3() -> bytes:
    return encoded(voice(4.0, 44_100), "mp3", "libmp3lame", 44_100, bit_rate=64_000)


@cache
def adts() -> bytes:
    return encoded(voice(4.0, 44_100), "adts", "aac", 44_100)


def ape_tag() -> bytes:
    size = struct.pack("<IIII", 2000, 32, 0, 0) + bytes(8)
    return b"APETAGEX" + size + b"APETAGEX" + size


HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n"
MIME = b'--a1b2\r\nContent-Disposition: form-data; name="f"\r\n\r\n'
NOISE = np.random.default_rng(1).integers(0, 256, 100_000, dtype=np.uint8).tobytes()
WRAPPED: dict[str, Callable[[], bytes]] = {
    "a stray byte": lambda: b"x" + mp3(),
    "a stray sync byte": lambda: b"\xff" + adts(),
    "an APE tag": lambda: ape_tag() + mp3(),
    "a host's header": lambda: HTTP + mp3(),
    "a tag of another file's end": lambda: b"TAG" + b"title and artist".ljust(125) + mp3(),
    "a request": lambda: b"SOURCE /live ICE/1.0\r\nContent-Type: audio/mpeg\r\n\r\n" + mp3(),
    "an upload's header": lambda: MIME + mp3(),
    "a header and a tag": lambda: HTTP + ape_tag() + mp3(),
    "a picture that a short tag left over": lambda: NOISE + mp3(),
    "a host's header before WAV": lambda: HTTP + wav(PCM),
    "a stray byte before WAV": lambda: b"x" + wav(PCM),
    "stray bytes before FLAC": lambda: b"\1\2\3" + encoded(voice(4.0), "flac", "flac"),
    "stray bytes before Ogg": lambda: b"ab" + encoded(voice(4.0, 48_000), "ogg", "libopus", 48_000),
    "stray bytes before MP4": lambda: b"abcde" + encoded(voice(4.0, 44_100), "ipod", "aac", 44_100),
    "a transport stream cut inside a packet": lambda: encoded(voice(4.0, 48_000), "mpegts", "aac", 48_000)[100:],
}


@pytest.mark.parametrize("data", WRAPPED.values(), ids=WRAPPED)
def test_sound_behind_what_does_not_belong_there_is_found(data: Callable[[], bytes], decode: Decode) -> None:
    samples, facts = decode(data())
    assert facts.duration_s == pytest.approx(4, abs=0.15)
    assert set(facts.flags) - {Flag.DECODE_WARN} == BAD_START
    assert np.abs(samples).max() > 10_000


@pytest.mark.parametrize("stream", [mp3, adts], ids=["mp3", "aac"])
def test_a_stream_cut_inside_a_frame_is_scored_as_truncated(stream: Callable[[], bytes], decode: Decode) -> None:
    _, facts = decode(stream()[len(stream()) // 2 + 61 :])
    assert facts.duration_s == pytest.approx(2, abs=0.2)
    assert Flag.TRUNCATED in facts.flags


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (HTTP + b"#EXTM3U\n#EXTINF:3,\nx.mp3\n", ErrorCode.FORBIDDEN_FORMAT),
        (HTTP + b"<html>nothing here</html>", ErrorCode.UNRECOGNISED),
        (b"<html>" + NOISE, ErrorCode.UNRECOGNISED),
        (b"a list of names, one on each line\n" * 100, ErrorCode.UNRECOGNISED),
        (NOISE, ErrorCode.UNRECOGNISED),
        (b"\xff" * 300_000, ErrorCode.UNRECOGNISED),
    ],
    ids=["playlist", "page", "page and noise", "text", "noise", "all ones"],
)
def test_what_is_no_sound_stays_refused(data: bytes, code: ErrorCode, decode: Decode) -> None:
    with pytest.raises(AudioError) as caught:
        decode(data)
    assert caught.value.code is code


def test_sound_inside_an_archive_or_a_page_is_not_looked_for(decode: Decode) -> None:
    for front in (b"PK\x03\x04" + bytes(26), b"<html>", b"%PDF-1.4\n", b"{ "):
        with pytest.raises(AudioError) as caught:
            decode(front + mp3())
        assert caught.value.code is ErrorCode.UNRECOGNISED


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_channels_of_opposite_sign_do_not_cancel(rate_hz: int, decode: Decode) -> None:
    sound = voice(4.0, rate_hz)
    for channels in ((sound, -sound, 0 * sound), (sound, -sound, sound, -sound)):
        samples, facts = decode(wav16(np.stack(channels, axis=1), rate_hz))
        assert set(facts.flags) == {Flag.ANTIPHASE, Flag.DOWNMIXED}
        expected = int16(voice(4.0))[400:-400].astype(float)
        assert abs(np.corrcoef(samples[400 : 400 + len(expected)], expected)[0, 1]) > 0.99


def test_levels_are_raised_and_offsets_taken_out_and_both_are_flagged(decode: Decode) -> None:
    loud = int16(voice(4.0)).astype(float)
    for below_db in (50, 56, 60):
        samples, facts = decode(wav16(10 ** (-below_db / 20) * voice(4.0)))
        assert facts.flags == (Flag.LOW_LEVEL,)
        assert np.abs(samples.astype(np.int32)).max() > 3_000
        assert np.corrcoef(samples, loud)[0, 1] > 0.95
    samples, facts = decode(wav16(0.4 * voice(4.0) + 0.49))
    assert facts.flags == (Flag.DC_OFFSET,)
    assert abs(float(samples.mean())) < 1


def test_quiet_noise_stays_quiet(decode: Decode) -> None:
    samples, _ = decode(wav16(0.01 * noise(4.0)))
    assert np.array_equal(samples, int16(0.01 * noise(4.0)))

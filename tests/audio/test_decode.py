"""The decoder as its users see it: windows, facts, ids, and what a recording that kills its child costs."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mmer_ray.audio import guard
from mmer_ray.audio.decode import Decoder
from mmer_ray.errors import AudioError, ErrorCode, Flag
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import AudioFacts, Recording, Window
from tests.bad_audio.bulk import flac
from tests.bad_audio.containers import encoded, wav, wav16
from tests.bad_audio.signals import Signal, int16, voice

QUICK = DecodeOptions(stall_s=3.0, max_memory_mb=1024)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeOptions()) as decoder:
        yield decoder


def minute(pitch_hz: float = 125.0) -> Signal:
    return np.tile(voice(pitch_hz=pitch_hz), 20)


def saved(path: Path, data: bytes) -> Recording:
    path.write_bytes(data)
    return Recording(uri=str(path), root=str(path.parent))


def decoded(decoder: Decoder, recording: Recording) -> tuple[list[Window], AudioFacts]:
    *windows, facts = decoder.decode(recording)
    assert isinstance(facts, AudioFacts)
    return [window for window in windows if isinstance(window, Window)], facts


def failure(decoder: Decoder, recording: Recording) -> AudioError:
    with pytest.raises(AudioError) as caught:
        list(decoder.decode(recording))
    return caught.value


def only_child(decoder: Decoder) -> guard.GuardedChild:
    (child,) = decoder._pool.children()
    return child


def test_a_wav_at_16_khz_comes_out_bit_by_bit(decoder: Decoder, tmp_path: Path) -> None:
    (window,), facts = decoded(decoder, saved(tmp_path / "a.wav", wav16(voice())))
    assert np.array_equal(window.samples, int16(voice()))
    assert window.samples.dtype == np.int16
    assert (window.index, window.channel, window.start_s, window.end_s, window.one_speaker) == (0, 0, 0.0, 3.0, False)
    assert (facts.duration_s, facts.channels, facts.sample_rate_hz) == (3.0, 1, 16_000)
    assert (facts.codec, facts.container, facts.flags) == ("pcm_s16le", "wav", ())


def test_resampled_speech_is_the_same_speech(decoder: Decoder, tmp_path: Path) -> None:
    (window,), _ = decoded(decoder, saved(tmp_path / "a.wav", wav16(voice(rate_hz=48_000), 48_000)))
    correlation = np.corrcoef(window.samples[400:-400], int16(voice())[400 : len(window.samples) - 400])[0, 1]
    assert correlation > 0.99


def test_two_channels_share_their_cuts_and_are_counted_together(tmp_path: Path) -> None:
    call = np.stack([minute(), minute(pitch_hz=190.0)], axis=1)
    with Decoder(DecodeOptions(window_s=20)) as decoder:
        windows, facts = decoded(decoder, saved(tmp_path / "a.wav", wav16(call)))
    assert [window.index for window in windows] == list(range(len(windows)))
    assert [window.channel for window in windows] == [0, 1] * (len(windows) // 2)
    assert all(window.one_speaker for window in windows)
    for channel in (0, 1):
        of_channel = [window for window in windows if window.channel == channel]
        assert of_channel[0].start_s == 0.0
        assert of_channel[-1].end_s == facts.duration_s == 60.0
        assert all(a.end_s == b.start_s for a, b in pairwise(of_channel))
        joined = np.concatenate([window.samples for window in of_channel])
        assert np.array_equal(joined, int16(call[:, channel]))


def test_the_id_is_the_digest_of_the_bytes_and_knows_neither_key_nor_name(decoder: Decoder, tmp_path: Path) -> None:
    first, copy = saved(tmp_path / "a.m4a", _m4a()), saved(tmp_path / "b.m4a", _m4a())
    other = saved(tmp_path / "c.m4a", _m4a() + b"\0")
    ids = [decoded(decoder, recording)[1].content_digest for recording in (first, copy, other)]
    assert ids[0] == ids[1] != ids[2]
    assert ids[0] == hashlib.blake2b(_m4a(), digest_size=16).hexdigest()


def _m4a() -> bytes:
    return encoded(voice(rate_hz=44_100), "ipod", "aac", 44_100)


def test_a_flac_with_24_bits_or_two_channels_keeps_its_checksum(decoder: Decoder, tmp_path: Path) -> None:
    stereo = np.stack([voice(), voice(pitch_hz=190.0)], axis=1)
    for name, data in {
        "stereo": encoded(stereo, "flac", "flac"),
        "deep": encoded(voice(), "flac", "flac", sample_format="s32"),
    }.items():
        _, facts = decoded(decoder, saved(tmp_path / f"{name}.flac", data))
        assert facts.flags == ()
    spoilt = bytearray(data)
    spoilt[30] ^= 1
    assert decoded(decoder, saved(tmp_path / "spoilt.flac", bytes(spoilt)))[1].flags == (Flag.CHECKSUM,)


def test_one_voice_among_many_channels_survives_the_downmix(decoder: Decoder, tmp_path: Path) -> None:
    channels = [voice() if channel == 2 else 0 * voice() for channel in range(9)]
    (window,), facts = decoded(decoder, saved(tmp_path / "a.wav", wav16(np.stack(channels, axis=1))))
    assert facts.flags == (Flag.DOWNMIXED,)
    assert np.corrcoef(window.samples, int16(voice()))[0, 1] > 0.999


def test_planar_surround_is_read_whole(decoder: Decoder, tmp_path: Path) -> None:
    data = encoded(np.stack([voice(rate_hz=48_000)] * 8, axis=1), "ipod", "aac", 48_000, bit_rate=256_000)
    (window,), facts = decoded(decoder, saved(tmp_path / "a.m4a", data))
    assert (facts.channels, facts.flags) == (8, (Flag.DOWNMIXED,))
    assert window.samples.std() > 500


def test_a_file_that_is_replaced_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    recording = saved(tmp_path / "a.wav", wav16(minute()))
    with Decoder(DecodeOptions(window_s=20)) as decoder:
        answers = decoder.decode(recording)
        next(answers)
        os.utime(recording.uri, ns=(1, 1))
        with pytest.raises(AudioError) as caught:
            list(answers)
    assert caught.value.code is ErrorCode.CHANGED_DURING_READ


def test_a_probe_reads_the_header_and_never_raises(decoder: Decoder, tmp_path: Path) -> None:
    assert decoder.probe(saved(tmp_path / "a.wav", wav16(voice()))) == 3.0
    assert decoder.probe(saved(tmp_path / "a.flac", flac(100, block_samples=16_000))) == 100.0
    assert decoder.probe(saved(tmp_path / "a.m4a", _m4a())) == pytest.approx(3.0, abs=0.1)
    assert decoder.probe(saved(tmp_path / "b.wav", b"no audio")) is None
    assert decoder.probe(Recording(uri=str(tmp_path / "missing.wav"))) is None


def test_an_iteration_that_is_left_does_not_spoil_the_next_one(tmp_path: Path) -> None:
    recording = saved(tmp_path / "a.wav", wav16(minute()))
    with Decoder(DecodeOptions(window_s=20)) as decoder:
        next(decoder.decode(recording))
        windows, facts = decoded(decoder, recording)
    assert windows[0].index == 0
    assert facts.duration_s == 60.0


def test_a_thread_that_would_wait_for_itself_is_told_so(tmp_path: Path) -> None:
    recording = saved(tmp_path / "a.wav", wav16(minute()))
    with Decoder(DecodeOptions(window_s=20)) as decoder:
        answers = decoder.decode(recording)
        next(answers)
        with pytest.raises(RuntimeError, match="holds all children"):
            decoder.probe(recording)
        assert isinstance(list(answers)[-1], AudioFacts)


def test_a_decoder_outlives_the_thread_that_started_its_child(tmp_path: Path) -> None:
    recording = saved(tmp_path / "a.wav", wav16(voice()))
    with Decoder(DecodeOptions()) as decoder:
        thread = threading.Thread(target=lambda: decoded(decoder, recording))
        thread.start()
        thread.join()
        first = only_child(decoder)
        decoded(decoder, recording)
        assert only_child(decoder) is first


def test_a_recording_that_kills_its_decoder_costs_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMER_FAULTS", "crash=*crash*,hang=*hang*,memory=*memory*")
    names = [f"{index}.wav" for index in range(47)]
    names[5:5], names[20:20], names[40:40] = ["crash.wav"], ["hang.wav"], ["memory.wav"]
    codes: dict[str, float | ErrorCode] = {}
    with Decoder(QUICK) as decoder:
        for name in names:
            recording = saved(tmp_path / name, wav16(voice(1.0)))
            try:
                codes[name] = decoded(decoder, recording)[1].duration_s
            except AudioError as exc:
                codes[name] = exc.code
    bad = {name: code for name, code in codes.items() if code != 1.0}
    assert bad == {
        "crash.wav": ErrorCode.DECODER_CRASH,
        "hang.wav": ErrorCode.DECODE_TIMEOUT,
        "memory.wav": ErrorCode.OUT_OF_MEMORY,
    }
    assert len(codes) == 50


def test_waiting_longer_than_the_budget_in_all_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "WAIT_BASE_S", 1e-9)
    with Decoder(DecodeOptions()) as decoder:
        assert failure(decoder, saved(tmp_path / "a.wav", wav16(minute()))).code is ErrorCode.IO_ERROR


def test_time_in_which_the_parent_does_not_read_is_not_held_against_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away_s = 0.0
    monkeypatch.setattr(guard, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + away_s))
    with Decoder(DecodeOptions(window_s=20)) as decoder:
        num_answers = 0
        for _ in decoder.decode(saved(tmp_path / "a.wav", wav16(minute()))):
            away_s += 3600.0
            num_answers += 1
    assert num_answers > 3


def test_a_child_that_was_killed_between_two_recordings_is_replaced(tmp_path: Path) -> None:
    recording = saved(tmp_path / "a.wav", wav16(voice()))
    with Decoder(DecodeOptions()) as decoder:
        decoded(decoder, recording)
        os.kill(only_child(decoder).pid, signal.SIGKILL)
        only_child(decoder)._process.wait()
        assert decoded(decoder, recording)[1].duration_s == 3.0


def test_closing_ends_the_child(tmp_path: Path) -> None:
    with Decoder(DecodeOptions()) as decoder:
        decoded(decoder, saved(tmp_path / "a.wav", wav16(voice())))
        child = only_child(decoder)
        assert child.is_alive()
    assert not child.is_alive()


def test_an_hour_streams_in_windows_and_the_child_stays_small(tmp_path: Path) -> None:
    hour = flac(1200, block_samples=48_000, sound=int16(voice()), sound_every=2)
    with Decoder(DecodeOptions()) as decoder:
        windows, facts = decoded(decoder, saved(tmp_path / "hour.flac", hour))
        assert decoder.peak_rss_kb() <= 256 << 10
    assert facts.duration_s == 3600.0
    assert windows[0].start_s == 0.0
    assert windows[-1].end_s == 3600.0
    assert all(a.end_s == b.start_s for a, b in pairwise(windows))
    assert all(5.0 <= window.end_s - window.start_s <= 600.0 for window in windows)
    assert all(len(window.samples) == round((window.end_s - window.start_s) * 16_000) for window in windows)


@pytest.mark.parametrize("num_channels", [1, 2])
def test_sound_is_every_sample_of_every_channel_as_it_was(decoder: Decoder, tmp_path: Path, num_channels: int) -> None:
    samples = np.random.default_rng(3).integers(-20_000, 20_000, (40_000, num_channels), dtype=np.int16)
    recording = saved(tmp_path / "a.wav", wav(samples.tobytes(), rate_hz=16_000, channels=num_channels))

    *blocks, facts = decoder.sound(recording)

    assert isinstance(facts, AudioFacts)
    np.testing.assert_array_equal(
        np.concatenate([block for block in blocks if isinstance(block, np.ndarray)], 1).T, samples
    )
    assert facts.duration_s == 2.5
    assert facts.content_digest == decoded(decoder, recording)[1].content_digest


def test_sound_of_a_corrupt_file_fails_as_its_windows_do(decoder: Decoder, tmp_path: Path) -> None:
    recording = saved(tmp_path / "a.wav", b"RIFF")

    with pytest.raises(AudioError) as caught:
        list(decoder.sound(recording))

    assert caught.value.code == failure(decoder, recording).code

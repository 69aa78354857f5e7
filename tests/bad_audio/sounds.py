"""C and D: whole files whose samples are odd, and every rate and number of channels."""

from __future__ import annotations

from functools import partial

import numpy as np

from mmer_ray.errors import ErrorCode, Flag
from tests.bad_audio.case import Case, bad, good
from tests.bad_audio.containers import wav16, wav_float
from tests.bad_audio.signals import Signal, noise, tone, voice

RATES_HZ = (8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000)


def cases() -> list[Case]:
    return [*_values(), *_levels(), *_channels(), *_rates()]


def _float32(sound: Signal, **replaced: tuple[slice, list[float]]) -> bytes:
    values = sound.astype(np.float32)
    for where, with_values in replaced.values():
        values[where] = np.resize(with_values, len(values[where]))
    return wav_float(values)


def _values() -> list[Case]:
    return [
        bad("C01_nan", ".wav", lambda: _float32(voice(), nan=(slice(20_000, 20_100), [np.nan])), ErrorCode.NON_FINITE),
        bad(
            "C02_inf",
            ".wav",
            lambda: _float32(voice(), inf=(slice(9_000, 9_002), [np.inf, -np.inf])),
            ErrorCode.NON_FINITE,
        ),
        bad(
            "C03_all_nan", ".wav", lambda: _float32(voice()[:16_000], all=(slice(None), [np.nan])), ErrorCode.NON_FINITE
        ),
        good(
            "C04_huge",
            ".wav",
            lambda: _float32(voice(), huge=(slice(20_000, 21_000), [1e30, -1e30])),
            Flag.OUT_OF_RANGE,
            also=(Flag.DC_OFFSET,),
        ),
        good("C05_over", ".wav", lambda: _float32(8 * voice()), Flag.OUT_OF_RANGE, also=(Flag.DC_OFFSET,)),
        good("C06_denormal", ".wav", lambda: _float32(np.full(48_000, 1e-42)), Flag.NO_SPEECH),
    ]


def _levels() -> list[Case]:
    return [
        good("C07_silence", ".wav", lambda: wav16(np.zeros(160_000)), Flag.NO_SPEECH),
        good("C08_clipped", ".wav", lambda: wav16(np.clip(100 * voice(), -1, 1)), Flag.CLIPPED),
        good("C09_dc", ".wav", lambda: wav16(0.4 * voice() + 0.5), Flag.DC_OFFSET),
        good("C10_quiet", ".wav", lambda: wav16(2e-4 * voice()), Flag.LOW_LEVEL),
        good("C11_noise", ".wav", lambda: wav16(noise(10.0))),
        good("C12_tone", ".wav", lambda: wav16(tone(30.0))),
        good("C15_dropout", ".wav", lambda: wav16(np.concatenate([voice(), np.zeros(16_000), voice()])), Flag.DROPOUT),
    ]


def _channels() -> list[Case]:
    return [
        good("C13_stereo_antiphase", ".wav", lambda: _together(voice(), -voice()), Flag.ANTIPHASE),
        good("C14_dead_channel", ".wav", lambda: _together(voice(), np.zeros(48_000)), Flag.DEAD_CHANNEL),
        good("D_ch2", ".wav", lambda: _together(voice(), voice(pitch_hz=190.0))),
        *[good(f"D_ch{count}", ".wav", partial(_copies, count), also=(Flag.DOWNMIXED,)) for count in (3, 6, 8)],
    ]


def _together(*channels: Signal) -> bytes:
    return wav16(np.stack(channels, axis=1))


def _copies(count: int) -> bytes:
    return _together(*[voice()] * count)


def _rates() -> list[Case]:
    return [
        *[good(f"D_sr{rate_hz}", ".wav", partial(_at_rate, rate_hz, 3.0)) for rate_hz in RATES_HZ],
        good("D_sr384000", ".wav", partial(_at_rate, 384_000, 1.0)),
        good("D_sr4000", ".wav", partial(_at_rate, 4_000, 3.0), Flag.NARROWBAND),
    ]


def _at_rate(rate_hz: int, duration_s: float) -> bytes:
    return wav16(voice(duration_s, rate_hz), rate_hz)

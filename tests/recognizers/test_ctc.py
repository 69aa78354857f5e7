"""Words from sound: a small random model for the mechanics, the embedded one for what it reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmer_ray.errors import UsageError
from mmer_ray.models.ctc import checkpoint
from mmer_ray.models.ctc.config import SIZES
from mmer_ray.models.ctc.model import CtcModel
from mmer_ray.models.ctc.vocabulary import BLANK, SYMBOLS, to_symbols
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.alignment import Speech, align, greedy
from mmer_ray.recognizers.ctc import TAIL_S, locate_words, with_tails
from mmer_ray.recognizers.interface import Chunk, Recognizer, TimedWord
from mmer_ray.recognizers.members import load_recognizer
from mmer_ray.records import SAMPLE_RATE_HZ, Expected


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ctc")
    torch.manual_seed(0)
    model = CtcModel(SIZES["test"])
    # A random head is nearly flat: sharper scores make it spell.
    torch.nn.init.normal_(model.head.weight, std=3.0)
    checkpoint.save(model, folder)
    return folder


def noise(seed: int, seconds: float) -> Chunk:
    return Chunk(np.random.default_rng(seed).normal(0, 2_000, round(seconds * SAMPLE_RATE_HZ)).astype(np.int16))


def recognizer(folder: Path, batch_s: float = 120.0) -> Recognizer:
    return load_recognizer(TranscribeOptions(model=str(folder), batch_s=batch_s))


def test_a_chunk_reads_the_same_alone_and_in_company(random_model: Path) -> None:
    ctc = recognizer(random_model, batch_s=15)
    chunks = [noise(seed, seconds) for seed, seconds in enumerate((2, 6, 5.9, 0.6, 4, 4))]
    together = ctc.transcribe(chunks)
    assert sum(len(one.words) for one in together) > 6
    for chunk, answer in zip(chunks, together, strict=True):
        (alone,) = ctc.transcribe([chunk])
        assert [word[:3] for word in alone.words] == [word[:3] for word in answer.words]
        assert alone.logprob == pytest.approx(answer.logprob, abs=1e-4)


def test_the_words_of_a_chunk_are_in_order_and_inside_it(random_model: Path) -> None:
    (answer,) = recognizer(random_model).transcribe([noise(4, 6)])
    assert answer.words
    assert [word.start_s for word in answer.words] == sorted(word.start_s for word in answer.words)
    for word in answer.words:
        assert 0 <= word.start_s < word.end_s <= 6 + TAIL_S
        assert 0 <= word.p <= 1


def test_it_says_its_language_without_a_probability(random_model: Path) -> None:
    (answer,) = recognizer(random_model).transcribe([noise(4, 2)])
    assert (answer.language, answer.language_p, answer.fallback_reason) == ("en", None, None)


def test_a_chunk_shorter_than_a_frame_has_no_words(random_model: Path) -> None:
    assert [one.words for one in recognizer(random_model).transcribe([noise(5, 0.02), noise(6, 0.0)])] == [(), ()]
    assert recognizer(random_model).transcribe([]) == []


def frames(*symbols: str) -> np.ndarray:
    """Log probabilities in which each frame clearly shows one symbol; `-` is the blank."""
    logprobs_TV = np.full((len(symbols), len(SYMBOLS)), np.log(0.001), dtype=np.float32)
    for frame, symbol in enumerate(symbols):
        logprobs_TV[frame, 0 if symbol == "-" else to_symbols(symbol)[0] if symbol != "|" else 4] = np.log(0.9)
    return logprobs_TV


def test_a_words_times_count_from_the_chunks_start_by_the_middle_of_what_a_frame_sees(
    random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctc = recognizer(random_model)
    monkeypatch.setattr(ctc, "_predict", lambda chunks: [frames("-", "a", "-", "-", "-", "-") for _ in chunks])
    (answer,) = ctc.transcribe([noise(0, 1)])
    (word,) = answer.words
    # A frame sees 928 samples (58 ms) and stands for the 20 ms in their middle, which begin after 19 ms.
    assert (word.start_s, word.end_s) == (pytest.approx(0.039), pytest.approx(0.059 + TAIL_S))


def read_words(logprobs_TV: np.ndarray) -> list[TimedWord]:
    """Words of frames of 20 ms, the first at 10 s."""
    return located(logprobs_TV, greedy(logprobs_TV, BLANK), 10.0)


def located(logprobs_TV: np.ndarray, symbols: list[int], first_s: float) -> list[TimedWord]:
    speech = Speech(logprobs_TV, symbols)
    (spans,) = align([speech], BLANK)
    assert spans is not None
    return locate_words(speech, spans, first_s, 0.02)


def test_words_are_read_with_the_times_of_their_frames() -> None:
    words = read_words(frames("-", "a", "-", "|", "|", "-", "i", "i", "-", "t", "-"))
    assert [word.word for word in words] == ["a", "it"]
    assert [(word.start_s, word.end_s) for word in words] == [
        pytest.approx((10.02, 10.04)),
        pytest.approx((10.12, 10.2)),
    ]
    assert all(word.p == pytest.approx(0.9) for word in words)


def test_blanks_and_word_breaks_alone_are_no_words() -> None:
    assert read_words(frames("-", "|", "-", "|")) == []
    assert read_words(frames("-")) == []


def test_a_word_lasts_until_its_sound_has_faded_but_not_into_the_next() -> None:
    words = [
        TimedWord("a", 1.0, 1.2, 0.9, -0.1),
        TimedWord("b", 1.23, 1.5, 0.9, -0.1),
        TimedWord("c", 2.0, 2.3, 0.9, 0),
    ]
    assert [word.end_s for word in with_tails(words)] == pytest.approx([1.23, 1.5 + TAIL_S, 2.3 + TAIL_S])
    assert [word.start_s for word in with_tails(words)] == [1.0, 1.23, 2.0]
    assert with_tails([]) == []


def test_a_words_log_probability_is_that_of_its_own_path_not_of_the_likeliest_symbols() -> None:
    logprobs_TV = frames("a", "-", "t")
    (likeliest,) = located(logprobs_TV, to_symbols("at"), 0.0)
    (other,) = located(logprobs_TV, to_symbols("ae"), 0.0)
    assert likeliest.logprob == pytest.approx(np.log(0.9))
    assert other.logprob == pytest.approx((2 * np.log(0.9) + np.log(0.001)) / 3)


def test_it_can_be_told_to_expect_english_and_nothing_else(random_model: Path) -> None:
    ctc = recognizer(random_model)
    ctc.check_expected(Expected())
    ctc.check_expected(Expected(languages=("en",)))
    for field, expected in {
        "languages": Expected(languages=("en", "de")),
        "keywords": Expected(keywords=("Ann",)),
        "prompt": Expected(prompt="so"),
    }.items():
        with pytest.raises(UsageError, match=f"^{field}: "):
            ctc.check_expected(expected)

"""Words from sound: a small random model for the mechanics, the embedded one for what it reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmer_ray.models import wav2vec2
from mmer_ray.models.ctc import checkpoint
from mmer_ray.models.ctc.config import SIZES
from mmer_ray.models.ctc.model import CtcModel
from mmer_ray.models.ctc.vocabulary import BLANK, SYMBOLS, to_symbols
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Turn, Window
from mmer_ray.stages.alignment import greedy
from mmer_ray.stages.transcribe import TAIL_S, Transcribe, locate_words, with_tails
from mmer_ray.stages.utterances import HeardWord
from tests.stages.makers import window


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ctc")
    torch.manual_seed(0)
    model = CtcModel(SIZES["test"])
    # A random head is nearly flat: sharper scores make it spell.
    torch.nn.init.normal_(model.head.weight, std=3.0)
    checkpoint.save(model, folder)
    return folder


def noise(seed: int, start_s: float, turns: tuple[tuple[float, float], ...], *, index: int = 0) -> Window:
    samples = np.random.default_rng(seed).normal(0, 2_000, 20 * SAMPLE_RATE_HZ).astype(np.int16)
    spoken = [Turn(start_s + turn_start_s, start_s + turn_end_s, 0) for turn_start_s, turn_end_s in turns]
    return replace(window(start_s, start_s + 20, index=index, turns=spoken), samples=samples)


def test_a_window_reads_the_same_alone_and_in_company(random_model: Path) -> None:
    transcribe = Transcribe(TranscribeOptions(model=str(random_model), batch_s=15))
    windows = [noise(0, 0, ((1, 3), (5, 12))), noise(1, 100, ()), noise(2, 40, ((0, 19.5),)), noise(3, 0, ((4, 4.6),))]
    together = transcribe(windows)
    assert sum(len(one.utterances) for one in together) > 3
    for one, answer in zip(windows, together, strict=True):
        (alone,) = transcribe([one])
        assert [u.text for u in alone.utterances] == [u.text for u in answer.utterances]
        assert [u.start_s for u in alone.utterances] == [u.start_s for u in answer.utterances]
        logprobs = [one.asr_logprob for one in answer.utterances]
        assert [one.asr_logprob for one in alone.utterances] == pytest.approx(logprobs, abs=1e-4)


def test_every_word_lies_inside_its_utterance_and_its_window(random_model: Path) -> None:
    (answer,) = Transcribe(TranscribeOptions(model=str(random_model)))([noise(4, 600, ((0, 20),))])
    assert answer.utterances
    for said in answer.utterances:
        assert 600 <= said.start_s < said.end_s <= 620
        assert said.text == " ".join(word.word for word in said.words)
        starts_s = [word.start_s for word in said.words if word.start_s is not None]
        assert len(starts_s) == len(said.words)
        assert starts_s == sorted(starts_s)
        assert all(0 <= word.p <= 1 for word in said.words)


def test_a_window_without_turns_and_a_turn_shorter_than_a_frame_stay_silent(random_model: Path) -> None:
    answers = Transcribe(TranscribeOptions(model=str(random_model)))([noise(5, 0, ()), noise(6, 0, ((1, 1.03),))])
    assert [answer.utterances for answer in answers] == [(), ()]
    assert [len(answer.turns) for answer in answers] == [0, 1]


def frames(*symbols: str) -> np.ndarray:
    """Log probabilities in which each frame clearly shows one symbol; `-` is the blank."""
    logprobs_TV = np.full((len(symbols), len(SYMBOLS)), np.log(0.001), dtype=np.float32)
    for frame, symbol in enumerate(symbols):
        logprobs_TV[frame, 0 if symbol == "-" else to_symbols(symbol)[0] if symbol != "|" else 4] = np.log(0.9)
    return logprobs_TV


def read_words(logprobs_TV: np.ndarray) -> list[HeardWord]:
    """Words of frames of 20 ms, the first at 10 s."""
    return locate_words(logprobs_TV, greedy(logprobs_TV, BLANK), 10.0, 0.02)


def test_words_are_read_with_the_times_of_their_frames() -> None:
    words = read_words(frames("-", "a", "-", "|", "|", "-", "i", "i", "-", "t", "-"))
    assert [word.word for word in words] == ["a", "it"]
    assert [(word.start_s, word.end_s) for word in words] == [
        pytest.approx((10.02, 10.04)),
        pytest.approx((10.12, 10.2)),
    ]
    assert all(word.p == pytest.approx(0.9) for word in words)


def test_the_first_frame_lies_in_the_middle_of_what_it_sees(
    random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcribe = Transcribe(TranscribeOptions(model=str(random_model), beam_width=1))
    spelled = np.full((50, len(SYMBOLS)), -20.0, dtype=np.float32)
    spelled[:, BLANK] = 0.0
    spelled[10, BLANK], spelled[10, to_symbols("a")[0]] = -20.0, 0.0
    monkeypatch.setattr(transcribe, "_listen", lambda windows, chunks: [spelled for _ in chunks])
    (answer,) = transcribe([noise(5, 100, ((2, 4),))])
    # Frame 0 sees the first samples of the chunk; its middle is theirs.
    config = transcribe._model.backbone.config
    first_middle_s = wav2vec2.min_samples(config) / SAMPLE_RATE_HZ / 2
    stride_s = wav2vec2.frame_stride_s(config)
    assert first_middle_s - stride_s / 2 > 0.002
    expected_s = 102 + first_middle_s + 10 * stride_s - stride_s / 2
    assert answer.utterances[0].words[0].start_s == pytest.approx(expected_s, abs=1e-4)


def test_blanks_and_word_breaks_alone_are_no_words() -> None:
    assert read_words(frames("-", "|", "-", "|")) == []
    assert read_words(frames("-")) == []


def test_a_word_lasts_until_its_sound_has_faded_but_not_into_the_next() -> None:
    words = [
        HeardWord("a", 1.0, 1.2, 0.9, -0.1),
        HeardWord("b", 1.23, 1.5, 0.9, -0.1),
        HeardWord("c", 2.0, 2.3, 0.9, 0),
    ]
    assert [word.end_s for word in with_tails(words)] == pytest.approx([1.23, 1.5 + TAIL_S, 2.3 + TAIL_S])
    assert [word.start_s for word in with_tails(words)] == [1.0, 1.23, 2.0]
    assert with_tails([]) == []


def test_a_words_log_probability_is_that_of_its_own_path_not_of_the_likeliest_symbols() -> None:
    logprobs_TV = frames("a", "-", "t")
    (likeliest,) = locate_words(logprobs_TV, to_symbols("at"), 0.0, 0.02)
    (other,) = locate_words(logprobs_TV, to_symbols("ae"), 0.0, 0.02)
    assert likeliest.logprob == pytest.approx(np.log(0.9))
    assert other.logprob == pytest.approx((2 * np.log(0.9) + np.log(0.001)) / 3)

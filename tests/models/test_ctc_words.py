"""The bigram language model, and the beam search that uses it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmer_ray.errors import PreflightError
from mmer_ray.models.ctc import bigrams
from mmer_ray.models.ctc.beam import BeamOptions, beam_search
from mmer_ray.models.ctc.bigrams import START, count_bigrams
from mmer_ray.models.ctc.vocabulary import BLANK, SYMBOLS, collapse, to_symbols, to_text

BIGRAMS = count_bigrams(["call me later", "call me now", "i call you", "thank you"])
WORDLESS = BeamOptions(width=64, min_logprob=-20, word_weight=0, word_bonus=0, unknown_penalty=0)


def frames(rows: list[dict[str, float]]) -> np.ndarray:
    """Log probabilities, float32, shape (T, V), from the probabilities of a few symbols; `-` is the blank."""
    probabilities_TV = np.full((len(rows), len(SYMBOLS)), 1e-9)
    for row, given_row in zip(probabilities_TV, rows, strict=True):
        for symbol, probability in given_row.items():
            row[BLANK if symbol == "-" else SYMBOLS.index(symbol)] = probability
    return np.log(probabilities_TV).astype(np.float32)


def spoken(text: str, doubt: dict[int, tuple[str, float]], blur: float = 0.01) -> np.ndarray:
    """Frames that spell a text, a blank after each symbol, `blur` of the blank in each symbol's frame; `doubt` gives
    another symbol a share at some positions."""
    rows: list[dict[str, float]] = []
    for position, symbol in enumerate(to_symbols(text)):
        other, share = doubt.get(position, ("-", blur))
        rows += [{SYMBOLS[symbol]: 1 - share, other: share}, {"-": 0.99}]
    return frames(rows)


def test_probabilities_after_a_word_sum_to_one_over_the_known_words() -> None:
    words = {word for following in BIGRAMS.counts.values() for word in following}
    for before in (START, "call", "me", "never heard"):
        assert sum(math.exp(BIGRAMS.logprob(before, word)) for word in words) == pytest.approx(1)


def test_a_pair_that_was_seen_is_likelier_than_one_that_was_not() -> None:
    assert BIGRAMS.logprob("call", "me") > BIGRAMS.logprob("call", "thank") > BIGRAMS.logprob("call", "zebra")


def test_the_counts_survive_the_disk(tmp_path: Path) -> None:
    assert bigrams.load(tmp_path) is None
    bigrams.save(BIGRAMS, tmp_path)
    assert bigrams.load(tmp_path) == BIGRAMS


def test_damaged_counts_are_named(tmp_path: Path) -> None:
    (tmp_path / bigrams.FILE_NAME).write_text("{")
    with pytest.raises(PreflightError, match="is damaged"):
        bigrams.load(tmp_path)


def test_a_doubtful_letter_is_settled_by_the_words() -> None:
    # The sound prefers "ne"; nobody says that after "call".
    logprobs_TV = spoken("call me now", {5: ("N", 0.6)})
    assert to_text(collapse(logprobs_TV.argmax(axis=1))) == "call ne now"
    assert to_text(beam_search(logprobs_TV, BIGRAMS, BeamOptions())) == "call me now"


def test_a_clear_word_that_training_never_saw_is_kept() -> None:
    clear_TV = spoken("call zed now", {}, blur=1e-9)
    assert to_text(beam_search(clear_TV, BIGRAMS, BeamOptions())) == "call zed now"


def test_a_blurred_word_that_training_never_saw_gives_way() -> None:
    assert "zed" not in to_text(beam_search(spoken("call zed now", {}), BIGRAMS, BeamOptions()))


def test_a_double_letter_needs_a_blank_between() -> None:
    held = frames([{"E": 0.9}, {"E": 0.9}])
    parted = frames([{"E": 0.9}, {"-": 0.9}, {"E": 0.9}])
    assert to_text(beam_search(held, BIGRAMS, WORDLESS)) == "e"
    assert to_text(beam_search(parted, BIGRAMS, WORDLESS)) == "ee"


def test_nothing_said_is_nothing_read() -> None:
    assert beam_search(frames([{"-": 0.99}] * 5), BIGRAMS, BeamOptions()) == []
    assert beam_search(np.empty((0, len(SYMBOLS)), np.float32), BIGRAMS, BeamOptions()) == []


@given(st.lists(st.lists(st.floats(0.05, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_without_word_weights_the_beam_finds_the_most_probable_symbols(weights: list[list[float]]) -> None:
    # Every path over three symbols is tried by hand and summed by what it spells.
    shares = np.array(weights) / np.sum(weights, axis=1, keepdims=True)
    symbols = ["-", "A", "T"]
    totals: dict[tuple[int, ...], float] = {}
    for path in np.ndindex(*[3] * len(shares)):
        ids = [BLANK if symbols[index] == "-" else SYMBOLS.index(symbols[index]) for index in path]
        spelled = tuple(collapse(ids))
        totals[spelled] = totals.get(spelled, 0) + math.prod(shares[t, index] for t, index in enumerate(path))
    found = tuple(beam_search(frames([dict(zip(symbols, row, strict=True)) for row in shares]), BIGRAMS, WORDLESS))
    assert totals[found] == pytest.approx(max(totals.values()), rel=1e-3)

"""Recognized words in place of transcripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.training.asr_texts import read_asr_texts, with_texts, word_error_rate
from tests.training.evaluation.makers import utterance


def test_words_are_read_and_take_the_place_of_the_reference(tmp_path: Path) -> None:
    table = tmp_path / "asr.csv"
    table.write_text('utterance_id,text\nu0,"yes, no"\nu1,\nu3,nan\n', encoding="utf-8")
    texts = read_asr_texts(table)
    assert [one.text for one in with_texts((utterance(0), utterance(1)), texts)] == ["yes, no", ""]
    assert texts["u3"] == ""
    with pytest.raises(UsageError, match="1 utterances have no recognized words, such as u2"):
        with_texts((utterance(0), utterance(2)), texts)


def test_an_utterance_that_comes_twice_is_refused_by_line(tmp_path: Path) -> None:
    table = tmp_path / "asr.csv"
    table.write_text("utterance_id,text\nu0,yes\nu0,no\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"asr\.csv:3 has words of u0 a second time"):
        read_asr_texts(table)


def test_the_error_rate_is_over_all_words_of_the_reference() -> None:
    spoken = (utterance(0, text="Oh no, not you."), utterance(1, text="yes"), utterance(2, text=""))
    assert word_error_rate(spoken, {"u0": "oh no not you", "u1": "yet", "u2": "hm"}) == pytest.approx(1 / 5)
    assert word_error_rate(spoken[2:], {"u2": "hm"}) is None

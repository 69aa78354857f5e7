"""The small tokenizer, and texts as a poor transcriber would write them."""

from __future__ import annotations

import numpy as np

from mmer_ray.training.embedded_text import train_tokenizer, transcribe_badly

SENTENCE = "I would like to change the delivery address of my second order"


def test_any_text_can_be_read_and_written_back_in_lower_case() -> None:
    tokenizer = train_tokenizer([SENTENCE] * 5, vocab_size=320)
    ids = tokenizer("Zürich, 3 € 話 Delivery")["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == "zürich, 3 € 話 delivery"


def test_known_words_take_fewer_tokens_than_letters() -> None:
    tokenizer = train_tokenizer([SENTENCE] * 5, vocab_size=400)
    assert len(tokenizer) <= 400
    assert len(tokenizer(SENTENCE)["input_ids"]) < len(SENTENCE) / 2


def test_bad_transcripts_are_sometimes_empty_sometimes_true_and_otherwise_near() -> None:
    rng = np.random.default_rng(0)
    texts = [transcribe_badly(SENTENCE, rng) for _ in range(2_000)]
    assert 0.1 < texts.count("") / len(texts) < 0.2
    assert texts.count(SENTENCE.lower()) / len(texts) > 0.4
    wrong = [text for text in texts if text not in ("", SENTENCE.lower())]
    assert len(set(wrong)) > 300
    assert np.mean([len(text) for text in wrong]) > 0.85 * len(SENTENCE)

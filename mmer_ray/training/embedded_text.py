"""The text side of the embedded `mmer`: a small tokenizer, and texts as poor as a transcriber's."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from mmer_ray.models.encoders import MAX_TOKENS
from mmer_ray.models.library import PreTrainedTokenizerBase, PreTrainedTokenizerFast
from mmer_ray.normalise import normalise

# RoBERTa's special tokens in RoBERTa's order: begin 0, padding 1, end 2.
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
LANGUAGE = "en"
"""Of the synthetic set."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
EMPTY_SHARE = 0.15
WORD_DROP_SHARE = 0.05
LETTER_ERROR_SHARE = 0.03
CLEAN_SHARE = 0.4


def train_tokenizer(sentences: Iterable[str], vocab_size: int) -> PreTrainedTokenizerBase:
    """Train a byte-level BPE of at most `vocab_size` symbols that reads any text, letters in lower case."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(sentences, trainer)
    begin, padding, end, unknown, mask = SPECIAL_TOKENS
    marks = [(token, bpe.token_to_id(token)) for token in (begin, end)]
    bpe.post_processor = processors.TemplateProcessing(single=f"{begin} $A {end}", special_tokens=marks)
    # Its constructor has no types.
    wrap: Callable[..., PreTrainedTokenizerBase] = PreTrainedTokenizerFast
    return wrap(
        tokenizer_object=bpe,
        bos_token=begin,
        eos_token=end,
        pad_token=padding,
        unk_token=unknown,
        mask_token=mask,
        model_max_length=MAX_TOKENS,
    )


def transcribe_badly(text: str, rng: np.random.Generator) -> str:
    """Return a text as a transcriber might have heard it: true, with wrong letters and lost words, or nothing."""
    plain = normalise(text, LANGUAGE)
    fate = rng.random()
    if fate < EMPTY_SHARE:
        return ""
    if fate < EMPTY_SHARE + CLEAN_SHARE:
        return plain
    words = [word for word in plain.split() if rng.random() >= WORD_DROP_SHARE]
    return " ".join("".join(_mishear(letter, rng) for letter in word) for word in words)


def _mishear(letter: str, rng: np.random.Generator) -> str:
    if rng.random() >= LETTER_ERROR_SHARE:
        return letter
    other = LETTERS[rng.integers(len(LETTERS))]
    return ("", other, letter + other)[rng.integers(3)]

"""Encoders from local folders; nothing here may touch the network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import RobertaConfig, RobertaModel, Wav2Vec2Config, Wav2Vec2Model

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.models.encoders import load_audio_encoder, load_text_encoder, load_tokenizer, tokenise
from mmer_ray.models.mmer.config import TINY
from mmer_ray.training.embedded_text import train_tokenizer


@pytest.fixture
def text_folder(tmp_path: Path) -> Path:
    RobertaModel(RobertaConfig(**TINY.text)).save_pretrained(tmp_path)
    train_tokenizer(["some words to count"], vocab_size=300).save_pretrained(tmp_path)
    return tmp_path


def test_a_text_encoder_and_its_tokenizer_come_from_one_local_folder(text_folder: Path) -> None:
    encoder, tokenizer = load_text_encoder(text_folder), load_tokenizer(text_folder)
    token_ids, mask = tokenise(tokenizer, ["SOME words", ""])
    assert mask.sum(dim=1)[1] == 2
    assert not encoder.training
    assert encoder(token_ids, attention_mask=mask.long()).last_hidden_state.shape == (
        *token_ids.shape,
        TINY.hidden_size,
    )


def test_tokens_do_not_depend_on_letter_case_and_long_texts_are_cut(text_folder: Path) -> None:
    tokenizer = load_tokenizer(text_folder)
    token_ids, _ = tokenise(tokenizer, ["SOME Words", "some words"])
    assert torch.equal(token_ids[0], token_ids[1])
    assert tokenise(tokenizer, ["words " * 500])[0].shape == (1, 128)


def test_an_audio_encoder_comes_from_a_local_folder(tmp_path: Path) -> None:
    Wav2Vec2Model(Wav2Vec2Config(**TINY.audio)).save_pretrained(tmp_path)
    assert load_audio_encoder(tmp_path).config.hidden_size == TINY.hidden_size


def test_a_text_encoder_is_refused_where_audio_is_expected(text_folder: Path) -> None:
    with pytest.raises(UsageError, match="holds a roberta model"):
        load_audio_encoder(text_folder)


def test_an_encoder_that_comes_as_a_pickle_is_not_read(tmp_path: Path) -> None:
    encoder = RobertaModel(RobertaConfig(**TINY.text))
    encoder.config.save_pretrained(tmp_path)
    torch.save(encoder.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(PreflightError, match="safetensors"):
        load_text_encoder(tmp_path)


def test_a_folder_that_does_not_exist_is_named() -> None:
    with pytest.raises(PreflightError, match="/no/such/folder is not a folder"):
        load_tokenizer(Path("/no/such/folder"))

"""A small random Whisper of CTranslate2, converted as real ones are, and sounds for it to read."""

from __future__ import annotations

import json
from pathlib import Path

import ctranslate2
import numpy as np
import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers

from mmer_ray.models.torchaudio_guard import make_torchaudio_importable
from mmer_ray.recognizers.interface import Chunk
from mmer_ray.records import SAMPLE_RATE_HZ

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LANGUAGES = ("en", "de", "fr")
SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{language}|>" for language in LANGUAGES),
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nocaptions|>",
    "<|notimestamps|>",
)
NUM_TIMES = 1501


def make_whisper(folder: Path, *, multilingual: bool = True, seed: int = 0) -> Path:
    """Convert a model with random weights into `folder / "ct2"`; returns that."""
    make_torchaudio_importable()
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

    source = folder / "source"
    source.mkdir(parents=True)
    vocabulary = _write_tokenizer(source, multilingual=multilingual)
    special = {name: vocabulary[name] for name in SPECIAL}
    torch.manual_seed(seed)
    config = WhisperConfig(
        vocab_size=max(special.values()) + 1 + NUM_TIMES, num_mel_bins=80, d_model=32, encoder_layers=1,
        decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
        decoder_start_token_id=special["<|startoftranscript|>"], bos_token_id=special["<|endoftext|>"],
        eos_token_id=special["<|endoftext|>"], pad_token_id=special["<|endoftext|>"], suppress_tokens=[],
        begin_suppress_tokens=[special["<|endoftext|>"]],
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            # Wide enough that the sound matters.
            torch.nn.init.normal_(parameter, std=0.4)
    # One token stands out, so that the text is not taken for guessed.
    torch.nn.init.constant_(model.model.decoder.layer_norm.weight, 6.0)
    letters = {vocabulary[piece] for piece in (*LETTERS, *(f"Ġ{letter}" for letter in LETTERS))}
    written = {*letters, vocabulary["<|endoftext|>"]}
    unwritten = [token for token in range(config.vocab_size) if token not in written]
    model.generation_config = GenerationConfig(
        suppress_tokens=unwritten,
        begin_suppress_tokens=[special["<|endoftext|>"]],
        alignment_heads=[[1, 0], [1, 1]],
        lang_to_id={f"<|{language}|>": special[f"<|{language}|>"] for language in LANGUAGES},
    )
    model.save_pretrained(source)
    converter = ctranslate2.converters.TransformersConverter(str(source), copy_files=["tokenizer.json"])
    return Path(converter.convert(str(folder / "ct2"), quantization="int8"))


def _write_tokenizer(folder: Path, *, multilingual: bool) -> dict[str, int]:
    """Write a tokenizer of bytes and words of one letter; returns its vocabulary."""
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(f"Ġ{letter}" for letter in LETTERS)]
    # CTranslate2 takes a model for multilingual where its vocabulary holds an empty string.
    vocabulary = {piece: index for index, piece in enumerate([*pieces, ""] if multilingual else pieces)}
    merges = [("Ġ", letter) for letter in LETTERS]
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return dict(tokenizer.get_vocab())


def voice(seed: int, seconds: float) -> Chunk:
    """A buzz whose pitch and loudness wander: no two seeds sound alike."""
    random = np.random.default_rng(seed)
    num_samples = round(seconds * SAMPLE_RATE_HZ)
    time_s = np.arange(num_samples) / SAMPLE_RATE_HZ
    pitch_hz = np.interp(time_s, np.arange(0, 31, 0.3), random.uniform(80, 300, 104))
    loudness = np.interp(time_s, np.arange(0, 31, 0.2), random.uniform(0, 1, 155))
    wave = sawtooth(np.cumsum(pitch_hz) / SAMPLE_RATE_HZ) * loudness + random.normal(0, 0.02, num_samples)
    return Chunk((wave * 8_000).astype(np.int16))


def sawtooth(cycles: np.ndarray) -> np.ndarray:
    return 2 * (cycles % 1) - 1

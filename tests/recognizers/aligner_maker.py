"""Small random aligners, written and read as published ones are."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from mmer_ray.models.torchaudio_guard import make_torchaudio_importable

VOCABULARY = {
    name: index for index, name in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAOINSHRDLUMWCFGYPBVK'XJQZ"])
}
NUM_LAYERS = 1


def make_aligner(
    folder: Path,
    *,
    norm: str = "group",
    normalises: bool = False,
    seed: int = 0,
    vocabulary: dict[str, int] = VOCABULARY,
) -> Path:
    """Write a wav2vec2 with a CTC head and random weights; returns its folder."""
    make_torchaudio_importable()
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    torch.manual_seed(seed)
    config = Wav2Vec2Config(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=NUM_LAYERS, num_attention_heads=2,
        intermediate_size=32, conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
        feat_extract_norm=norm, conv_bias=norm == "layer", do_stable_layer_norm=norm == "layer", pad_token_id=0,
    )  # fmt: skip
    model = Wav2Vec2ForCTC(config)
    # A random head is nearly flat: sharper scores make a path that the sound decides.
    torch.nn.init.normal_(model.lm_head.weight, std=2.0)
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": normalises, "sampling_rate": 16000}))
    return folder

"""The padding-exact backbone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model

from mmer_ray.models import wav2vec2


@pytest.fixture(scope="module")
def backbone() -> Wav2Vec2Model:
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        conv_dim=[16, 16, 16],
        conv_kernel=[10, 4, 3],
        conv_stride=[5, 4, 4],
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=4,
    )
    return Wav2Vec2Model(config).eval()


def speech(seed: int, num_samples: int) -> np.ndarray:
    return wav2vec2.normalise(np.random.default_rng(seed).normal(0.1, 0.3, num_samples).astype(np.float32))


def test_frames_are_the_same_alone_and_in_any_padded_batch(backbone: Wav2Vec2Model) -> None:
    utterances = [speech(seed, length) for seed, length in enumerate((4_000, 16_000, 9_123, 401))]
    with torch.inference_mode():
        frames_BTH, num_frames_B = wav2vec2.encode(backbone, *wav2vec2.pad_batch(utterances))
        for row, samples in enumerate(utterances):
            alone_1TH, _ = wav2vec2.encode(backbone, *wav2vec2.pad_batch([samples]))
            assert alone_1TH.shape[1] == num_frames_B[row]
            assert (frames_BTH[row, : num_frames_B[row]] - alone_1TH[0]).abs().max() < 1e-5


def test_an_unpadded_utterance_matches_the_stock_backbone(backbone: Wav2Vec2Model) -> None:
    batch = wav2vec2.pad_batch([speech(1, 12_000)])
    with torch.inference_mode():
        masked, _ = wav2vec2.encode(backbone, *batch)
        published, _ = wav2vec2.encode(backbone, *batch, masked=False)
    assert (masked - published).abs().max() < 1e-5


def test_the_unmasked_switch_lets_padding_through_as_published(backbone: Wav2Vec2Model) -> None:
    batch = wav2vec2.pad_batch([speech(1, 4_000), speech(2, 16_000)])
    with torch.inference_mode():
        published, _ = wav2vec2.encode(backbone, *batch, masked=False)
        stock = backbone(batch[0]).last_hidden_state
    assert torch.equal(published, stock)


def test_the_shortest_input_gives_exactly_one_frame(backbone: Wav2Vec2Model) -> None:
    shortest = wav2vec2.min_samples(backbone.config)
    counts = wav2vec2.num_frames(torch.tensor([shortest - 1, shortest, 0]), backbone.config)
    assert counts.tolist() == [0, 1, 0]


def test_normalise_gives_zero_mean_and_unit_population_variance() -> None:
    samples = speech(3, 5_000)
    assert abs(samples.mean()) < 1e-6
    assert abs(samples.var() - 1) < 1e-4
    assert np.array_equal(wav2vec2.normalise(np.zeros(10, np.float32)), np.zeros(10, np.float32))

"""The padding-exact backbone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import (
    HubertConfig,
    HubertModel,
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from mmer_ray.errors import UsageError
from mmer_ray.models import wav2vec2

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": [16, 16, 16],
    "conv_kernel": [10, 4, 3],
    "conv_stride": [5, 4, 4],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
}
BASE_LAYOUT = {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False}
LARGE_LAYOUT = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
LAYOUTS = {
    "wav2vec2-base": (Wav2Vec2Config, Wav2Vec2Model, BASE_LAYOUT),
    "wav2vec2-large": (Wav2Vec2Config, Wav2Vec2Model, LARGE_LAYOUT),
    "hubert-base": (HubertConfig, HubertModel, BASE_LAYOUT | {"feat_proj_layer_norm": False}),
    "hubert-large": (HubertConfig, HubertModel, LARGE_LAYOUT),
    "wavlm-base": (WavLMConfig, WavLMModel, BASE_LAYOUT),
    "wavlm-large": (WavLMConfig, WavLMModel, LARGE_LAYOUT),
    # No published model has these two mixtures.
    "layer norm, post-norm": (HubertConfig, HubertModel, LARGE_LAYOUT | {"do_stable_layer_norm": False}),
    "group norm, pre-norm": (WavLMConfig, WavLMModel, BASE_LAYOUT | {"do_stable_layer_norm": True}),
}


def make(layout: str) -> PreTrainedModel:
    config_class, model_class, table = LAYOUTS[layout]
    torch.manual_seed(0)
    backbone = model_class(config_class(**SMALL, **table)).eval()
    with torch.no_grad():
        # Fresh weights are too quiet for mistakes to show; biases start at zero.
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return backbone


@pytest.fixture(scope="module", params=LAYOUTS)
def backbone(request: pytest.FixtureRequest) -> PreTrainedModel:
    return make(request.param)


def speech(seed: int, num_samples: int) -> np.ndarray:
    return wav2vec2.normalise(np.random.default_rng(seed).normal(0.1, 0.3, num_samples).astype(np.float32))


def test_frames_are_the_same_alone_and_in_any_padded_batch(backbone: PreTrainedModel) -> None:
    utterances = [speech(seed, length) for seed, length in enumerate((4_000, 16_000, 9_123, 401))]
    with torch.inference_mode():
        frames_BTH, num_frames_B = wav2vec2.encode(backbone, *wav2vec2.pad_batch(utterances))
        for row, samples in enumerate(utterances):
            alone_1TH, _ = wav2vec2.encode(backbone, *wav2vec2.pad_batch([samples]))
            assert alone_1TH.shape[1] == num_frames_B[row]
            assert (frames_BTH[row, : num_frames_B[row]] - alone_1TH[0]).abs().max() < 1e-5


def test_more_padding_does_not_move_a_frame(backbone: PreTrainedModel) -> None:
    samples_BS, num_samples_B = wav2vec2.pad_batch([speech(1, 6_000), speech(2, 3_333)])
    with torch.inference_mode():
        before, num_frames_B = wav2vec2.encode(backbone, samples_BS, num_samples_B)
        after, _ = wav2vec2.encode(backbone, functional.pad(samples_BS, (0, 20_000)), num_samples_B)
    for row, count in enumerate(num_frames_B.tolist()):
        assert (before[row, :count] - after[row, :count]).abs().max() < 1e-5


def test_an_unpadded_utterance_matches_the_stock_backbone(backbone: PreTrainedModel) -> None:
    batch = wav2vec2.pad_batch([speech(1, 12_000)])
    with torch.inference_mode():
        masked, _ = wav2vec2.encode(backbone, *batch)
        published, _ = wav2vec2.encode(backbone, *batch, masked=False)
    assert (masked - published).abs().max() < 1e-5


def test_the_unmasked_switch_lets_padding_through_as_published(backbone: PreTrainedModel) -> None:
    batch = wav2vec2.pad_batch([speech(1, 4_000), speech(2, 16_000)])
    with torch.inference_mode():
        published, _ = wav2vec2.encode(backbone, *batch, masked=False)
        stock = backbone(batch[0]).last_hidden_state
    assert torch.equal(published, stock)


def test_the_shortest_input_gives_exactly_one_frame(backbone: PreTrainedModel) -> None:
    shortest = wav2vec2.min_samples(backbone.config)
    counts = wav2vec2.num_frames(torch.tensor([shortest - 1, shortest, 0]), backbone.config)
    assert counts.tolist() == [0, 1, 0]


def test_speech_too_short_for_a_frame_leaves_its_neighbours_and_the_gradient_finite(backbone: PreTrainedModel) -> None:
    frames_BTH, num_frames_B = wav2vec2.encode(backbone, *wav2vec2.pad_batch([speech(1, 20), speech(2, 4_000)]))
    assert num_frames_B[0] == 0
    assert torch.isfinite(frames_BTH).all()
    frames_BTH[1].square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in backbone.parameters() if p.grad is not None)
    backbone.zero_grad()


@pytest.mark.parametrize("layout", ["wav2vec2-base", "hubert-large", "wavlm-large"])
def test_bfloat16_backbones_take_float32_samples(layout: str) -> None:
    backbone, batch = make(layout), wav2vec2.pad_batch([speech(1, 4_000), speech(2, 9_000)])
    with torch.inference_mode():
        exact, _ = wav2vec2.encode(backbone, *batch)
        rough, _ = wav2vec2.encode(backbone.to(torch.bfloat16), *batch)
    assert rough.dtype == torch.bfloat16
    assert functional.cosine_similarity(rough[1].float(), exact[1], dim=1).min() > 0.98


@pytest.mark.parametrize("odd", [{"add_adapter": True}, {"conv_pos_batch_norm": True}])
def test_a_backbone_whose_frames_hear_padding_is_refused_by_its_setting(odd: dict[str, bool]) -> None:
    classes = (Wav2Vec2Config, Wav2Vec2Model) if "add_adapter" in odd else (HubertConfig, HubertModel)
    backbone = classes[1](classes[0](**SMALL, **odd))
    with pytest.raises(UsageError, match=next(iter(odd))):
        wav2vec2.encode(backbone, *wav2vec2.pad_batch([speech(1, 4_000)]))


def test_a_batch_is_normalised_as_each_utterance_alone() -> None:
    loud = [3 * speech(seed, length) + 1 for seed, length in enumerate((900, 4_000))]
    samples_BS, num_samples_B = wav2vec2.pad_batch(loud)
    scaled_BS = wav2vec2.normalise_batch(samples_BS, num_samples_B)
    for row, samples in enumerate(loud):
        assert np.allclose(scaled_BS[row, : len(samples)].numpy(), wav2vec2.normalise(samples), atol=1e-5)
    assert not scaled_BS[0, 900:].any()


def test_normalise_gives_zero_mean_and_unit_population_variance() -> None:
    samples = speech(3, 5_000)
    assert abs(samples.mean()) < 1e-6
    assert abs(samples.var() - 1) < 1e-4
    assert np.array_equal(wav2vec2.normalise(np.zeros(10, np.float32)), np.zeros(10, np.float32))

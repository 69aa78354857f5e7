"""The speaker model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from mmer_ray.audio.features import log_mel
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import resolve
from mmer_ray.models.speaker import checkpoint as speaker_checkpoint
from mmer_ray.models.speaker.config import SIZES, SpeakerConfig
from mmer_ray.models.speaker.features import batch_log_mel
from mmer_ray.models.speaker.losses import additive_angular_margin_loss, additive_margin_loss
from mmer_ray.models.speaker.model import FrameNorm, SpeakerModel, embed
from mmer_ray.models.wav2vec2 import pad_batch

PUBLISHED_STYLE = replace(
    SIZES["resnet34"], num_mels=20, channels=(4, 6, 8), blocks_per_stage=(2, 1, 1), embedding_size=16
)


@pytest.fixture(scope="module", params=["test", "published style"])
def model(request: pytest.FixtureRequest) -> SpeakerModel:
    torch.manual_seed(0)
    return SpeakerModel(SIZES["test"] if request.param == "test" else PUBLISHED_STYLE).eval()


def noise(seed: int, num_samples: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(num_samples, dtype=np.float32)


def test_an_embedding_is_the_same_alone_and_in_any_batch(model: SpeakerModel) -> None:
    segments = [noise(seed, length) for seed, length in enumerate((5_000, 24_000, 300, 17_333))]
    together = embed(model, segments)
    alone = np.concatenate([embed(model, [segment]) for segment in segments])
    assert np.abs(together - alone).max() < 1e-5


def test_embeddings_have_length_one(model: SpeakerModel) -> None:
    rows = embed(model, [noise(1, 24_000), noise(2, 8_000)])
    assert rows.shape == (2, model.config.embedding_size)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_the_margin_makes_the_loss_larger() -> None:
    embedding, label = torch.nn.functional.normalize(torch.randn(4, 8), dim=-1), torch.arange(4)
    plain = additive_margin_loss(embedding, torch.eye(4, 8), label, margin=0.0)
    assert additive_margin_loss(embedding, torch.eye(4, 8), label) > plain


def test_an_angular_margin_is_a_turn_away_from_the_centre() -> None:
    angle, margin, scale = 0.7, 0.2, 32.0
    embedding = torch.tensor([[math.cos(angle), math.sin(angle)]])
    found = additive_angular_margin_loss(embedding, torch.eye(2), torch.tensor([0]), margin=margin)
    logits = torch.tensor([[math.cos(angle + margin), math.sin(angle)]]) * scale
    assert torch.isclose(found, functional.cross_entropy(logits, torch.tensor([0])), atol=1e-5)


def test_without_a_margin_the_two_losses_agree() -> None:
    embedding, label = functional.normalize(torch.randn(4, 8), dim=-1), torch.arange(4)
    angular = additive_angular_margin_loss(embedding, torch.eye(4, 8), label, margin=0.0)
    assert torch.isclose(angular, additive_margin_loss(embedding, torch.eye(4, 8), label, margin=0.0, scale=32))


def test_the_angular_loss_grows_all_the_way_round_and_its_slope_is_finite() -> None:
    angles = torch.linspace(0, math.pi, 100, requires_grad=True)
    # The other centre stands upright on the plane of the turn: it is equally far from everywhere.
    embedding = torch.stack([angles.cos(), angles.sin(), torch.zeros(100)], dim=1)
    centres, label = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), torch.tensor([0])
    losses = torch.stack([additive_angular_margin_loss(row[None], centres, label) for row in embedding])
    assert (losses.diff() > -1e-5).all()
    assert torch.isfinite(torch.autograd.grad(losses.sum(), angles)[0]).all()


@pytest.mark.parametrize("loss", [additive_margin_loss, additive_angular_margin_loss])
@pytest.mark.parametrize("size", [SIZES["test"], PUBLISHED_STYLE])
def test_speakers_are_learnt_with_either_loss(loss: Callable[..., torch.Tensor], size: SpeakerConfig) -> None:
    torch.manual_seed(0)
    model, centres = SpeakerModel(size).train(), torch.nn.Parameter(torch.randn(4, size.embedding_size))
    pitches = torch.tensor([200.0, 500.0, 1_100.0, 2_500.0]).repeat(4)
    samples = torch.sin(2 * math.pi * pitches[:, None] * torch.arange(3_200) / 16_000) + 0.1 * torch.randn(16, 3_200)
    features, num_frames = batch_log_mel(samples, torch.full((16,), 3_200), size.num_mels)
    labels, optimiser = torch.arange(16) % 4, torch.optim.AdamW([*model.parameters(), centres], lr=1e-2)
    for _ in range(12):
        optimiser.zero_grad()
        loss(model(features, num_frames), centres, labels, margin=0.1).backward()
        optimiser.step()
    guessed = (model(features, num_frames) @ functional.normalize(centres, dim=-1).T).argmax(dim=1)
    assert (guessed == labels).all()


def test_the_published_trunk_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        trunk = SpeakerModel(SIZES["resnet34"])
    # wespeaker's ResNet34 with 256 dimensions: 6.63 million.
    assert sum(one.numel() for one in trunk.parameters()) == 6_634_336
    assert trunk.projection.in_features == 5_120


def test_blocks_that_are_not_as_many_as_the_stages_are_refused() -> None:
    with pytest.raises(ValueError, match="4 stages have channels, 2 have blocks"):
        SpeakerModel(replace(SIZES["resnet34"], blocks_per_stage=(3, 4)))


def test_centred_bands_do_not_hear_a_lasting_colour() -> None:
    torch.manual_seed(0)
    model = SpeakerModel(PUBLISHED_STYLE).eval()
    features, num_frames = torch.randn(1, 50, 20), torch.tensor([50])
    coloured = features + torch.linspace(-3, 3, 20)
    assert torch.allclose(model(features, num_frames), model(coloured, num_frames), atol=1e-5)


@pytest.mark.parametrize("num_mels", [64, 80])
def test_features_of_a_padded_batch_are_those_of_each_utterance(num_mels: int) -> None:
    utterances = [noise(seed, length) for seed, length in enumerate((1, 300, 400, 559, 560, 16_000, 37_001))]
    utterances[5][4_000:9_000] = 0
    samples, num_samples = pad_batch(utterances)
    samples[num_samples[:, None] <= torch.arange(samples.shape[1])] = 7.0
    features, num_frames = batch_log_mel(samples, num_samples, num_mels)
    for row, (utterance, count) in enumerate(zip(utterances, num_frames.tolist(), strict=True)):
        expected = log_mel(utterance, num_mels)
        assert count == len(expected)
        assert np.abs(features[row, :count].numpy() - expected).max() < 1e-4
        assert (features[row, count:] == 0).all()


def test_a_norm_in_training_counts_true_frames_alone() -> None:
    norm, num_frames = FrameNorm(3).train(), torch.tensor([7, 4])
    hidden = torch.randn(2, 3, 7, 5)
    normed = norm(hidden, num_frames)
    true = torch.cat([hidden[0], hidden[1, :, :4]], dim=1)
    expected = functional.batch_norm(true[None], None, None, training=True)[0]
    assert torch.allclose(normed[0], expected[:, :7], atol=1e-5)
    assert torch.allclose(normed[1, :, :4], expected[:, 7:], atol=1e-5)
    assert torch.allclose(norm.running_mean, 0.1 * true.mean(dim=(1, 2)), atol=1e-6)


def test_a_model_survives_the_disk(model: SpeakerModel, tmp_path: Path) -> None:
    speaker_checkpoint.save(model, tmp_path / "a")
    again = speaker_checkpoint.load(tmp_path / "a")
    speaker_checkpoint.save(again, tmp_path / "b")
    one, other = (resolve(ModelRef("speaker", str(tmp_path / name))) for name in "ab")
    assert one.digest == other.digest
    assert not again.training

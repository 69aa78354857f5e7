"""The speaker model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmer_ray.models import speaker


@pytest.fixture(scope="module")
def model() -> speaker.SpeakerModel:
    torch.manual_seed(0)
    return speaker.SpeakerModel(speaker.SIZES["test"]).eval()


def noise(seed: int, num_samples: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(num_samples, dtype=np.float32)


def test_an_embedding_is_the_same_alone_and_in_any_batch(model: speaker.SpeakerModel) -> None:
    segments = [noise(seed, length) for seed, length in enumerate((5_000, 24_000, 300, 17_333))]
    together = speaker.embed(model, segments)
    alone = np.concatenate([speaker.embed(model, [segment]) for segment in segments])
    assert np.abs(together - alone).max() < 1e-5


def test_embeddings_have_length_one(model: speaker.SpeakerModel) -> None:
    rows = speaker.embed(model, [noise(1, 24_000), noise(2, 8_000)])
    assert rows.shape == (2, model.config.embedding_size)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_the_margin_makes_the_loss_larger() -> None:
    embedding, label = torch.nn.functional.normalize(torch.randn(4, 8), dim=-1), torch.arange(4)
    plain = speaker.additive_margin_loss(embedding, torch.eye(4, 8), label, margin=0.0)
    assert speaker.additive_margin_loss(embedding, torch.eye(4, 8), label) > plain


def test_a_model_survives_the_disk(model: speaker.SpeakerModel, tmp_path: Path) -> None:
    speaker.save(model, tmp_path / "a")
    again = speaker.load(tmp_path / "a")
    speaker.save(again, tmp_path / "b")
    assert speaker.digest(tmp_path / "a") == speaker.digest(tmp_path / "b")
    assert not again.training

"""MMER's contract: padding-exact, trainable, saved and loaded without loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mmer_ray.errors import PreflightError
from mmer_ray.models.category import category_loss
from mmer_ray.models.ctc.losses import ctc_loss
from mmer_ray.models.families import load_emotion_model
from mmer_ray.models.folders import config_json, read_config
from mmer_ray.models.interface import Clip, EmotionBatch, Targets, collate
from mmer_ray.models.mmer import checkpoint, losses
from mmer_ray.models.mmer.config import BASE, TINY, MmerConfig
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.models.published import read_foreign
from mmer_ray.models.tensors import fill
from mmer_ray.training.embedded_text import train_tokenizer

SENTENCES = ["i want to cancel my order", "that is wonderful news thank you", "no", ""]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(SENTENCES, vocab_size=300)


@pytest.fixture
def model() -> MmerModel:
    torch.manual_seed(1)
    return MmerModel(TINY).eval()


def noise(seed: int, num_samples: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.05, 0.1, num_samples).astype(np.float32)


@pytest.fixture
def clips() -> list[Clip]:
    lengths = (16_000, 1_376, 48_123, 9_000)
    return [Clip(noise(seed, length), text) for seed, (length, text) in enumerate(zip(lengths, SENTENCES, strict=True))]


def probabilities(model: MmerModel, batch: EmotionBatch) -> Tensor:
    with torch.inference_mode():
        return model(batch).logits.softmax(dim=1)


def test_scores_are_the_same_alone_and_in_company(
    model: MmerModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    together = probabilities(model, collate(clips, tokenizer))
    for row, clip in enumerate(clips):
        alone = probabilities(model, collate([clip], tokenizer))[0]
        assert (together[row] - alone).abs().max() < 1e-5


def test_the_unmasked_backbone_lets_neighbours_in(clips: list[Clip], tokenizer: PreTrainedTokenizerBase) -> None:
    torch.manual_seed(1)
    published = MmerModel(replace(TINY, masked=False)).eval()
    together = probabilities(published, collate(clips, tokenizer))
    alone = probabilities(published, collate(clips[:1], tokenizer))[0]
    assert (together[0] - alone).abs().max() > 1e-4


def test_loudness_and_offset_of_the_recording_do_not_matter(
    model: MmerModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    louder = [Clip(clip.samples * 3 + 0.1, clip.text) for clip in clips]
    before, after = (probabilities(model, collate(some, tokenizer)) for some in (clips, louder))
    assert (before - after).abs().max() < 1e-3


def test_silence_an_empty_transcript_and_the_shortest_audio_get_finite_scores(
    model: MmerModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert model.min_samples == 1_376
    batch = collate([Clip(np.zeros(1_376, np.float32), ""), Clip(noise(3, 1_376), "no")], tokenizer)
    assert batch.text_mask.sum(dim=1)[0] == 2
    assert torch.isfinite(probabilities(model, batch)).all()


def test_half_a_minute_of_audio_and_a_very_long_text_are_scored(
    model: MmerModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    batch = collate([Clip(noise(5, 480_000), "word " * 1_000)], tokenizer)
    assert torch.isfinite(probabilities(model, batch)).all()


def test_cached_text_features_give_the_scores_of_the_text_itself(
    model: MmerModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    batch = collate(clips, tokenizer)
    assert model.text is not None
    with torch.inference_mode():
        features = model.text(batch.token_ids, attention_mask=batch.text_mask.long()).last_hidden_state
    cached = replace(batch, token_ids=None, text_features=features)
    assert torch.equal(probabilities(model, batch), probabilities(model, cached))


def test_a_batch_with_both_tokens_and_features_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    batch = collate([Clip(noise(1, 800), "no")], tokenizer)
    with pytest.raises(ValueError, match="exactly one"):
        replace(batch, text_features=torch.zeros(1, 3, 32))


def all_terms(model: MmerModel, batch: EmotionBatch, labels: Tensor) -> losses.LossTerms:
    clean, augmented = model(batch), model(batch, view="augmented")
    targets = torch.tensor([[5, 6, 7, -100]]).repeat(len(labels), 1)
    return losses.LossTerms(
        category=category_loss(clean.logits, Targets(labels)),
        ctc=ctc_loss(clean.ctc_logits, clean.num_frames, targets).sum(),
        supervised=losses.supervised_contrast(clean.contrast, labels),
        augmentation=losses.augmentation_contrast(clean.contrast, augmented.contrast),
    )


def test_the_gradient_reaches_every_parameter_but_the_frozen_and_the_unused(
    clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    model = MmerModel(replace(TINY, freeze_convolutions=True)).eval()
    all_terms(model, collate(clips, tokenizer), torch.arange(4)).total().backward()
    unused = {"layer_weights", "audio.masked_spec_embed"}
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    without = {name for name, parameter in trainable.items() if parameter.grad is None}
    assert without == unused
    assert not any(name.startswith("audio.feature_extractor") for name in trainable)


def test_sixteen_utterances_can_be_learnt_by_heart(tokenizer: PreTrainedTokenizerBase) -> None:
    torch.manual_seed(0)
    model = MmerModel(replace(TINY, dropout=0.0)).train()
    batch = collate([Clip(noise(seed, 1_600), SENTENCES[seed % 4]) for seed in range(16)], tokenizer)
    labels = torch.arange(16) // 4
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        optimiser.zero_grad()
        category_loss(model(batch).logits, Targets(labels)).backward()
        optimiser.step()
    assert (probabilities(model.eval(), batch).argmax(dim=1) == labels).all()


def test_a_target_longer_than_its_frames_costs_nothing_instead_of_infinity() -> None:
    logits = torch.randn(2, 3, 32, requires_grad=True)
    targets = torch.tensor([[5, 6, 7, 8, 9], [5, -100, -100, -100, -100]])
    each = ctc_loss(logits, torch.tensor([3, 3]), targets)
    each.sum().backward()
    assert each[0] == 0
    assert each[1] > 0
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_a_checkpoint_is_read_back_bit_for_bit(
    model: MmerModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    checkpoint.save(tmp_path, model, tokenizer, torch.float32)
    loaded = load_emotion_model(tmp_path)
    assert loaded.model.labels == model.labels
    ours, theirs = probabilities(model, collate(clips, tokenizer)), collate(clips, loaded.tokenizer)
    assert torch.equal(ours, probabilities(loaded.model, theirs))


def test_half_precision_storage_moves_scores_by_less_than_a_hundredth(
    model: MmerModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    checkpoint.save(tmp_path, model, tokenizer, torch.float16)
    loaded = load_emotion_model(tmp_path).model
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    batch = collate(clips, tokenizer)
    assert (probabilities(model, batch) - probabilities(loaded, batch)).abs().max() < 1e-2


def test_an_unknown_family_and_an_empty_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match=r"config\.json"):
        load_emotion_model(tmp_path)
    (tmp_path / "config.json").write_text('{"family": "oracle"}')
    with pytest.raises(PreflightError, match=r"'oracle'.*mmer"):
        load_emotion_model(tmp_path)


def test_weights_of_another_size_are_refused(
    model: MmerModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    checkpoint.save(tmp_path, model, tokenizer, torch.float32)
    (tmp_path / "config.json").write_text(config_json(replace(TINY, intermediate_size=48), "mmer"))
    with pytest.raises(PreflightError, match="shapes differ"):
        load_emotion_model(tmp_path)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_published_checkpoint_is_read_in_either_spelling(
    model: MmerModel, prefix: str, suffix: str, tmp_path: Path
) -> None:
    config = replace(TINY, text=None)
    ours = {name: value for name, value in model.state_dict().items() if not name.startswith("text.")}
    published = {prefix + published_name(name): value for name, value in ours.items()}
    file = tmp_path / f"fold{suffix}"
    if suffix == ".pt":
        torch.save({"state_dict": published}, file)
    else:
        save_file(published, file)
    loaded = MmerModel(config)
    fill(loaded, checkpoint.our_weights(read_foreign(file)), file)
    assert all(torch.equal(value, ours[name]) for name, value in loaded.state_dict().items())


def published_name(ours: str) -> str:
    """The published spelling before torch 2.1, found by asking the importer about every candidate."""
    old = ours.replace("parametrizations.weight.original0", "weight_g").replace(
        "parametrizations.weight.original1", "weight_v"
    )
    for theirs, mine in checkpoint.PUBLISHED_PREFIXES.items():
        if old.startswith(mine):
            return theirs + old.removeprefix(mine)
    raise AssertionError(ours)


def test_a_foreign_key_is_refused_by_name() -> None:
    with pytest.raises(PreflightError, match="model_mmi\\.hat"):
        checkpoint.our_name("model_mmi.hat.weight")


def test_the_published_size_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        model = MmerModel(replace(BASE, text=None))
    counts = [parameter.numel() for parameter in model.parameters()]
    trainable = [parameter.numel() for parameter in model.parameters() if parameter.requires_grad]
    assert (sum(counts), sum(trainable), len(model.state_dict())) == (129_838_001, 125_637_553, 296)


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config_json(BASE, "mmer"))
    assert read_config(tmp_path, MmerConfig, "mmer") == BASE

"""Late fusion's contract: padding-exact, trainable, transferred from a speaker network, saved and loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mmer_ray.models.families import build, load_emotion_model, loss_of
from mmer_ray.models.folders import config_json, read_config
from mmer_ray.models.interface import Clip, EmotionBatch, Targets, collate
from mmer_ray.models.late_fusion import checkpoint, losses
from mmer_ray.models.late_fusion.config import BASE, TINY, LateFusionConfig
from mmer_ray.models.late_fusion.model import LateFusionModel
from mmer_ray.models.late_fusion.spec_augment import spec_augment
from mmer_ray.training.embedded_text import train_tokenizer

SENTENCES = ["i want to cancel my order", "that is wonderful news thank you", "no", ""]
SPEECH_ONLY = replace(TINY, text=None)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(SENTENCES, vocab_size=300)


def noise(seed: int, num_samples: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.1, num_samples).astype(np.float32)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    lengths = (16_000, 400, 48_123, 9_000)
    return [Clip(noise(seed, length), text) for seed, (length, text) in enumerate(zip(lengths, SENTENCES, strict=True))]


@pytest.fixture
def batch(clips: list[Clip], tokenizer: PreTrainedTokenizerBase) -> EmotionBatch:
    return collate(clips, tokenizer)


def used(config: LateFusionConfig, batch: EmotionBatch) -> LateFusionModel:
    """A model whose norms have seen something."""
    torch.manual_seed(1)
    model = LateFusionModel(config).train()
    with torch.no_grad():
        model(batch)
    return model.eval()


@pytest.fixture
def model(batch: EmotionBatch) -> LateFusionModel:
    return used(TINY, batch)


def probabilities(model: LateFusionModel, batch: EmotionBatch) -> Tensor:
    with torch.inference_mode():
        return model(batch).logits.softmax(dim=1)


def longer(batch: EmotionBatch, num_samples: int, num_tokens: int) -> EmotionBatch:
    """The same batch with more padding."""
    assert batch.token_ids is not None
    return replace(
        batch,
        samples=torch.nn.functional.pad(batch.samples, (0, num_samples)),
        token_ids=torch.nn.functional.pad(batch.token_ids, (0, num_tokens), value=1),
        text_mask=torch.nn.functional.pad(batch.text_mask, (0, num_tokens)),
    )


@pytest.mark.parametrize("size", ["tiny", "base"])
def test_scores_are_the_same_alone_in_company_and_under_any_padding(
    size: str, clips: list[Clip], batch: EmotionBatch, tokenizer: PreTrainedTokenizerBase
) -> None:
    # The published speech branch; BERT's own size would cost the test a minute.
    model = used(TINY if size == "tiny" else replace(BASE, text=TINY.text), batch)
    together = probabilities(model, batch)
    for row, clip in enumerate(clips):
        alone = collate([clip], tokenizer)
        for padded in (alone, longer(alone, 12_345, 3)):
            assert (together[row] - probabilities(model, padded)[0]).abs().max() < 1e-5


def test_norms_learn_the_same_statistics_under_any_padding(batch: EmotionBatch) -> None:
    first, second = used(SPEECH_ONLY, batch), used(SPEECH_ONLY, longer(batch, 20_000, 0))
    # SpecAugment draws in the same order, by the true lengths alone.
    for name, value in first.named_buffers():
        assert torch.allclose(value, second.get_buffer(name), atol=1e-5), name


def test_the_shortest_audio_silence_and_an_empty_transcript_get_finite_scores(
    model: LateFusionModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert model.min_samples == 400
    batch = collate([Clip(np.zeros(400, np.float32), ""), Clip(noise(3, 400), "no")], tokenizer)
    assert torch.isfinite(probabilities(model, batch)).all()


def test_half_a_minute_of_audio_and_a_very_long_text_are_scored(
    model: LateFusionModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    batch = collate([Clip(noise(5, 480_000), "word " * 1_000)], tokenizer)
    assert torch.isfinite(probabilities(model, batch)).all()


def test_loudness_does_not_matter(
    model: LateFusionModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    louder = collate([Clip(clip.samples * 3, clip.text) for clip in clips], tokenizer)
    assert (probabilities(model, louder) - probabilities(model, collate(clips, tokenizer))).abs().max() < 1e-4


def test_bfloat16_weights_give_about_the_same_scores(model: LateFusionModel, batch: EmotionBatch) -> None:
    exact = probabilities(model, batch)
    assert (probabilities(model.to(torch.bfloat16), batch) - exact).abs().max() < 2e-2


def test_the_logits_are_the_weighted_log_posteriors_of_the_branches(
    model: LateFusionModel, batch: EmotionBatch
) -> None:
    model.speech_weight.fill_(0.2)
    output = model(batch)
    assert output.branches is not None
    speech, text = (output.branches[name].log_softmax(dim=1) for name in ("audio", "text"))
    assert torch.allclose(output.logits, 0.2 * speech + 0.8 * text)


def test_without_text_the_answer_is_the_speech_branchs(batch: EmotionBatch) -> None:
    output = used(SPEECH_ONLY, batch)(batch)
    assert output.branches is not None
    assert list(output.branches) == ["audio"]
    assert torch.allclose(output.logits.softmax(dim=1), output.branches["audio"].softmax(dim=1))


def test_cached_text_features_give_the_scores_of_the_text_itself(model: LateFusionModel, batch: EmotionBatch) -> None:
    assert model.text is not None
    with torch.inference_mode():
        features = model.text(batch.token_ids, attention_mask=batch.text_mask.long()).last_hidden_state
    cached = replace(batch, token_ids=None, text_features=features)
    assert torch.equal(probabilities(model, batch), probabilities(model, cached))


@pytest.mark.parametrize("rows", [4, 1])
def test_the_gradient_reaches_every_parameter(model: LateFusionModel, clips: list[Clip], rows: int) -> None:
    batch = collate(clips[:rows], train_tokenizer(SENTENCES, vocab_size=300))
    loss_of("late_fusion")(model.train()(batch), Targets(torch.arange(rows)), None).backward()
    assert [name for name, one in model.named_parameters() if one.grad is None] == []


def test_an_augmented_view_counts_as_much_as_the_clean_one(model: LateFusionModel, batch: EmotionBatch) -> None:
    targets = Targets(torch.arange(4))
    clean, other = model(batch), model(replace(batch, samples=batch.samples.flip(0)))
    both = losses.loss(clean, targets, other)
    assert torch.isclose(both, (losses.loss(clean, targets) + losses.loss(other, targets)) / 2)


def test_sixteen_utterances_can_be_learnt_by_heart(tokenizer: PreTrainedTokenizerBase) -> None:
    torch.manual_seed(0)
    plain = replace(TINY, speech_dropout=0.0, text_dropout=0.0, num_time_masks=0, num_band_masks=0)
    model = LateFusionModel(plain).train()
    batch = collate([Clip(noise(seed, 3_200), SENTENCES[seed % 4]) for seed in range(16)], tokenizer)
    labels = torch.arange(16) // 4
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        losses.loss(model(batch), Targets(labels)).backward()
        optimiser.step()
    output = model.eval()(batch)
    assert output.branches is not None
    assert (output.branches["audio"].argmax(dim=1) == labels).all()


@pytest.mark.parametrize("seed", range(20))
def test_masks_keep_to_their_bounds_and_hold_the_mean(seed: int) -> None:
    num_frames = torch.tensor([300, 50, 4])
    features = torch.randn(3, 300, 80) + 5
    generator = torch.Generator().manual_seed(seed)
    masked = spec_augment(features, num_frames, BASE, generator)
    for row, count in enumerate(num_frames.tolist()):
        changed = masked[row, :count] != features[row, :count]
        whole_frames, whole_bands = changed.all(dim=1), changed.all(dim=0)
        assert (changed == (whole_frames[:, None] | whole_bands[None, :])).all()
        assert whole_frames.sum() <= 2 * min(40, int(0.2 * count))
        assert whole_bands.sum() <= 2 * 10
        mean = features[row, :count].mean()
        assert torch.allclose(masked[row, :count][changed], mean, atol=1e-5)


def test_masks_reach_every_place_and_their_greatest_width() -> None:
    generator = torch.Generator().manual_seed(0)
    one = replace(BASE, num_time_masks=1, num_band_masks=0)
    features = torch.randn(2_000, 100, 8)
    hidden = (spec_augment(features, torch.full((2_000,), 100), one, generator) != features).all(dim=2)
    assert hidden.any(dim=0).all()
    assert set(hidden.sum(dim=1).tolist()) == set(range(21))


def test_spec_augment_is_off_in_evaluation_and_repeatable_in_training(batch: EmotionBatch) -> None:
    model = used(replace(SPEECH_ONLY, speech_dropout=0.0), batch)
    assert torch.equal(model(batch).logits, model(batch).logits)
    model.train()
    answers = []
    for seed in (5, 5, 6):
        model.generator = torch.Generator().manual_seed(seed)
        answers.append(model(batch).logits)
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


def test_a_checkpoint_is_read_back_bit_for_bit_with_its_weight(
    model: LateFusionModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    model.speech_weight.fill_(0.35)
    checkpoint.save(tmp_path, model, tokenizer, torch.float32)
    loaded = load_emotion_model(tmp_path)
    assert isinstance(loaded.model, LateFusionModel)
    assert torch.equal(loaded.model.speech_weight, torch.tensor(0.35))
    theirs = probabilities(loaded.model, collate(clips, loaded.tokenizer))
    assert torch.equal(probabilities(model, collate(clips, tokenizer)), theirs)


@pytest.mark.parametrize("config", [TINY, BASE])
def test_a_configuration_survives_its_file(config: LateFusionConfig, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config_json(config, "late_fusion"))
    assert read_config(tmp_path, LateFusionConfig, "late_fusion") == config


def test_the_published_size_has_the_number_of_parameters_of_its_parts() -> None:
    with torch.device("meta"):
        model = build("late_fusion", "base")
    counts = {name: sum(one.numel() for one in part.parameters()) for name, part in model.named_children()}
    assert counts == {
        "speech": 6_634_336,
        "speech_head": 2 * 256 + 256 * 4 + 4,
        # bert-base-uncased has 109,482,240 with its pooler.
        "text": 109_482_240 - 768 * 769,
        "pooler": 768 * 769,
        "text_head": 768 * 4 + 4,
    }

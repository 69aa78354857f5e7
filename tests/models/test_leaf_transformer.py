"""leaf_transformer's contract: padding-exact, aware of its dialogue alone, trainable in stages, saved without loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from mmer_ray.models.families import build, load_emotion_model, loss_of, save_emotion_model
from mmer_ray.models.folders import config_json, read_config
from mmer_ray.models.interface import Clip, EmotionBatch, EmotionOutput, Targets, collate
from mmer_ray.models.leaf_transformer import losses
from mmer_ray.models.leaf_transformer.config import BASE, TINY, LeafTransformerConfig
from mmer_ray.models.leaf_transformer.dialogue import ContextBranch, arrange
from mmer_ray.models.leaf_transformer.model import LeafTransformerModel
from mmer_ray.models.leaf_transformer.unimodal import FrameCnn
from mmer_ray.training.embedded_text import train_tokenizer

SENTENCES = ["i want to cancel my order", "that is wonderful news thank you", "no", "", "cancel the news"]
DIALOGUES = torch.tensor([7, 7, 7, 3, 3])


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(SENTENCES, vocab_size=300)


@pytest.fixture
def model() -> LeafTransformerModel:
    torch.manual_seed(1)
    return lively(LeafTransformerModel(TINY)).eval()


def lively(model: LeafTransformerModel) -> LeafTransformerModel:
    """Widen the weights, so that fresh ones let differences through."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(2)
    return model


def noise(seed: int, num_samples: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, num_samples).astype(np.float32)


@pytest.fixture
def clips() -> list[Clip]:
    lengths = (16_000, 1, 24_123, 9_000, 5_601)
    return [Clip(noise(seed, length), text) for seed, (length, text) in enumerate(zip(lengths, SENTENCES, strict=True))]


@pytest.fixture
def batch(clips: list[Clip], tokenizer: PreTrainedTokenizerBase) -> EmotionBatch:
    return replace(collate(clips, tokenizer), dialogue=DIALOGUES)


def probabilities(model: LeafTransformerModel, batch: EmotionBatch) -> Tensor:
    """Of the fused logits and of every branch, side by side."""
    with torch.inference_mode():
        output = model(batch)
    assert output.branches is not None
    return torch.cat([logits.softmax(dim=1) for logits in (output.logits, *output.branches.values())], dim=1)


def distance(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().max())


def test_scores_are_the_same_alone_and_in_company(
    model: LeafTransformerModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    together = probabilities(model, collate(clips, tokenizer))
    for row, clip in enumerate(clips):
        assert distance(together[row], probabilities(model, collate([clip], tokenizer))[0]) < 1e-5


@pytest.mark.parametrize("official", [False, True])
def test_scores_do_not_depend_on_other_dialogues(
    official: bool, clips: list[Clip], batch: EmotionBatch, tokenizer: PreTrainedTokenizerBase
) -> None:
    torch.manual_seed(1)
    model = lively(LeafTransformerModel(replace(TINY, official_attention=official))).eval()
    together = probabilities(model, batch)
    for rows in (slice(0, 3), slice(3, 5)):
        alone = replace(collate(clips[rows], tokenizer), dialogue=DIALOGUES[rows])
        assert distance(together[rows], probabilities(model, alone)) < 1e-5


def test_padding_of_samples_and_of_tokens_changes_nothing(model: LeafTransformerModel, batch: EmotionBatch) -> None:
    assert batch.token_ids is not None
    padded = replace(
        batch,
        samples=functional.pad(batch.samples, (0, 20_000)),
        text_mask=functional.pad(batch.text_mask, (0, 5)),
        token_ids=functional.pad(batch.token_ids, (0, 5), value=9),
    )
    assert distance(probabilities(model, batch), probabilities(model, padded)) < 1e-5


def test_the_dialogue_changes_what_an_utterance_means(model: LeafTransformerModel, batch: EmotionBatch) -> None:
    alone, together = (probabilities(model, replace(batch, dialogue=ids)) for ids in (None, DIALOGUES))
    assert distance(alone[:, :4], together[:, :4]) > 1e-3
    assert distance(alone[:, 4:12], together[:, 4:12]) == 0, "the branches of one utterance do not listen around"


def test_the_order_of_a_dialogue_matters(
    model: LeafTransformerModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    one_dialogue = torch.zeros(3, dtype=torch.int64)
    forward, backward = (
        probabilities(model, replace(collate(some, tokenizer), dialogue=one_dialogue))
        for some in (clips[:3], clips[2::-1])
    )
    assert distance(forward, backward.flip(0)) > 1e-4


def test_a_dialogue_of_one_is_an_utterance_on_its_own(model: LeafTransformerModel, batch: EmotionBatch) -> None:
    ones = replace(batch, dialogue=torch.tensor([4, 9, 2, 8, 1]))
    assert torch.equal(probabilities(model, ones), probabilities(model, replace(batch, dialogue=None)))


def test_a_dialogue_in_two_pieces_is_refused() -> None:
    with pytest.raises(ValueError, match="stand together"):
        arrange(torch.tensor([1, 2, 1]), 3, torch.device("cpu"))


def test_dialogues_are_spread_over_rows_and_gathered_again() -> None:
    dialogues = arrange(torch.tensor([5, 5, 0, 9, 9, 9]), 6, torch.device("cpu"))
    assert dialogues.mask.tolist() == [[True, True, False], [True, False, False], [True, True, True]]
    flat = torch.arange(12.0).view(6, 2)
    assert torch.equal(dialogues.gather(dialogues.spread(flat)), flat)


@pytest.mark.parametrize("official", [False, True])
def test_attention_between_utterances_follows_the_papers_equations_or_the_codes(official: bool) -> None:
    branch = ContextBranch(6, replace(TINY, official_attention=official))
    states, keys = torch.randn(1, 4, 16), torch.randn(1, 4, 16)
    likeness = keys[0] @ keys[0].T
    expected = likeness.softmax(dim=0) @ keys[0] if official else likeness.softmax(dim=1) @ states[0]
    padding = functional.pad(torch.ones(1, 4, dtype=torch.bool), (0, 3))
    padded = (functional.pad(part, (0, 0, 0, 3), value=1.5) for part in (states, keys))
    assert torch.allclose(branch._attend(*padded, padding)[0, :4], expected, atol=1e-6)


def test_the_cnn_needs_36_frames_and_collapses_the_frequency_axis() -> None:
    cnn = FrameCnn(TINY.channels).eval()
    assert cnn.min_frames == 36
    assert cnn(torch.randn(2, 40, 36), torch.tensor([36, 36])).shape == (2, TINY.channels[-1])


def test_silence_an_empty_transcript_and_one_sample_get_finite_scores(
    model: LeafTransformerModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert model.min_samples == 1
    batch = collate([Clip(np.zeros(1, np.float32), ""), Clip(np.zeros(400, np.float32), "no")], tokenizer)
    assert batch.text_mask.sum(dim=1)[0] == 2
    assert torch.isfinite(probabilities(model, batch)).all()


def test_half_a_minute_of_audio_and_a_very_long_text_are_scored(
    model: LeafTransformerModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    batch = collate([Clip(noise(5, 480_000), "word " * 1_000)], tokenizer)
    assert torch.isfinite(probabilities(model, batch)).all()


def test_half_precision_runs_and_stays_near(model: LeafTransformerModel, batch: EmotionBatch) -> None:
    before = probabilities(model, batch)
    assert distance(before, probabilities(model.to(torch.bfloat16), batch).float()) < 0.1


def test_text_features_given_beforehand_give_the_scores_of_the_tokens(
    model: LeafTransformerModel, batch: EmotionBatch
) -> None:
    with torch.inference_mode():
        features = model.text.features(batch)
    cached = replace(batch, token_ids=None, text_features=features)
    without = LeafTransformerModel(replace(TINY, text=None)).eval()
    own = {name: value for name, value in model.state_dict().items() if not name.startswith("text.bert.")}
    without.load_state_dict(own)
    assert torch.equal(probabilities(model, batch), probabilities(without, cached))
    with pytest.raises(ValueError, match="text_features"):
        without(batch)


def test_text_features_are_the_last_layers_the_last_one_first(model: LeafTransformerModel, batch: EmotionBatch) -> None:
    assert model.text.bert is not None
    with torch.inference_mode():
        last = model.text.bert(batch.token_ids, attention_mask=batch.text_mask.long()).last_hidden_state
        features = model.text.features(batch)
    assert features.shape[2] == 2 * last.shape[2]
    assert torch.equal(features[:, :, : last.shape[2]], last)


def test_the_gradient_reaches_every_parameter(model: LeafTransformerModel, batch: EmotionBatch) -> None:
    loss_of("leaf_transformer")(model.train()(batch), Targets(torch.arange(5) % 4), None).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert not [name for name, gradient in gradients.items() if gradient is None or not gradient.abs().max() > 0]


def output_of(logits: Tensor) -> EmotionOutput:
    return EmotionOutput(logits, branches={name: logits for names in losses.STAGES.values() for name in names[:2]})


def test_a_long_dialogue_weighs_as_much_as_a_short_one() -> None:
    logits, labels = torch.randn(4, 4), torch.tensor([0, 1, 2, 3])
    each = functional.cross_entropy(logits, labels, reduction="none")
    by_dialogue = losses.stage_loss(output_of(logits), Targets(labels), "fusion", torch.tensor([1, 1, 1, 2]))
    assert torch.isclose(by_dialogue, (each[:3].mean() + each[3]) / 2)
    assert torch.isclose(losses.stage_loss(output_of(logits), Targets(labels), "fusion"), each.mean())


def test_joint_training_adds_the_losses_of_all_stages() -> None:
    logits, labels = torch.randn(4, 4), torch.tensor([0, 1, 2, 3])
    total = loss_of("leaf_transformer")(output_of(logits), Targets(labels), None)
    assert torch.isclose(total, 5 * functional.cross_entropy(logits, labels))
    with pytest.raises(ValueError, match="audio, text, context, fusion"):
        losses.stage_loss(output_of(logits), Targets(labels), "pretraining")


def tone(frequency_hz: float) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(800) / 16_000).astype(np.float32)


def test_a_handful_of_utterances_can_be_learnt_by_heart(tokenizer: PreTrainedTokenizerBase) -> None:
    torch.manual_seed(0)
    model = LeafTransformerModel(replace(TINY, dropout=0.0, fusion_dropout=0.0)).train()
    clips = [Clip(tone(300.0 * 2**i), SENTENCES[i]) for i in range(4)]
    batch, labels = collate(clips, tokenizer), torch.tensor([0, 1, 3, 2])
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(25):
        optimiser.zero_grad()
        losses.loss(model(batch), Targets(labels)).backward()
        optimiser.step()
    # In training mode: the norms' running statistics lag behind so few steps.
    assert (model(batch).logits.argmax(dim=1) == labels).all()


def test_a_checkpoint_is_read_back_bit_for_bit(
    model: LeafTransformerModel, clips: Sequence[Clip], tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    save_emotion_model(tmp_path, model, tokenizer)
    loaded = load_emotion_model(tmp_path)
    assert loaded.model.reads_dialogue
    assert loaded.model.labels == ("happy", "sad", "neutral", "angry")
    ours = probabilities(model, collate(clips, tokenizer))
    assert isinstance(loaded.model, LeafTransformerModel)
    assert torch.equal(ours, probabilities(loaded.model, collate(clips, loaded.tokenizer)))


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config_json(BASE, "leaf_transformer"))
    assert read_config(tmp_path, LeafTransformerConfig, "leaf_transformer") == BASE


def test_the_published_size_has_the_published_cnn() -> None:
    with torch.device("meta"):
        model = build("leaf_transformer", "base-features")
    assert isinstance(model, LeafTransformerModel)
    num_parameters = sum(
        parameter.numel() for part in (model.audio.cnn, model.audio.classifier) for parameter in part.parameters()
    )
    # Published: 255,796 with eight classes, of which four are used.
    assert num_parameters == 255_796 - 4 * 101

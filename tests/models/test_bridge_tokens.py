"""The contract of `bridge_tokens`: padding-exact, trainable, saved and loaded without loss; its losses and masking."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from mmer_ray.errors import UsageError
from mmer_ray.models.bridge_tokens import checkpoint
from mmer_ray.models.bridge_tokens.alignment import Stream, align, stretch
from mmer_ray.models.bridge_tokens.config import LARGE, TINY, BridgeTokensConfig, KvAlign
from mmer_ray.models.bridge_tokens.losses import concordance, loss
from mmer_ray.models.bridge_tokens.masking import Modality, draw_masked_modality, masking_probability
from mmer_ray.models.bridge_tokens.model import BridgeTokensModel, dimensions_of
from mmer_ray.models.encoders import build_text_encoder
from mmer_ray.models.families import build, load_emotion_model
from mmer_ray.models.folders import config_json, read_config
from mmer_ray.models.interface import Clip, EmotionBatch, EmotionOutput, Targets, collate
from mmer_ray.training.embedded_text import train_tokenizer

SENTENCES = ["i want to cancel my order", "that is wonderful news thank you", "no", ""]
CALM = replace(TINY, dropout=0.0)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(SENTENCES, vocab_size=300)


def make(config: BridgeTokensConfig = TINY) -> BridgeTokensModel:
    """A model whose weights are loud enough for mistakes to show."""
    torch.manual_seed(1)
    model = BridgeTokensModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


@pytest.fixture
def model() -> BridgeTokensModel:
    return make()


def noise(seed: int, num_samples: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.05, 0.1, num_samples).astype(np.float32)


@pytest.fixture
def clips() -> list[Clip]:
    # The second has one frame and nine tokens: there the words are the longer sequence.
    lengths = (16_000, 1_376, 30_123, 9_000)
    return [Clip(noise(seed, length), text) for seed, (length, text) in enumerate(zip(lengths, SENTENCES, strict=True))]


def scores(model: BridgeTokensModel, batch: EmotionBatch) -> Tensor:
    """Probabilities and dimensions side by side."""
    with torch.inference_mode():
        output = model(batch)
    assert output.dimensions is not None
    return torch.cat([output.logits.softmax(dim=1), output.dimensions], dim=1)


@pytest.mark.parametrize("kv_align", ["pad", "interp", "classic"])
def test_scores_are_the_same_alone_and_in_company_and_behind_any_padding(
    kv_align: KvAlign, clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    model = make(replace(TINY, kv_align=kv_align))
    batch = collate(clips, tokenizer)
    assert batch.token_ids is not None
    padded = replace(
        batch,
        samples=functional.pad(batch.samples, (0, 7_777)),
        text_mask=functional.pad(batch.text_mask, (0, 9)),
        token_ids=functional.pad(batch.token_ids, (0, 9), value=17),
    )
    together = scores(model, batch)
    assert (scores(model, padded) - together).abs().max() < 1e-5
    for row, clip in enumerate(clips):
        assert (together[row] - scores(model, collate([clip], tokenizer))[0]).abs().max() < 1e-5


def test_sound_and_words_both_matter(
    model: BridgeTokensModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    before = scores(model, collate([clips[0]], tokenizer))
    for other in (Clip(clips[3].samples, clips[0].text), Clip(clips[0].samples, clips[1].text)):
        assert (scores(model, collate([other], tokenizer)) - before).abs().max() > 1e-4


@pytest.mark.parametrize(
    "layout",
    [
        TINY.text,
        {**(TINY.text or {}), "conv_kernel_size": 3},
        {**(TINY.text or {}), "share_att_key": False, "position_biased_input": True, "type_vocab_size": 1},
    ],
    ids=["v3", "v2 with convolution", "own position keys"],
)
def test_tokens_of_deberta_do_not_feel_padding(layout: dict[str, Any]) -> None:
    torch.manual_seed(2)
    encoder = build_text_encoder(layout).eval()
    ids, mask = torch.randint(3, 300, (2, 100)), torch.ones(2, 100, dtype=torch.int64)
    mask[0, 41:] = 0
    with torch.inference_mode():
        together = encoder(ids, attention_mask=mask).last_hidden_state[0, :41]
        alone = encoder(ids[:1, :41], attention_mask=mask[:1, :41]).last_hidden_state[0]
    assert (together - alone).abs().max() < 1e-5


def streams(*lengths: tuple[int, int]) -> tuple[Stream, Stream]:
    """Two streams of random rows, of these true lengths, padded to the longest."""
    torch.manual_seed(3)
    sides = []
    for side in zip(*lengths, strict=True):
        mask = torch.arange(max(side))[None] < torch.tensor(side)[:, None]
        sides.append(Stream.of(torch.randn(len(side), max(side), 8), mask))
    return sides[0], sides[1]


def test_zero_rows_up_to_the_longer_sequence_are_values_and_masked_as_keys() -> None:
    """Against the published steps, one utterance at a time: pad the shorter, mask by the keys, attend."""
    lengths = [(9, 4), (3, 7), (5, 5)]
    keys, values = streams(*lengths)
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    query = torch.randn(1, 6, 8)
    aligned = align(keys, values, "pad")
    together, _ = attention(query.expand(3, -1, -1), aligned.keys, aligned.values, key_padding_mask=~aligned.mask)
    for row, (num_keys, num_values) in enumerate(lengths):
        longer = max(num_keys, num_values)
        key = functional.pad(keys.hidden[row : row + 1, :num_keys], (0, 0, 0, longer - num_keys))
        value = functional.pad(values.hidden[row : row + 1, :num_values], (0, 0, 0, longer - num_values))
        padding = torch.arange(longer)[None] >= num_keys
        alone, _ = attention(query, key, value, key_padding_mask=padding)
        assert (together[row] - alone[0]).abs().max() < 1e-6


def test_the_shorter_sequence_is_stretched_as_torch_stretches_it() -> None:
    lengths = [(9, 4), (3, 7), (5, 5)]
    keys, values = streams(*lengths)
    aligned = align(keys, values, "interp")
    assert aligned.mask.sum(dim=1).tolist() == [9, 7, 5]
    for row, (num_keys, num_values) in enumerate(lengths):
        for given, stretched, length in ((keys, aligned.keys, num_keys), (values, aligned.values, num_values)):
            rows_1HP = given.hidden[row : row + 1, :length].transpose(1, 2)
            expected = functional.interpolate(rows_1HP, max(num_keys, num_values), mode="linear")[0].T
            assert (stretched[row, : len(expected)] - expected).abs().max() < 1e-6


def test_a_sequence_of_the_same_length_is_left_as_it_is() -> None:
    rows = torch.randn(1, 1_499, 4)
    length = torch.tensor([1_499])
    assert torch.equal(stretch(rows, length, length), rows)


def test_classic_attention_reads_keys_and_values_of_one_modality() -> None:
    keys, values = streams((9, 4), (3, 7))
    aligned = align(keys, values, "classic")
    assert aligned.keys is aligned.values is keys.hidden


def test_silence_an_empty_transcript_and_the_shortest_audio_get_finite_scores(
    model: BridgeTokensModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert model.min_samples == 1_376
    batch = collate([Clip(np.zeros(1_376, np.float32), ""), Clip(noise(3, 1_376), "no")], tokenizer)
    assert batch.text_mask.sum(dim=1)[0] == 2
    assert torch.isfinite(scores(model, batch)).all()


def test_half_a_minute_of_audio_and_a_very_long_text_are_scored(
    model: BridgeTokensModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    batch = collate([Clip(noise(5, 480_000), "word " * 1_000)], tokenizer)
    assert torch.isfinite(scores(model, batch)).all()


def test_bfloat16_gives_nearly_the_same_scores(
    model: BridgeTokensModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    batch = collate(clips, tokenizer)
    exact = scores(model, batch)
    assert (scores(model.to(torch.bfloat16), batch).float() - exact).abs().max() < 0.1


def test_cached_text_features_give_the_scores_of_the_text_itself(
    model: BridgeTokensModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    batch = collate(clips, tokenizer)
    assert model.text is not None
    with torch.inference_mode():
        features = model.text(batch.token_ids, attention_mask=batch.text_mask.long()).last_hidden_state
    without_encoder = BridgeTokensModel(replace(TINY, text=None)).eval()
    without_encoder.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("text.")})
    cached = replace(batch, token_ids=None, text_features=features)
    assert torch.equal(scores(model, batch), scores(without_encoder, cached))
    with pytest.raises(UsageError, match="text_features"):
        without_encoder(batch)


def test_a_sigmoid_stands_for_a_fifth_of_the_rating_and_can_rise_from_below_the_scale() -> None:
    shares = torch.tensor([[0.2, 0.6, 1.0], [0.0, 0.4, 0.8]], requires_grad=True)
    dimensions = dimensions_of(shares)
    assert dimensions.tolist() == [pytest.approx([-1, 0, 1], abs=1e-6), pytest.approx([-1, -0.5, 0.5], abs=1e-6)]
    dimensions.sum().backward()
    assert shares.grad is not None
    assert torch.equal(shares.grad, torch.full((2, 3), 2.5))
    crowd = dimensions_of(torch.linspace(0, 1, 10_001)[:, None])[:, 0]
    assert (crowd.min(), crowd.max()) == (-1, 1)


def test_without_its_head_dominance_is_unknown(clips: list[Clip], tokenizer: PreTrainedTokenizerBase) -> None:
    dimensions = scores(make(replace(TINY, dominance=False)), collate(clips, tokenizer))[:, -3:]
    assert torch.isfinite(dimensions[:, :2]).all()
    assert dimensions[:, 2].isnan().all()


def plain_concordance(predicted: np.ndarray, true: np.ndarray) -> float:
    covariance = np.cov(predicted, true, ddof=0)
    return float(2 * covariance[0, 1] / (covariance.trace() + (predicted.mean() - true.mean()) ** 2))


def test_the_concordance_is_lins() -> None:
    rng = np.random.default_rng(5)
    true = rng.normal(0.2, 0.4, 50)
    predicted = 0.5 * true + rng.normal(-0.1, 0.2, 50)
    ours = concordance(torch.tensor(predicted), torch.tensor(true))
    assert float(ours) == pytest.approx(plain_concordance(predicted, true), abs=1e-12)
    assert float(concordance(torch.tensor(true), torch.tensor(true))) == pytest.approx(1)
    # On ratings of 1..5 it is the same number.
    assert float(concordance(torch.tensor(2 * predicted + 3), torch.tensor(2 * true + 3))) == pytest.approx(float(ours))


def test_unknown_truths_are_left_out_of_the_concordance() -> None:
    predicted, true = torch.randn(2, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    true[[0, 5]] = torch.nan
    known = ~true.isnan()
    expected = plain_concordance(predicted[known].numpy(), true[known].numpy())
    assert float(concordance(predicted, true)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("predicted", "true"),
    [([0.3, 0.3, 0.3], [0.3, 0.3, 0.3]), ([0.3, 0.3], [0.1, 0.9]), ([0.3], [0.5]), ([0.3, 0.1], [math.nan, math.nan])],
    ids=["both constant", "a constant guess", "one utterance", "nothing known"],
)
def test_where_nothing_varies_the_concordance_is_zero_and_its_gradient_finite(
    predicted: list[float], true: list[float]
) -> None:
    guess = torch.tensor(predicted, requires_grad=True)
    value = concordance(guess, torch.tensor(true))
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-6)
    assert guess.grad is not None
    assert torch.isfinite(guess.grad).all()


def example(*, dominance: bool) -> tuple[EmotionOutput, Targets, list[Tensor]]:
    """An output, its targets, and the plain terms."""
    torch.manual_seed(6)
    logits, dimensions, true = torch.randn(8, 4), torch.rand(8, 3), torch.rand(8, 3)
    if not dominance:
        dimensions[:, 2] = torch.nan
    labels = torch.arange(8) % 4
    terms = [1 - concordance(dimensions[:, i], true[:, i]) for i in range(3)]
    return EmotionOutput(logits, dimensions), Targets(labels, true), [functional.cross_entropy(logits, labels), *terms]


def test_the_published_terms_weigh_a_third_each() -> None:
    output, targets, terms = example(dominance=False)
    assert float(loss(output, targets)) == pytest.approx(0.33 * float(sum(terms[:3])), rel=1e-6)


def test_with_dominance_each_term_weighs_a_quarter() -> None:
    output, targets, terms = example(dominance=True)
    assert float(loss(output, targets)) == pytest.approx(0.25 * float(sum(terms)), rel=1e-6)


def test_without_true_dimensions_the_cross_entropy_stands_alone() -> None:
    output, targets, terms = example(dominance=True)
    unknown = torch.full((8, 3), torch.nan)
    for dimensions in (None, unknown):
        assert float(loss(output, replace(targets, dimensions=dimensions))) == pytest.approx(float(terms[0]))


def test_the_probability_of_masking_falls_along_a_cosine_and_ends_at_a_tenth() -> None:
    curve = [masking_probability(epoch, 20) for epoch in range(20)]
    assert curve[0] == 0.8
    assert curve[10] == pytest.approx(0.4)
    assert curve[5] == pytest.approx(0.4 * (1 + math.sqrt(0.5)))
    assert curve == sorted(curve, reverse=True)
    # 0.4 * (1 + cos(pi * 15 / 20)) is 0.117, the next 0.076.
    assert [epoch for epoch in range(20) if curve[epoch] > 0] == list(range(16))
    assert min(value for value in curve if value) >= 0.1


def test_words_are_masked_in_three_epochs_of_five_that_mask() -> None:
    rng = np.random.default_rng(7)
    drawn = [draw_masked_modality(0, 20, rng) for _ in range(4_000)]
    assert drawn.count(None) / 4_000 == pytest.approx(0.2, abs=0.02)
    assert drawn.count("text") / (drawn.count("text") + drawn.count("audio")) == pytest.approx(0.6, abs=0.02)
    assert {draw_masked_modality(19, 20, rng) for _ in range(100)} == {None}


@pytest.mark.parametrize("modality", ["audio", "text"])
def test_training_does_not_see_the_masked_modality_and_leaves_its_encoder_alone(
    modality: Modality, clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    model = make(CALM)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    model.mask(modality)
    model.train()
    for encoder in (model.audio, model.text):
        # Silences the encoders' own dropout alone.
        assert encoder is not None
        encoder.eval()
    batch = collate(clips, tokenizer)
    assert batch.token_ids is not None
    others = {"audio": {"samples": -batch.samples.flip(0)}, "text": {"token_ids": batch.token_ids.flip(0)}}
    assert torch.equal(scores(model, batch), scores(model, replace(batch, **others[modality])))
    loss(model(batch), Targets(torch.arange(4))).backward()
    learnt = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert not any(name.startswith(f"{modality}.") for name in learnt)
    assert learnt < trainable
    model.mask(None)
    assert trainable == {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_a_masked_model_sees_everything_when_it_is_asked(
    model: BridgeTokensModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    batch = collate(clips, tokenizer)
    before = scores(model, batch)
    model.mask("text")
    assert torch.equal(scores(model, batch), before)


def test_the_gradient_reaches_everything_but_the_frozen_embeddings(
    clips: list[Clip], tokenizer: PreTrainedTokenizerBase
) -> None:
    model = make(replace(TINY, freeze_embeddings=True)).train()
    targets = Targets(torch.arange(4), torch.rand(4, 3))
    loss(model(collate(clips, tokenizer)), targets).backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    embeddings = ("audio.feature_", "audio.encoder.pos_conv_embed.", "audio.masked_spec_embed", "text.embeddings.")
    assert all(name.startswith(embeddings) for name in frozen)
    assert all(any(name.startswith(start) for name in frozen) for start in embeddings)


def test_sixteen_utterances_can_be_learnt_by_heart(tokenizer: PreTrainedTokenizerBase) -> None:
    torch.manual_seed(0)
    model = BridgeTokensModel(CALM).train()
    batch = collate([Clip(noise(seed, 1_600), SENTENCES[seed % 4]) for seed in range(16)], tokenizer)
    targets = Targets(torch.arange(16) // 4, torch.rand(16, 3) * 2 - 1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(80):
        optimiser.zero_grad()
        loss(model(batch), targets).backward()
        optimiser.step()
    learnt = scores(model.eval(), batch)
    assert (learnt[:, :4].argmax(dim=1) == targets.labels).all()
    assert targets.dimensions is not None
    assert min(concordance(learnt[:, 4 + i], targets.dimensions[:, i]) for i in range(3)) > 0.9


def test_a_checkpoint_is_read_back_bit_for_bit(
    model: BridgeTokensModel, clips: list[Clip], tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    checkpoint.save(tmp_path, model, tokenizer, torch.float32)
    loaded = load_emotion_model(tmp_path)
    assert loaded.model.labels == ("neutral", "happy", "sad", "angry")
    ours, theirs = scores(model, collate(clips, tokenizer)), collate(clips, loaded.tokenizer)
    assert torch.equal(ours, scores(loaded.model, theirs))


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    for config in (TINY, LARGE, replace(LARGE, text=None, kv_align="interp")):
        (tmp_path / "config.json").write_text(config_json(config, "bridge_tokens"))
        assert read_config(tmp_path, BridgeTokensConfig, "bridge_tokens") == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kv_align": "crop"}, "pad, interp, classic"),
        ({"num_heads": 5}, "5 heads"),
        ({"text": {**(TINY.text or {}), "hidden_size": 48}}, "48 wide"),
    ],
)
def test_settings_that_cannot_be_built_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(TINY, **change)


def test_the_published_size_has_the_published_widths() -> None:
    with torch.device("meta"):
        model = build("bridge_tokens", "large")
    counts = [parameter.numel() for parameter in model.parameters()]
    trainable = [parameter.numel() for parameter in model.parameters() if parameter.requires_grad]
    # HuBERT-large 315.4 M, DeBERTa-v3-large 434.0 M, the rest 19.0 M.
    assert (sum(counts), sum(trainable)) == (768_415_366, 624_111_622)
    assert model.audio_tokens.shape == (30, 1_024)

"""What every emotion family promises at every size.

Published sizes have fresh weights and up to 770 million parameters: they are marked slow, and learning by heart, which
takes them a GPU, is asked of `tiny` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mmer_ray.models.families import FAMILIES, build, load_emotion_model, loss_of, save_emotion_model, sizes
from mmer_ray.models.interface import Clip, EmotionBatch, EmotionModel, EmotionOutput, Targets, collate
from mmer_ray.training.embedded_text import train_tokenizer

RATE_HZ = 16_000
TEXTS = ("", "yes", "i told you so", "it was a real pleasure to help you today enjoy your weekend", "no no no")
LENGTHS_S = (0.4, 0.9, 1.7, 2.3, 1.1)
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
VOCAB_SIZE = 300
EVERY_SIZE = [
    pytest.param((family, size), id=f"{family}-{size}", marks=[] if size == "tiny" else [pytest.mark.slow])
    for family in FAMILIES
    for size in sizes(family)
]
ON_WHISPER = "tiny-on-whisper"
"""`tiny` with a Whisper of random weights under it, whose middle layer is read."""
WHISPER_FAMILIES = ("mmer", "mmer_v1", "bridge_tokens")
TINY_WHISPER = {
    "model_type": "whisper",
    "num_mels": 20,
    "hidden_size": 64,
    "num_layers": 3,
    "num_heads": 4,
    "output_layer": 2,
}
EVERY_SIZE += [pytest.param((family, ON_WHISPER), id=f"{family}-{ON_WHISPER}") for family in WHISPER_FAMILIES]
BATCH_TOLERANCE = 1e-5
"""In probabilities, float32: what the order of additions may cost."""


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer([text for text in TEXTS if text], vocab_size=VOCAB_SIZE)


@pytest.fixture(scope="session", params=EVERY_SIZE)
def model(request: pytest.FixtureRequest) -> EmotionModel:
    torch.manual_seed(0)
    return stirred(made(*request.param)).eval()


def made(family: str, size: str) -> EmotionModel:
    """A family at a size with fresh weights."""
    if size != ON_WHISPER:
        return build(family, size)
    return type(build(family, "tiny"))(replace(sizes(family)["tiny"], audio=TINY_WHISPER))


def stirred(model: EmotionModel) -> EmotionModel:
    """Move norms' running statistics away from their starting values, at which some mistakes hide."""
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn_like(buffer) * 0.1)
        if name.endswith("running_var"):
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return model


def noise(num_samples: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """A noisy tone whose pitch and loudness follow from the seed; float32, -1..1."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(num_samples) / RATE_HZ
    tone = np.sin(2 * np.pi * rng.uniform(90, 400) * time_s) * rng.uniform(0.05, 0.5)
    return (tone + rng.normal(0, 0.02, num_samples)).clip(-1, 1).astype(np.float32)


def clips() -> list[Clip]:
    return [
        Clip(noise(round(length_s * RATE_HZ), seed), text)
        for seed, (length_s, text) in enumerate(zip(LENGTHS_S, TEXTS, strict=True))
    ]


def reads_tokens(model: EmotionModel) -> bool:
    return model.reads_text and model.config.text is not None


def ask(
    model: EmotionModel,
    clips: Sequence[Clip],
    tokenizer: PreTrainedTokenizerBase | None,
    dialogue: Sequence[int] | None = None,
) -> EmotionBatch:
    """Collate, with text features in place of tokens for a model without a text encoder."""
    batch = collate(clips, tokenizer, dialogue)
    if not model.reads_text or reads_tokens(model):
        return batch
    width = getattr(model.config, "text_feature_size", None) or model.config.hidden_size
    feature_of_token = torch.randn(VOCAB_SIZE, width, generator=torch.Generator().manual_seed(0))
    return replace(batch, token_ids=None, text_features=feature_of_token[batch.token_ids])


def answer(model: EmotionModel, batch: EmotionBatch) -> EmotionOutput:
    with torch.inference_mode():
        return model(batch)


def probabilities(model: EmotionModel, batch: EmotionBatch) -> Tensor:
    return answer(model, batch).logits.float().softmax(dim=1)


def padded(batch: EmotionBatch, num_samples: int, num_tokens: int) -> EmotionBatch:
    """The same batch with more padding than its longest member needs, and rubbish in the token padding."""
    rows = len(batch.num_samples)
    ids, features = batch.token_ids, batch.text_features
    return EmotionBatch(
        torch.cat([batch.samples, torch.zeros(rows, num_samples)], dim=1),
        batch.num_samples,
        torch.cat([batch.text_mask, torch.zeros(rows, num_tokens, dtype=torch.bool)], dim=1),
        None if ids is None else torch.cat([ids, torch.ones(rows, num_tokens, dtype=torch.int64)], dim=1),
        None if features is None else torch.cat([features, torch.ones(rows, num_tokens, features.shape[2])], dim=1),
    )


def test_an_answer_is_the_same_alone_and_in_any_company(
    model: EmotionModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    everyone = clips()
    alone = torch.cat([probabilities(model, ask(model, [clip], tokenizer)) for clip in everyone])
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 1, 3], [3, 0]):
        together = probabilities(model, ask(model, [everyone[index] for index in order], tokenizer))
        torch.testing.assert_close(together, alone[order], rtol=0, atol=BATCH_TOLERANCE)


@pytest.mark.parametrize(("num_samples", "num_tokens"), [(1, 0), (7_777, 9), (160_000, 40)])
def test_an_answer_does_not_know_how_much_padding_it_has(
    model: EmotionModel, tokenizer: PreTrainedTokenizerBase, num_samples: int, num_tokens: int
) -> None:
    batch = ask(model, clips(), tokenizer)
    torch.testing.assert_close(
        probabilities(model, padded(batch, num_samples, num_tokens)),
        probabilities(model, batch),
        rtol=0,
        atol=BATCH_TOLERANCE,
    )


def test_dimensions_lie_between_their_poles_and_do_not_know_the_company(
    model: EmotionModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    together = answer(model, ask(model, clips(), tokenizer)).dimensions
    if together is None:
        pytest.skip(f"{model.family} has no dimensions")
    alone = [answer(model, ask(model, [clip], tokenizer)).dimensions for clip in clips()]
    torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=BATCH_TOLERANCE, equal_nan=True)  # type: ignore[arg-type]
    assert bool((together[~together.isnan()].abs() <= 1).all())


def training_step(model: EmotionModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """One backward pass with all that a family can learn from: classes, dimensions, transcripts, two views."""
    # Two conversations: what joins neighbours has none in a conversation of one.
    batch = ask(model, clips(), tokenizer, dialogue=[0, 0, 1, 1, 1])
    rows = len(batch.num_samples)
    targets = Targets(
        labels=torch.arange(rows) % len(model.labels),
        dimensions=torch.linspace(-0.9, 0.9, rows * 3).reshape(rows, 3),
        ctc=torch.tensor([[5, 6, 7]] * rows),
    )
    clean = model(batch)
    loss_of(model.family)(clean, targets, model.score_variation(batch)).backward()


@pytest.mark.parametrize("family_and_size", EVERY_SIZE)
def test_the_gradient_reaches_every_trainable_parameter(
    family_and_size: tuple[str, str], tokenizer: PreTrainedTokenizerBase
) -> None:
    torch.manual_seed(0)
    # Training mode, so that everything that training switches on is on; more than one draw, as it may switch parts off.
    model = made(*family_and_size).train()
    for _ in range(3):
        training_step(model, tokenizer)
    still = {
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not bool(parameter.grad.abs().sum() > 0))
    }
    assert still <= model.unread_parameters


def test_a_saved_model_comes_back_bit_for_bit(
    model: EmotionModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    save_emotion_model(tmp_path, model, tokenizer)
    loaded, loaded_tokenizer = load_emotion_model(tmp_path)
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (loaded.family, loaded.labels, loaded.training) == (model.family, model.labels, False)
    assert (loaded_tokenizer is not None) is reads_tokens(model)
    batch = ask(loaded, clips(), loaded_tokenizer if reads_tokens(model) else tokenizer)
    assert torch.equal(probabilities(loaded, batch), probabilities(model, ask(model, clips(), tokenizer)))


@pytest.mark.parametrize("family", [family for family in FAMILIES if hasattr(sizes(family)["tiny"], "text")])
def test_a_checkpoint_without_a_text_encoder_has_no_tokenizer_and_takes_features_at_any_precision(
    family: str, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    config = replace(sizes(family)["tiny"], text=None)
    save_emotion_model(tmp_path, type(build(family, "tiny"))(config).eval(), tokenizer)
    loaded, loaded_tokenizer = load_emotion_model(tmp_path)
    assert loaded_tokenizer is None
    half = loaded.to(torch.bfloat16)
    assert bool(torch.isfinite(probabilities(half, ask(half, clips(), tokenizer))).all())


def test_the_shortest_legal_audio_is_scored(model: EmotionModel, tokenizer: PreTrainedTokenizerBase) -> None:
    shortest = Clip(noise(model.min_samples, 0), "yes")
    assert bool(torch.isfinite(probabilities(model, ask(model, [shortest], tokenizer))).all())
    beside_a_longer_one = probabilities(model, ask(model, [shortest, clips()[2]], tokenizer))[:1]
    alone = probabilities(model, ask(model, [shortest], tokenizer))
    torch.testing.assert_close(beside_a_longer_one, alone, rtol=0, atol=BATCH_TOLERANCE)


def test_half_a_minute_is_scored(model: EmotionModel, tokenizer: PreTrainedTokenizerBase) -> None:
    longest = Clip(noise(30 * RATE_HZ, 0), "word " * 90)
    assert bool(torch.isfinite(probabilities(model, ask(model, [longest], tokenizer))).all())


def test_silence_and_an_empty_transcript_are_scored(model: EmotionModel, tokenizer: PreTrainedTokenizerBase) -> None:
    silent = Clip(np.zeros(RATE_HZ, np.float32), "")
    assert bool(torch.isfinite(probabilities(model, ask(model, [silent], tokenizer))).all())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family_and_size", EVERY_SIZE)
def test_every_precision_and_device_tells_nearly_the_same(
    family_and_size: tuple[str, str], dtype: torch.dtype, device: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    torch.manual_seed(0)
    reference = stirred(made(*family_and_size)).eval()
    batch = ask(reference, clips(), tokenizer)
    expected = probabilities(reference, batch)
    moved = reference.to(device, dtype)
    found = probabilities(moved, batch.to(device)).cpu()
    # bfloat16 keeps 8 bits: about 0.004 per operation.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 if dtype == torch.float32 else 0.1)


@pytest.mark.parametrize(
    ("family", "size"),
    [*((family, "tiny") for family in FAMILIES), *((family, ON_WHISPER) for family in WHISPER_FAMILIES)],
)
def test_sixteen_utterances_can_be_learned_by_heart(family: str, size: str, tokenizer: PreTrainedTokenizerBase) -> None:
    torch.manual_seed(0)
    model = without_dropout(made(family, size)).train()
    num_classes = len(model.labels)
    batch = collate([Clip(noise(5_600 + 400 * (index % 4), index), TEXTS[index % 5]) for index in range(16)], tokenizer)
    labels = torch.arange(16) % num_classes
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=3e-3)
    for _ in range(150):
        loss = loss_of(family)(model(batch), Targets(labels), None)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        model.eval()
        if bool((answer(model, batch).logits.argmax(dim=1) == labels).all()):
            return
        model.train()
    pytest.fail(f"{family} did not learn 16 utterances in 150 steps")


def without_dropout(model: EmotionModel) -> EmotionModel:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


@pytest.mark.parametrize(("family", "size"), [(family, size) for family in FAMILIES for size in sizes(family)])
def test_every_size_can_be_built_and_has_a_shortest_audio(family: str, size: str) -> None:
    with torch.device("meta"):
        model = build(family, size)
    assert model.family == family
    assert len(set(model.labels)) == len(model.labels) >= 2
    assert 0 < model.min_samples <= RATE_HZ // 4
    assert any(parameter.requires_grad for parameter in model.parameters())

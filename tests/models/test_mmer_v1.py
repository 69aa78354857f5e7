"""MMER's first version: pooling, masks and checkpoints that differ from the final one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mmer_ray.models.interface import EmotionBatch, Targets
from mmer_ray.models.mmer_v1 import losses
from mmer_ray.models.mmer_v1.config import SIZES
from mmer_ray.models.mmer_v1.model import MmerV1Model

TINY = replace(SIZES["tiny"], text=None)
WIDTH = TINY.hidden_size


@pytest.fixture(scope="module")
def model() -> MmerV1Model:
    torch.manual_seed(0)
    return MmerV1Model(TINY).eval()


def batch_of(num_samples: list[int], num_tokens: list[int]) -> EmotionBatch:
    torch.manual_seed(1)
    rows = len(num_samples)
    samples = torch.zeros(rows, max(num_samples))
    features = torch.zeros(rows, max(num_tokens), WIDTH)
    mask = torch.zeros(rows, max(num_tokens), dtype=torch.bool)
    for row, (length, tokens) in enumerate(zip(num_samples, num_tokens, strict=True)):
        samples[row, :length] = torch.randn(length) * 0.1
        features[row, :tokens] = torch.randn(tokens, WIDTH)
        mask[row, :tokens] = True
    return EmotionBatch(samples, torch.tensor(num_samples), mask, text_features=features)


def test_an_utterance_alone_scores_the_same_with_the_published_masks_and_with_ours(model: MmerV1Model) -> None:
    """The raw mask adds 1 to every score of an utterance without padding, which a softmax does not notice."""
    published = MmerV1Model(replace(TINY, masked=False)).eval()
    published.load_state_dict(model.state_dict())
    alone = batch_of([9_000], [7])
    with torch.inference_mode():
        torch.testing.assert_close(model(alone).logits, published(alone).logits)


def test_the_published_version_reads_padding_and_ours_does_not(model: MmerV1Model) -> None:
    published = MmerV1Model(replace(TINY, masked=False)).eval()
    published.load_state_dict(model.state_dict())
    both = batch_of([9_000, 16_000], [4, 12])
    alone = EmotionBatch(
        both.samples[:1, :9_000], both.num_samples[:1], both.text_mask[:1, :4], text_features=both.text_features[:1, :4]
    )  # type: ignore[index]
    with torch.inference_mode():
        torch.testing.assert_close(model(both).logits[:1], model(alone).logits, rtol=0, atol=1e-5)
        assert (published(both).logits[:1] - published(alone).logits).abs().max() > 1e-3
        assert published(both).num_frames.tolist() == [published(both).ctc_logits.shape[1]] * 2


def test_the_pooled_speech_is_a_mean_over_true_frames(model: MmerV1Model) -> None:
    both = batch_of([9_000, 16_000], [4, 12])
    with torch.inference_mode():
        frames, num_frames = model.listen(both)
        joint = model(both).joint
    assert joint is not None
    torch.testing.assert_close(joint[0, :WIDTH], frames[0, : int(num_frames[0])].mean(dim=0))


def test_the_loss_is_cross_entropy_and_a_thousandth_of_the_summed_ctc(model: MmerV1Model) -> None:
    both = batch_of([9_000, 16_000], [4, 12])
    labels, transcripts = torch.tensor([0, 2]), torch.tensor([[5, 6, -100], [7, 7, 8]])
    with torch.inference_mode():
        output = model(both)
        plain = losses.loss(output, Targets(labels))
        with_words = losses.loss(output, Targets(labels, ctc=transcripts))
        log_p = output.ctc_logits.log_softmax(2).transpose(0, 1)
        ctc = torch.nn.functional.ctc_loss(
            log_p, transcripts.clamp(min=0), output.num_frames, torch.tensor([2, 3]), reduction="sum"
        )
    assert float(plain) == pytest.approx(float(torch.nn.functional.cross_entropy(output.logits, labels)))
    assert float(with_words) == pytest.approx(float(plain + 0.001 * ctc), rel=1e-5)

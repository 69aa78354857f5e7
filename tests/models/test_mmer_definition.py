"""Gate, temperature and loss weights of the MMER families, against their formulas written out with plain numbers.

The parity tests hold them to the published code too, but its tensors are not on every machine.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmer_ray.models.interface import EmotionBatch, EmotionOutput, Targets
from mmer_ray.models.mmer import losses
from mmer_ray.models.mmer.config import TINY
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.models.mmer.trunk import MmerTrunk, key_bias
from mmer_ray.models.mmer_v1 import losses as losses_v1
from mmer_ray.models.mmer_v1.config import SIZES as V1_SIZES
from mmer_ray.models.mmer_v1.model import MmerV1Model

Array = NDArray[np.float64]


def vectors(rows: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.5, (rows, 8)))


def log_softmax(row: Array) -> Array:
    return np.asarray(row - math.log(sum(math.exp(value) for value in row)))


def linear(layer: torch.nn.Module, values: Array) -> Array:
    weight, bias = (layer.get_parameter(name).detach().double().numpy() for name in ("weight", "bias"))
    return np.asarray(values @ weight.T + bias)


@pytest.fixture(params=[MmerModel, MmerV1Model])
def model(request: pytest.FixtureRequest) -> MmerTrunk:
    torch.manual_seed(0)
    sizes = {MmerModel: TINY, MmerV1Model: V1_SIZES["tiny"]}
    trunk: MmerTrunk = request.param(replace(sizes[request.param], text=None))
    # Fresh biases of zero and small weights would leave every gate at a half.
    torch.nn.init.normal_(trunk.gate.weight, std=0.5)
    torch.nn.init.normal_(trunk.gate.bias)
    return trunk.eval()


def test_the_gate_is_a_sigmoid_that_scales_what_the_text_heard_in_the_audio_and_nothing_else(model: MmerTrunk) -> None:
    """Interspeech 2023, section 2.2: the gate reads both answers, [answered; heard], and weighs the second."""
    generator = torch.Generator().manual_seed(1)
    text, frames = torch.randn(1, 3, 64, generator=generator), torch.randn(1, 5, 64, generator=generator)
    no_bias = [key_bias(torch.ones(1, length, dtype=torch.bool)) for length in (3, 5)]
    seen: dict[str, Array] = {}

    def remember(name: str) -> None:
        def hook(_module: object, _inputs: object, output: Tensor) -> None:
            seen[name] = output[0].detach().double().numpy()

        model.get_submodule(name).register_forward_hook(hook)

    for name in ("text_asks_audio", "text_asks_answer"):
        remember(name)
    with torch.inference_mode():
        fused = model.fuse(text, no_bias[0], frames, no_bias[1])[0].double().numpy()
    heard, answered = seen["text_asks_audio"], seen["text_asks_answer"]
    opened = linear(model.gate, np.concatenate([answered, heard], axis=1))
    gate = 1 / (1 + np.exp(-opened))
    assert gate.std() > 0.2
    np.testing.assert_allclose(fused, np.concatenate([answered, gate * heard], axis=1), atol=1e-5)


def test_the_official_supervised_term_divides_the_log_softmax_by_0_07() -> None:
    clean, labels = vectors(4, seed=1), [0, 1, 0, 1]
    products = (clean @ clean.T).numpy()
    pairs = [log_softmax(products[i])[j] / 0.07 for i in range(4) for j in range(4) if labels[i] == labels[j]]
    found = losses.supervised_contrast(clean, torch.tensor(labels), "official")
    assert float(found) == pytest.approx(-sum(pairs) / len(pairs))


def test_the_textbook_supervised_term_divides_cosines_by_0_07() -> None:
    clean = vectors(3, seed=2)
    unit = clean.numpy() / np.linalg.norm(clean.numpy(), axis=1, keepdims=True)
    near, far = unit[0] @ unit[1] / 0.07, unit[0] @ unit[2] / 0.07
    far_of_second = unit[1] @ unit[2] / 0.07
    first = near - math.log(math.exp(near) + math.exp(far))
    second = near - math.log(math.exp(near) + math.exp(far_of_second))
    found = losses.supervised_contrast(clean, torch.tensor([0, 0, 1]), "textbook")
    assert float(found) == pytest.approx(-(first + second) / 2)


def test_the_augmentation_term_divides_dot_products_by_0_07() -> None:
    clean, augmented = vectors(4, seed=3), vectors(4, seed=4)
    products = (clean @ augmented.T).numpy() / 0.07
    expected = -sum(log_softmax(products[i])[i] for i in range(4)) / 4
    assert float(losses.augmentation_contrast(clean, augmented, "official")) == pytest.approx(expected)


def test_all_terms_but_the_first_weigh_a_tenth() -> None:
    """The published lambda, 0.1, on CTC, supervised and augmentation term alike."""
    terms = [torch.tensor(value) for value in (2.0, 3.0, 5.0, 7.0)]
    assert float(losses.LossTerms(*terms).total()) == pytest.approx(2 + 0.1 * (3 + 5 + 7))
    clean, augmented, labels = vectors(4, seed=5), vectors(4, seed=6), torch.tensor([0, 1, 0, 1])
    outputs = [EmotionOutput(logits=one[:, :4], contrast=one) for one in (clean, augmented)]
    category = -sum(log_softmax(clean[i, :4].numpy())[int(labels[i])] for i in range(4)) / 4
    others = losses.supervised_contrast(clean, labels) + losses.augmentation_contrast(clean, augmented)
    found = losses.loss(outputs[0], Targets(labels), outputs[1])
    assert float(found) == pytest.approx(category + 0.1 * float(others))


def test_ctc_is_summed_over_the_batch_and_weighs_a_tenth_in_mmer_and_a_thousandth_in_its_first_version() -> None:
    """One frame, one symbol: the loss is minus the symbol's log probability."""
    logits = torch.from_numpy(np.random.default_rng(7).normal(size=(2, 1, 6)))
    symbols = [[4], [2]]
    ctc = -sum(log_softmax(logits[i, 0].numpy())[symbols[i][0]] for i in range(2))
    scores, contrast, labels = vectors(2, seed=8), vectors(2, seed=9), torch.tensor([0, 1])
    output = EmotionOutput(logits=scores[:, :4], contrast=contrast, ctc_logits=logits, num_frames=torch.tensor([1, 1]))
    category = -sum(log_softmax(scores[i, :4].numpy())[i] for i in range(2)) / 2
    targets = Targets(labels, ctc=torch.tensor(symbols))
    supervised = float(losses.supervised_contrast(contrast, labels))
    assert float(losses.loss(output, targets)) == pytest.approx(category + 0.1 * (supervised + ctc))
    assert float(losses_v1.loss(output, targets)) == pytest.approx(category + 0.001 * ctc)


def test_the_head_of_the_classifier_reads_audio_first_and_fused_text_second(model: MmerTrunk) -> None:
    generator = torch.Generator().manual_seed(2)
    batch = EmotionBatch(
        samples=torch.randn(1, 4_000, generator=generator),
        num_samples=torch.tensor([4_000]),
        text_mask=torch.ones(1, 3, dtype=torch.bool),
        text_features=torch.randn(1, 3, 64, generator=generator),
    )
    with torch.inference_mode():
        frames, _ = model.listen(batch)
        joint = model(batch).joint[0]
    pooled = frames[0].amax(dim=0) if isinstance(model, MmerModel) else frames[0].mean(dim=0)
    torch.testing.assert_close(joint[:64], pooled, atol=1e-5, rtol=1e-5)

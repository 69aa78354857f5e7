"""The LEAF front-end: what its parameters mean, and that computing it in blocks changes nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mmer_ray.models.leaf_transformer.leaf import (
    BLOCK_SAMPLES,
    HALF_KERNEL,
    NUM_FILTERS,
    SIGMA_RANGE,
    Leaf,
    Pcen,
    moving_average,
)

SAMPLE_RATE_HZ = 16_000


def noise(num_samples: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(num_samples, generator=torch.Generator().manual_seed(num_samples), dtype=dtype) * 0.1


def counts(*num_samples: int) -> Tensor:
    return torch.tensor(num_samples)


def plain_energies(leaf: Leaf, samples_S: Tensor) -> Tensor:
    """Two ordinary convolutions with zeros around the utterance."""
    filters, windows, audio = leaf.filters(), leaf.pooling_windows()[:, None], samples_S[None, None]
    real, imaginary = (
        functional.conv1d(audio, part[:, None], padding=HALF_KERNEL) for part in (filters.real, filters.imag)
    )
    squared = real.square() + imaginary.square()
    return functional.conv1d(squared, windows, padding=HALF_KERNEL, stride=leaf.stride, groups=NUM_FILTERS)


def plain_average(signal: Tensor, smoothing: Tensor) -> Tensor:
    frames = [signal[:, :, 0]]
    for t in range(1, signal.shape[2]):
        frames.append(smoothing * signal[:, :, t] + (1 - smoothing) * frames[-1])
    return torch.stack(frames, dim=2)


def test_the_front_end_has_seven_parameters_per_filter() -> None:
    assert sum(parameter.numel() for parameter in Leaf(160).parameters()) == 280


def test_filters_start_at_the_centres_of_the_mel_bank() -> None:
    edges_mel = torch.linspace(*(2_595 * math.log10(1 + edge_hz / 700) for edge_hz in (60, 7_800)), NUM_FILTERS + 2)
    centres_hz = 700 * (10 ** (edges_mel[1:-1] / 2_595) - 1)
    bin_hz = SAMPLE_RATE_HZ / 512
    ours_hz = Leaf(160).mu.detach() * SAMPLE_RATE_HZ / (2 * math.pi)
    assert (ours_hz - centres_hz).abs().max() <= bin_hz


def test_filters_start_wider_in_frequency_the_higher_they_are() -> None:
    sigma = Leaf(160).sigma.detach()
    assert sigma[0] > 3 * sigma[-1]
    assert (sigma > SIGMA_RANGE[0]).all()
    assert (sigma < SIGMA_RANGE[1]).all()


def test_a_filters_response_peaks_at_its_mu_and_falls_with_its_sigma() -> None:
    leaf = Leaf(160).double()
    size = 1 << 14
    response = torch.fft.fft(leaf.filters(), size).abs()
    peak = response.argmax(dim=1) * 2 * math.pi / size
    assert (peak - leaf.mu).abs().max() <= 2 * math.pi / size
    # A Gaussian of sigma samples answers with one of 1 / sigma radians; at 1 / sigma from the centre it is exp(-0.5).
    aside = ((leaf.mu + 1 / leaf.sigma) * size / (2 * math.pi)).round().long()
    ratio = response.gather(1, aside[:, None])[:, 0] / response.amax(dim=1)
    fits_the_kernel = leaf.sigma < HALF_KERNEL / 3
    assert fits_the_kernel.sum() > NUM_FILTERS / 2
    assert (ratio - math.exp(-0.5))[fits_the_kernel].abs().max() < 0.01


def test_a_tone_is_loudest_in_the_filter_centred_on_it() -> None:
    leaf = Leaf(160)
    tones = torch.sin(leaf.mu.detach()[::8, None] * torch.arange(4_000))
    energy = leaf.energies(tones, torch.full((len(tones),), 4_000))
    assert energy.mean(dim=2).argmax(dim=1).tolist() == list(range(0, NUM_FILTERS, 8))


@pytest.mark.parametrize("stride", [160, 480])
@pytest.mark.parametrize("num_samples", [1, 160, 161, 481, 3_500, 9_001])
def test_block_by_block_gives_what_plain_convolutions_give(stride: int, num_samples: int) -> None:
    leaf = Leaf(stride).double()
    samples = noise(num_samples)
    ours, plain = leaf.energies(samples[None], counts(num_samples)), plain_energies(leaf, samples)
    assert ours.shape == plain.shape == (1, NUM_FILTERS, -(-num_samples // stride))
    assert torch.allclose(ours, plain, rtol=1e-9, atol=1e-12)


def test_a_stride_that_does_not_divide_the_kernel_is_exact_too() -> None:
    leaf = Leaf(401).double()
    samples = noise(BLOCK_SAMPLES)
    assert torch.allclose(leaf.energies(samples[None], counts(BLOCK_SAMPLES)), plain_energies(leaf, samples), rtol=1e-9)


def test_pooling_every_fourth_sample_changes_little_but_the_edges_of_an_utterance() -> None:
    samples = noise(3 * BLOCK_SAMPLES)[None]
    lengths = counts(samples.shape[1])
    every, fourth = (Leaf(160, energy_step=step).double().energies(samples, lengths) for step in (1, 4))
    assert torch.allclose(fourth[:, :, 2:-2], every[:, :, 2:-2], rtol=0.01)
    assert torch.allclose(fourth, every, rtol=0.05)


def test_an_energy_step_that_misses_the_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="energy_step=3"):
        Leaf(160, energy_step=3)


def test_single_precision_is_enough_for_quiet_speech() -> None:
    leaf = Leaf(160)
    samples = noise(8_000, torch.float32) * 1e-3
    ours = leaf(samples[None], counts(8_000))[0].double()
    wide = leaf.double()(samples.double()[None], counts(8_000))[0]
    assert (ours - wide).abs().max() < 1e-4


def test_gradients_are_those_of_the_plain_convolutions() -> None:
    samples = noise(2_000)
    gradients = []
    for energies in (
        lambda leaf: leaf.energies(samples[None], counts(2_000)),
        lambda leaf: plain_energies(leaf, samples),
    ):
        leaf = Leaf(160).double()
        (energies(leaf) * torch.linspace(0, 1, 13)).sum().backward()
        gradients.append([parameter.grad for parameter in (leaf.mu, leaf.sigma, leaf.pool_sigma)])
    assert all(torch.allclose(ours, plain) for ours, plain in zip(*gradients, strict=True))


def test_what_stands_behind_an_utterance_changes_none_of_its_frames() -> None:
    leaf = Leaf(160)
    samples = noise(5_000, torch.float32)
    alone, num_frames = leaf(samples[None], counts(5_000))
    followed = torch.stack([functional.pad(samples, (0, 9_000), value=0.5), noise(14_000, torch.float32)])
    together, num_frames_of_both = leaf(followed, counts(5_000, 14_000))
    assert num_frames.tolist() == [32]
    assert num_frames_of_both.tolist() == [32, 88]
    assert (together[0, :, :32] - alone[0]).abs().max() < 1e-5


def test_silence_has_features_and_finite_gradients() -> None:
    leaf = Leaf(160)
    features, _ = leaf(torch.zeros(1, 1_000), counts(1_000))
    features.sum().backward()
    assert torch.isfinite(features).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in leaf.parameters())


@pytest.mark.parametrize("num_frames", [1, 63, 64, 65, 300])
def test_the_moving_average_is_the_one_of_a_plain_loop(num_frames: int) -> None:
    smoothing = torch.tensor([0.0, 1e-4, 0.04, 0.5, 1.0])
    signal = torch.rand(3, 5, num_frames, generator=torch.Generator().manual_seed(1)) + 0.1
    assert (moving_average(signal, smoothing) - plain_average(signal, smoothing)).abs().max() < 1e-5


def test_the_moving_averages_gradient_is_the_one_of_a_plain_loop_even_at_0_and_1() -> None:
    weight = torch.linspace(-1, 1, 150, dtype=torch.float64)
    gradients = []
    for average in (moving_average, plain_average):
        smoothing = torch.tensor([0.0, 0.04, 1.0], dtype=torch.float64, requires_grad=True)
        signal = noise(2 * 3 * 150).view(2, 3, 150).requires_grad_()
        (average(signal, smoothing) * weight).sum().backward()
        gradients.append((smoothing.grad, signal.grad))
    assert all(torch.allclose(ours, plain) for ours, plain in zip(*gradients, strict=True))


def test_pcen_follows_its_formula() -> None:
    energy = torch.rand(2, 4, 90, dtype=torch.float64) + 1e-5
    pcen = Pcen(4).double()
    past = plain_average(energy, torch.full((4,), 0.04, dtype=torch.float64))
    assert torch.allclose(pcen(energy), (energy / past**0.96 + 2) ** 0.5 - 2**0.5, atol=1e-6)


def test_parameters_beyond_their_bounds_count_as_the_bounds() -> None:
    leaf, bounded = Leaf(160), Leaf(160)
    outside = {"mu": 9.0, "sigma": 0.0, "pool_sigma": 7.0, "smoothing": -1.0, "alpha": 3.0, "root": 0.2}
    inside = {"mu": math.pi, "sigma": SIGMA_RANGE[0], "pool_sigma": 0.5, "smoothing": 0.0, "alpha": 1.0, "root": 1.0}
    for each, values in ((leaf, outside), (bounded, inside)):
        for name, parameter in each.named_parameters():
            if (value := values.get(name.removeprefix("pcen."))) is not None:
                parameter.data.fill_(value)
    samples = noise(2_000, torch.float32)[None]
    assert torch.equal(leaf(samples, counts(2_000))[0], bounded(samples, counts(2_000))[0])


def test_two_front_ends_share_nothing() -> None:
    first, second = Leaf(160), Leaf(160)
    before = [parameter.clone() for parameter in second.parameters()]
    for parameter in first.parameters():
        parameter.data.mul_(0.5)
    assert all(torch.equal(*pair) for pair in zip(before, second.parameters(), strict=True))
    assert not {*first.modules()} & {*second.modules()}

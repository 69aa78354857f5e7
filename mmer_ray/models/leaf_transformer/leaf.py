"""LEAF (Zeghidour et al., ICLR 2021, arXiv 2101.08596): learnable features of a waveform, in 280 parameters.

Constants and initial values are those of google-research/leaf-audio; its port to torch, which the published system
uses, shares one PCEN between all front-ends of a process and averages in a loop over time.

Shape letters: B utterances, S padded samples, C channels (one per filter), W taps of a kernel, F padded frames,
N blocks of samples, P samples of a block, V of them that the filters answer in full, D samples of a hop (the stride),
J hops that a kernel reaches over, G and K: groups of frames and frames of a group.
"""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmer_ray.audio.features import FFT_SIZE, mel_filters

NUM_FILTERS = 40
LOWEST_HZ, HIGHEST_HZ = 60.0, 7_800.0
"""Band of the mel filters that the Gabor filters start from."""
KERNEL_SAMPLES = 401
"""25 ms at 16 kHz and the centre: taps of the Gabor filters and of the pooling."""
HALF_KERNEL = KERNEL_SAMPLES // 2
ENERGY_FLOOR = 1e-5
POOL_SIGMA = 0.4
"""Of a half kernel: about a Hann window."""
# Full width at half maximum of exp(-x^2 / 2 s^2) is twice this, times s.
HALF_MAXIMUM = math.sqrt(2 * math.log(2))
SIGMA_RANGE = (4 * HALF_MAXIMUM / math.pi, KERNEL_SAMPLES * HALF_MAXIMUM / math.pi)
POOL_SIGMA_RANGE = (2 / KERNEL_SAMPLES, 0.5)
# Transforms of this size, so many at a time, were fastest on a CPU: the filters' answers stay in its cache.
BLOCK_SAMPLES = 4_096
BLOCKS_AT_ONCE = 8

PCEN_FLOOR = 1e-12
# The published layer has none, and a root of a negative number where training drives delta below zero.
DELTA_FLOOR = 1e-4
GROUP_FRAMES = 64


class Leaf(nn.Module):
    """Gabor filters, squared modulus, Gaussian pooling and per-channel energy normalisation (sPCEN)."""

    def __init__(self, stride: int, energy_step: int = 1) -> None:
        """Start from the mel bank; `stride` is the number of samples between two frames.

        Every `energy_step`-th sample of the filters' answers is squared and pooled: 1 is the published front-end; at 4
        the work is a quarter and the frames inside an utterance are the same within one percent, as energies move
        far slower than that. Raises `ValueError` where the step divides the stride or half a kernel with a remainder.
        """
        super().__init__()
        if stride % energy_step or HALF_KERNEL % energy_step:
            raise ValueError(f"energy_step={energy_step} must divide the stride, {stride}, and {HALF_KERNEL}")
        self.stride = stride
        self.energy_step = energy_step
        mu_C, sigma_C = mel_gabor_parameters()
        self.mu = nn.Parameter(mu_C)
        self.sigma = nn.Parameter(sigma_C)
        self.pool_sigma = nn.Parameter(torch.full((NUM_FILTERS,), POOL_SIGMA))
        self.pcen = Pcen(NUM_FILTERS)

    def num_frames(self, num_samples_B: Tensor) -> Tensor:
        """Count frames, int64, shape (B,): one at every multiple of the stride that lies inside the utterance."""
        return torch.div(num_samples_B - 1, self.stride, rounding_mode="floor") + 1

    def forward(self, samples_BS: Tensor, num_samples_B: Tensor) -> tuple[Tensor, Tensor]:
        """Describe speech.

        Takes samples, float, shape (B, S), -1..1 at 16 kHz, padded with anything, and true lengths, int64, shape
        (B,), at least 1. Returns features, shape (B, C, F), at float32 or better, and true frame counts, int64, shape
        (B,). Frames behind the true ones are finite and mean nothing.
        """
        # In full precision whatever surrounds it: energies span ten orders of magnitude.
        with torch.autocast(samples_BS.device.type, enabled=False):
            energy_BCF = self.energies(samples_BS, num_samples_B)
            return self.pcen(energy_BCF.clamp(min=ENERGY_FLOOR)), self.num_frames(num_samples_B)

    def filters(self) -> Tensor:
        """Return the impulse responses of the Gabor filters: complex, shape (C, W)."""
        taps_W = torch.arange(-HALF_KERNEL, HALF_KERNEL + 1, dtype=_wide(self.mu), device=self.mu.device)
        sigma_C1 = self.sigma.to(taps_W.dtype).clamp(*SIGMA_RANGE)[:, None]
        mu_C1 = self.mu.to(taps_W.dtype).clamp(0, math.pi)[:, None]
        envelope_CW = torch.exp(-0.5 * (taps_W / sigma_C1).square()) / (math.sqrt(2 * math.pi) * sigma_C1)
        return torch.polar(envelope_CW, mu_C1 * taps_W)

    def pooling_windows(self) -> Tensor:
        """Return the Gaussian windows of the pooling: float, shape (C, W)."""
        taps_W = torch.linspace(-1, 1, KERNEL_SAMPLES, dtype=_wide(self.mu), device=self.mu.device)
        sigma_C1 = self.pool_sigma.to(taps_W.dtype).clamp(*POOL_SIGMA_RANGE)[:, None]
        return torch.exp(-0.5 * (taps_W / sigma_C1).square())

    def energies(self, samples_BS: Tensor, num_samples_B: Tensor) -> Tensor:
        """Filter, square and pool, zeros around the utterance before either kernel: float, shape (B, C, F).

        With x the samples, h a channel's filter and g its pooling window, both of W taps, and R = (W - 1) / 2:

            a[n] = sum over w of h[w] x[n + R - w]        filter
            e[n] = |a[n]|^2 inside the utterance, else 0  square
            E[f] = sum over w of g[w] e[f D + w - R]      pool, D the stride

        Overlap-save (Oppenheim and Schafer, Discrete-Time Signal Processing, section 8.7.3) computes a block by block:
        of ifft(fft(block of P samples) * fft(h, P)), the outputs W - 1 .. P - 1 are those of the linear convolution.
        Each block keeps V <= P - W + 1 of them, whole hops, and the next begins V samples later. Pooling splits the
        window into parts of one hop, w = j D + d: E[f] = sum over j of (sum over d of g[j D + d] e[(f + j) D + d - R]),
        so the inner sums of all hops and parts are one matrix product. With an energy step s, only every s-th n counts,
        times s; the spectrum of every s-th sample of a is the mean of the s parts of its own.

        Exact. Without gradients no more than a few blocks of the filters' answers exist at a time; with them each
        sample of each block keeps about 16 bytes per filter.
        """
        num_batch, num_frames, step = len(samples_BS), int(self.num_frames(num_samples_B.max())), self.energy_step
        num_taps = -(-KERNEL_SAMPLES // self.stride)
        hops_per_block = (BLOCK_SAMPLES - KERNEL_SAMPLES + 1) // self.stride
        num_blocks = -(-(num_frames + num_taps - 1) // hops_per_block)
        blocks_NP, mask_NV = self._cut(samples_BS, num_samples_B, num_blocks, hops_per_block * self.stride)
        response_CP = torch.fft.fft(self.filters(), BLOCK_SAMPLES) / step
        # A sum over every n-th sample, times n, stands for the sum over all.
        pool_CT = self.pooling_windows()[:, ::step] * step
        hop = self.stride // step
        pool_CT = functional.pad(pool_CT, (0, num_taps * hop - pool_CT.shape[1]))
        pool_CDJ = pool_CT.view(NUM_FILTERS, num_taps, hop).transpose(1, 2)
        parts = zip(torch.split(blocks_NP, BLOCKS_AT_ONCE), torch.split(mask_NV, BLOCKS_AT_ONCE), strict=True)
        pooled = torch.cat([_pooled_energies(*part, response_CP, pool_CDJ, step) for part in parts], dim=1)
        pooled = pooled.view(NUM_FILTERS, num_batch, num_blocks * hops_per_block, num_taps)
        energy_CBF = torch.stack([pooled[:, :, j : j + num_frames, j] for j in range(num_taps)]).sum(dim=0)
        return energy_CBF.transpose(0, 1)

    def _cut(self, samples_BS: Tensor, num_samples_B: Tensor, num_blocks: int, advance: int) -> tuple[Tensor, Tensor]:
        """Cut each row into overlapping blocks, float, shape (N, P), N = B * num_blocks, in order.

        Also returns the mask of answers that lie inside the utterance, float, shape (N, V), V = `advance` over the
        energies' step. The first answer belongs to half a kernel before the first sample, where the first frame's
        window begins.
        """
        dtype, device = _wide(self.mu), samples_BS.device
        positions_S = torch.arange(samples_BS.shape[1], device=device)
        true_BS = samples_BS.to(dtype) * (positions_S < num_samples_B[:, None])
        before, length = KERNEL_SAMPLES - 1, (num_blocks - 1) * advance + BLOCK_SAMPLES
        padded_BS = functional.pad(true_BS, (before, length - before - samples_BS.shape[1]))
        blocks_NP = padded_BS.unfold(1, BLOCK_SAMPLES, advance).flatten(0, 1)
        answers = torch.arange(-HALF_KERNEL, num_blocks * advance - HALF_KERNEL, device=device)
        mask_BV = (answers >= 0) & (answers < num_samples_B[:, None])
        return blocks_NP, mask_BV.view(-1, advance)[:, :: self.energy_step].to(dtype)


class Pcen(nn.Module):
    """Per-channel energy normalisation with learnable smoothing (LEAF, section 3.4; PCEN: arXiv 1607.05666)."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.smoothing = nn.Parameter(torch.full((num_channels,), 0.04))
        self.alpha = nn.Parameter(torch.full((num_channels,), 0.96))
        self.delta = nn.Parameter(torch.full((num_channels,), 2.0))
        self.root = nn.Parameter(torch.full((num_channels,), 2.0))

    def forward(self, energy_BCF: Tensor) -> Tensor:
        """Divide positive energies by their own past and compress them: float, shape (B, C, F), in and out."""
        dtype = energy_BCF.dtype
        alpha_C1 = self.alpha.to(dtype).clamp(max=1)[:, None]
        delta_C1 = self.delta.to(dtype).clamp(min=DELTA_FLOOR)[:, None]
        power_C1 = 1 / self.root.to(dtype).clamp(min=1)[:, None]
        past_BCF = moving_average(energy_BCF, self.smoothing.to(dtype).clamp(0, 1))
        return (energy_BCF / (PCEN_FLOOR + past_BCF) ** alpha_C1 + delta_C1) ** power_C1 - delta_C1**power_C1


def moving_average(signal_BCF: Tensor, smoothing_C: Tensor) -> Tensor:
    """Average exponentially from the first frame on: m_0 = x_0, m_t = s x_t + (1 - s) m_{t-1}.

    Takes a signal, float, shape (B, C, F), F at least 1, and s in 0..1, shape (C,); returns the signal's shape.
    Frames are taken in groups: inside a group, and from group to group, the average is a product with a triangle of
    powers of 1 - s, so the work is F * GROUP_FRAMES and nothing is divided by a power.
    """
    num_batch, num_channels, num_frames = signal_BCF.shape
    num_groups = -(-num_frames // GROUP_FRAMES)
    signal_CBF = functional.pad(signal_BCF.transpose(0, 1), (0, num_groups * GROUP_FRAMES - num_frames))
    keep_C = 1 - smoothing_C
    fresh_CBF = signal_CBF * smoothing_C[:, None, None]
    fresh_CNK = fresh_CBF.reshape(num_channels, num_batch * num_groups, GROUP_FRAMES)
    inside_CNK = torch.bmm(fresh_CNK, _falling_powers(keep_C, GROUP_FRAMES))
    inside_CBGK = inside_CNK.view(num_channels, num_batch, num_groups, GROUP_FRAMES)
    # Before the first group stands the first frame; before another one, what the group before it ends with.
    ends_CBG = torch.cat([signal_CBF[:, :, :1], inside_CBGK[:, :, :-1, -1]], dim=2)
    carried_CBG = torch.bmm(ends_CBG, _falling_powers(keep_C**GROUP_FRAMES, num_groups))
    ages_K = torch.arange(1, GROUP_FRAMES + 1, device=keep_C.device)
    average_CBGK = inside_CBGK + carried_CBG[:, :, :, None] * (keep_C[:, None] ** ages_K)[:, None, None, :]
    return average_CBGK.flatten(2)[:, :, :num_frames].transpose(0, 1)


def mel_gabor_parameters() -> tuple[Tensor, Tensor]:
    """Match Gabor filters to the roots of mel filters: centres (radians per sample) and sigmas (samples), shape (C,).

    The centre is the peak's bin; sigma gives the Gaussian the root's width at half maximum, counted in bins.
    """
    roots_CF = np.sqrt(mel_filters(NUM_FILTERS, LOWEST_HZ, HIGHEST_HZ).T)
    width_C = (roots_CF >= roots_CF.max(axis=1, keepdims=True) / 2).sum(axis=1)
    mu_C = roots_CF.argmax(axis=1) * (2 * math.pi / FFT_SIZE)
    sigma_C = HALF_MAXIMUM * FFT_SIZE / (math.pi * width_C)
    return torch.tensor(mu_C, dtype=torch.float32), torch.tensor(sigma_C, dtype=torch.float32)


def _pooled_energies(blocks_NP: Tensor, mask_NV: Tensor, response_CP: Tensor, pool_CDJ: Tensor, step: int) -> Tensor:
    """Filter blocks and weight each hop of the energies with each part of the pooling window.

    Returns float, shape (C, hops of all blocks, J).
    """
    # Every n-th sample of a signal has the spectrum of all, cut into n parts that are averaged.
    parts = zip(torch.fft.fft(blocks_NP).chunk(step, dim=1), response_CP.chunk(step, dim=1), strict=True)
    folded_CNP = reduce(torch.add, [part_NP * part_CP[:, None] for part_NP, part_CP in parts])
    answer_CNP = torch.fft.ifft(folded_CNP)
    first = (KERNEL_SAMPLES - 1) // step
    answer_CNV2 = torch.view_as_real(answer_CNP[:, :, first : first + mask_NV.shape[1]])
    energy_CNV2 = answer_CNV2.square().mul_(mask_NV[:, :, None])
    # Real and imaginary parts stand side by side and meet in the product: one pass over memory less.
    both_CDJ = pool_CDJ.repeat_interleave(2, dim=1)
    return torch.bmm(energy_CNV2.view(len(response_CP), -1, both_CDJ.shape[1]), both_CDJ)


def _falling_powers(base_C: Tensor, size: int) -> Tensor:
    """Return, at row i and column j >= i, the base to the power j - i, else 0: shape (C, size, size)."""
    places = torch.arange(size, device=base_C.device)
    age = places[None, :] - places[:, None]
    return (base_C[:, None, None] ** age.clamp(min=0)) * (age >= 0)


def _wide(parameter: Tensor) -> torch.dtype:
    return torch.promote_types(parameter.dtype, torch.float32)

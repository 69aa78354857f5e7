"""More than two channels to one: their mean, with channels of opposite sign turned round so that none cancel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_CORRELATION = 0.5
"""Between two channels, without regard to sign: below it neither decides about the other's."""
MIN_SHARE = 1e-4
"""Of the loudest channel's energy (-40 dB): turning round a channel below it changes nothing that can be heard."""


class Downmix:
    """Mixes blocks of one recording. The signs follow from all that was heard up to the present block."""

    def __init__(self, num_channels: int) -> None:
        self._products = np.zeros((num_channels, num_channels))
        self.has_turned = False
        """Whether a channel of opposite sign was found."""

    def __call__(self, block: NDArray[np.floating]) -> NDArray[np.float32]:
        """Mix floats of shape (num_samples, num_channels) to float32 of shape (num_samples,)."""
        centred = block - block.mean(axis=0, dtype=block.dtype)
        self._products += centred.T @ centred
        signs = channel_signs(self._products)
        self.has_turned |= bool((signs < 0).any())
        return np.asarray(block @ signs.astype(block.dtype) / len(signs), dtype=np.float32)


def channel_signs(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sign of each channel that brings it in line with the channel before that it resembles most.

    Takes inner products of the channels, shape (num_channels, num_channels).
    """
    energies = products.diagonal()
    is_heard = energies > MIN_SHARE * energies.max(initial=0.0)
    scale = np.sqrt(np.where(is_heard, energies, np.inf))
    correlations = products / np.outer(scale, scale)
    signs = np.ones(len(products))
    for channel in range(1, len(products)):
        like = int(np.abs(correlations[channel, :channel]).argmax())
        if abs(correlations[channel, like]) >= MIN_CORRELATION:
            signs[channel] = np.copysign(signs[like], signs[like] * correlations[channel, like])
    return signs

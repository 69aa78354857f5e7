"""Keys of one modality beside values of the other: sequences of two lengths, position by position.

Shape letters: B utterances, P padded positions of a sequence, H hidden size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mmer_ray.models.bridge_tokens.config import KvAlign
from mmer_ray.models.wav2vec2 import frame_mask


class Stream(NamedTuple):
    """A modality's sequence; true positions come first."""

    hidden: Tensor
    """Float, shape (B, P, H), zeros in the padding."""
    mask: Tensor
    """Bool, shape (B, P): true positions."""

    @classmethod
    def of(cls, hidden_BPH: Tensor, mask_BP: Tensor) -> Stream:
        """Make a stream of a sequence whose padding holds anything finite."""
        return cls(hidden_BPH * mask_BP[:, :, None], mask_BP)

    @property
    def lengths(self) -> Tensor:
        """True positions, int64, shape (B,)."""
        return self.mask.sum(dim=1)


class Aligned(NamedTuple):
    """What an attention reads."""

    keys: Tensor
    """Float, shape (B, P, H)."""
    values: Tensor
    """Float, shape (B, P, H)."""
    mask: Tensor
    """Bool, shape (B, P): positions that may be read."""


def align(keys: Stream, values: Stream, kv_align: KvAlign) -> Aligned:
    """Bring values to the positions of keys of the other modality; see `BridgeTokensConfig.kv_align`.

    Each utterance is aligned by its own two lengths, so its batch has no part in it.
    """
    if kv_align == "classic":
        return Aligned(keys.hidden, keys.hidden, keys.mask)
    if kv_align == "interp":
        lengths_B = torch.maximum(keys.lengths, values.lengths)
        keys_BPH, values_BPH = (stretch(stream.hidden, stream.lengths, lengths_B) for stream in (keys, values))
        return Aligned(keys_BPH, values_BPH, frame_mask(lengths_B, keys_BPH.shape[1]))
    # Zero rows up to the longer length, keys masked by the true keys: no position behind the last key is ever read, so
    # values are cut or padded to the keys. Speech has some ten frames per token: as values, words fill the first frames
    # and zeros the others, and of the sound only as many frames as there are tokens are heard.
    missing = keys.hidden.shape[1] - values.hidden.shape[1]
    return Aligned(keys.hidden, functional.pad(values.hidden, (0, 0, 0, missing)), keys.mask)


def stretch(hidden_BPH: Tensor, lengths_B: Tensor, new_lengths_B: Tensor) -> Tensor:
    """Resample each sequence from its length to a new one, linearly; padded to the longest new length.

    Positions are the centres of equal parts, as in `torch.nn.functional.interpolate`.
    """
    num_positions = int(new_lengths_B.max())
    # In float64: in float32 a position that should be whole may fall just beside it.
    ratio_B1 = (lengths_B.double() / new_lengths_B.clamp(min=1))[:, None]
    centres_P = torch.arange(num_positions, device=hidden_BPH.device, dtype=torch.float64) + 0.5
    last_B1 = (lengths_B - 1).clamp(min=0)[:, None]
    places_BP = (centres_P * ratio_B1 - 0.5).clamp(min=0).minimum(last_B1)
    before_BP = places_BP.floor().long()
    after_BP = (before_BP + 1).minimum(last_B1)
    share_BP1 = (places_BP - before_BP)[:, :, None].to(hidden_BPH.dtype)
    rows_B1 = torch.arange(len(hidden_BPH), device=hidden_BPH.device)[:, None]
    return torch.lerp(hidden_BPH[rows_B1, before_BP], hidden_BPH[rows_B1, after_BP], share_BP1)

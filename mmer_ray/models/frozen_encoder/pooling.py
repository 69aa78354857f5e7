"""From frames of several layers to one vector per utterance.

Shape letters: B utterances, L layers, T padded frames, H hidden size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

VARIANCE_FLOOR = 1e-4
"""An utterance of one frame has no variance, and the root's slope at zero no bound."""


class LayerMix(nn.Module):
    """Scales each layer's channels to a like range and adds the layers by learned weights that sum to one.

    Weighted layers of a frozen encoder: Yang et al., "SUPERB", Interspeech 2021, section 3.
    """

    mean: Tensor
    """Float, shape (L, H): mean of each channel over the frames of the training set; of a fresh model 0."""
    deviation: Tensor
    """Float, shape (L, H): its standard deviation; of a fresh model 1."""

    def __init__(self, num_layers: int, hidden_size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_layers, hidden_size))
        self.register_buffer("deviation", torch.ones(num_layers, hidden_size))
        self.weight = nn.Parameter(torch.zeros(num_layers))

    def forward(self, states_BLTH: Tensor) -> Tensor:
        """Mix: float, shape (B, T, H)."""
        shares_L = self.weight.softmax(dim=0)
        # One product with the states, instead of one for the scale and one for the weight.
        scale_LH = shares_L[:, None] / self.deviation
        mixed_BTH = torch.einsum("blth,lh->bth", states_BLTH, scale_LH)
        return mixed_BTH - (self.mean * scale_LH).sum(dim=0)


class AttentiveStatistics(nn.Module):
    """Weighted mean and standard deviation over true frames (Okabe et al., Interspeech 2018, equations 1 to 6)."""

    def __init__(self, hidden_size: int, attention_size: int, *, with_deviation: bool = True) -> None:
        super().__init__()
        self.with_deviation = with_deviation
        self.score: nn.Sequential | None = None
        if attention_size:
            self.score = nn.Sequential(
                nn.Linear(hidden_size, attention_size), nn.Tanh(), nn.Linear(attention_size, 1, bias=False)
            )

    def forward(self, hidden_BTH: Tensor, mask_BT: Tensor) -> Tensor:
        """Pool: float, shape (B, 2H), or (B, H) without deviations. Every utterance has at least one true frame."""
        scores_BT = hidden_BTH.new_zeros(mask_BT.shape) if self.score is None else self.score(hidden_BTH).squeeze(2)
        weight_BT1 = scores_BT.float().masked_fill(~mask_BT, -torch.inf).softmax(dim=1)[:, :, None]
        wide_BTH = hidden_BTH.float()
        mean_BH = (weight_BT1 * wide_BTH).sum(dim=1)
        if not self.with_deviation:
            return mean_BH.to(hidden_BTH.dtype)
        variance_BH = (weight_BT1 * (wide_BTH - mean_BH[:, None]).square()).sum(dim=1)
        return torch.cat([mean_BH, (variance_BH + VARIANCE_FLOOR).sqrt()], dim=1).to(hidden_BTH.dtype)

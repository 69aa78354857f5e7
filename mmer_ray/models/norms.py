"""Norms that more than one family uses.

Shape letters: B utterances, D size of a vector.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class EmbeddingNorm(nn.BatchNorm1d):
    """Batch normalisation that trains on a single utterance too: one value has no variance, so what is known serves."""

    def forward(self, embedding_BD: Tensor) -> Tensor:
        """Normalise: float, shape (B, D), in and out."""
        if len(embedding_BD) > 1:
            return super().forward(embedding_BD)
        return functional.batch_norm(
            embedding_BD, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )

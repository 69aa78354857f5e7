"""The transcriber's loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mmer_ray.models.ctc.vocabulary import BLANK


def ctc_loss(logits_BTV: Tensor, num_frames_B: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
    """Average the connectionist temporal loss per target symbol over the batch; a float32 scalar.

    Takes logits, float, shape (B, T, V), true frame counts, int64, shape (B,), and each utterance's symbols. A target
    too long for its frames counts as zero rather than infinity.
    """
    log_p_TBV = torch.log_softmax(logits_BTV.float(), dim=-1).transpose(0, 1)
    flat = torch.tensor([symbol for target in targets for symbol in target], dtype=torch.int64)
    lengths_B = torch.tensor([len(target) for target in targets], dtype=torch.int64)
    return functional.ctc_loss(
        log_p_TBV, flat, num_frames_B, lengths_B, blank=BLANK, reduction="mean", zero_infinity=True
    )

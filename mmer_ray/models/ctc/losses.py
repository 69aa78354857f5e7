"""Connectionist temporal classification (Graves et al., ICML 2006).

Shape letters: B utterances, T padded frames, V symbols, L padded target symbols.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mmer_ray.models.ctc.vocabulary import BLANK
from mmer_ray.models.interface import EmotionOutput, Targets

TARGET_PADDING = -100


def ctc_loss(logits_BTV: Tensor, num_frames_B: Tensor, targets_BL: Tensor) -> Tensor:
    """Loss of each utterance, float32 or wider, shape (B,); 0 where the target does not fit into the frames.

    Takes logits, float, shape (B, T, V), true frame counts, int64, shape (B,), and symbols, int64, shape (B, L),
    padded with `TARGET_PADDING`. The published MMER sums over the batch.
    """
    wide = torch.promote_types(logits_BTV.dtype, torch.float32)
    log_p_TBV = functional.log_softmax(logits_BTV.to(wide), dim=2).transpose(0, 1)
    target_mask_BL = targets_BL >= 0
    return functional.ctc_loss(
        log_p_TBV,
        targets_BL[target_mask_BL],
        num_frames_B,
        target_mask_BL.sum(dim=1),
        blank=BLANK,
        reduction="none",
        # Published: False. A target that is too long then gives inf and, one step later, NaN weights.
        zero_infinity=True,
    )


def transcript_costs(output: EmotionOutput, targets: Targets) -> Tensor | None:
    """`ctc_loss` of a model's output, or what was computed of it before; None where no transcript is known or the
    model has no CTC head."""
    if output.ctc_costs is not None or targets.ctc is None or output.ctc_logits is None:
        return output.ctc_costs
    assert output.num_frames is not None
    return ctc_loss(output.ctc_logits, output.num_frames, targets.ctc)


def mean_ctc_loss(logits_BTV: Tensor, num_frames_B: Tensor, targets_BL: Tensor) -> Tensor:
    """Loss per target symbol, averaged over utterances: a scalar, whatever the lengths. Takes what `ctc_loss` does."""
    num_symbols_B = (targets_BL >= 0).sum(dim=1).clamp(min=1)
    return (ctc_loss(logits_BTV, num_frames_B, targets_BL) / num_symbols_B).mean()


def pad_targets(targets: Sequence[Sequence[int]]) -> Tensor:
    """Stack each utterance's symbols: int64, shape (B, L), padded with `TARGET_PADDING`."""
    rows = [torch.tensor(target, dtype=torch.int64) for target in targets]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=TARGET_PADDING)

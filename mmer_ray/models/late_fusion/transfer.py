"""Transfer from speaker recognition: whose weights the speech branch starts from, and which of them may move."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

from torch import nn

from mmer_ray.errors import UsageError
from mmer_ray.models.late_fusion.model import LateFusionModel
from mmer_ray.models.speaker.model import SpeakerModel

Mode = Literal["scratch", "frozen", "last-stage", "full"]
"""How much of the trunk learns: all of it, from fresh weights; nothing; its last stage and projection; all of it."""
MODES: tuple[Mode, ...] = get_args(Mode)
HEAD_RATE = 1e-4
TRUNK_RATE = 1e-5
"""A trunk that was trained before is moved ten times slower than a fresh head."""
TEXT_RATE = 2e-5
"""The usual rate for fine-tuning BERT (Devlin et al. 2019, appendix A.3)."""


def copy_trunk(speaker: SpeakerModel, model: LateFusionModel) -> None:
    """Start the speech branch from a trained speaker network. Raises `UsageError` where the two do not fit."""
    ours, theirs = model.speech.state_dict(), speaker.state_dict()
    wrong = [name for name in ours if name not in theirs or ours[name].shape != theirs[name].shape]
    wrong += [name for name in theirs if name not in ours]
    if wrong or speaker.config != model.speech.config:
        raise UsageError(
            f"the speaker network does not fit the speech branch ({len(wrong)} weights differ, first {wrong[:3]}): "
            f"it is {speaker.config}, the branch is {model.speech.config}"
        )
    model.speech.load_state_dict(theirs)


def parameter_groups(
    model: LateFusionModel, mode: Mode, *, head_rate: float = HEAD_RATE, trunk_rate: float = TRUNK_RATE
) -> list[dict[str, Any]]:
    """Freeze what the mode keeps and return an optimiser's groups (`name`, `params`, `lr`) over what it trains.

    Frozen parameters get `requires_grad` False, and their norms keep their statistics in training mode too. Raises
    `UsageError` for an unknown mode.
    """
    if mode not in MODES:
        raise UsageError(f"there is no transfer mode {mode!r}; modes: {', '.join(MODES)}")
    model.speech.requires_grad_(mode in {"scratch", "full"})
    if mode == "last-stage":
        for module in (*model.speech.last_stage, model.speech.projection):
            module.requires_grad_(True)
    # The mode decides anew which norms are fixed.
    model.train(model.training)
    groups = [
        _group("speech_head", model.speech_head, head_rate),
        _group("speech", model.speech, head_rate if mode == "scratch" else trunk_rate),
    ]
    if model.text is not None:
        groups += [_group(name, getattr(model, name), TEXT_RATE) for name in ("text", "pooler", "text_head")]
    return [group for group in groups if group["params"]]


def _group(name: str, module: nn.Module, rate: float) -> dict[str, Any]:
    return {"name": name, "params": _trainable(module.parameters()), "lr": rate}


def _trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [parameter for parameter in parameters if parameter.requires_grad]

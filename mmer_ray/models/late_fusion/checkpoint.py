"""Our checkpoint folder (`config.json`, `model.safetensors`, tokenizer) and the weights of a published BERT."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedModel

from mmer_ray.errors import UsageError
from mmer_ray.models import checkpoints
from mmer_ray.models.interface import LoadedModel
from mmer_ray.models.late_fusion.config import LateFusionConfig
from mmer_ray.models.late_fusion.model import LateFusionModel

PUBLISHED_POOLER = "pooler.dense."
"""What BERT calls our `pooler`; it belongs to the encoder there."""


save = checkpoints.save_model


def load(folder: Path) -> LoadedModel:
    """Read a checkpoint folder: float32, evaluation mode."""
    return checkpoints.load_model(folder, LateFusionModel, LateFusionConfig)


def copy_bert(encoder: PreTrainedModel, model: LateFusionModel) -> None:
    """Start the text branch from a published BERT (`encoders.load_text_encoder`), its pooler included.

    Raises `UsageError` where the two do not fit, or where the model has no text branch.
    """
    if model.text is None:
        raise UsageError("this late_fusion has no text branch (config.text is null): there is nothing to copy into")
    theirs = encoder.state_dict()
    ours = {f"text.{name}": value for name, value in model.text.state_dict().items()}
    ours |= {f"pooler.{name}": value for name, value in model.pooler.state_dict().items()}
    table = {_our_name(name): value for name, value in theirs.items()}
    wrong = [name for name in ours if name not in table or table[name].shape != ours[name].shape]
    wrong += [name for name in table if name not in ours]
    if wrong:
        raise UsageError(f"the encoder does not fit the text branch: {len(wrong)} weights differ, first {wrong[:3]}")
    model.load_state_dict(table, strict=False)


def _our_name(published: str) -> str:
    if published.startswith(PUBLISHED_POOLER):
        return f"pooler.{published.removeprefix(PUBLISHED_POOLER)}"
    return f"text.{published}"

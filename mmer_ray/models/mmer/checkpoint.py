"""Our checkpoint folder (`config.json`, `model.safetensors`, `tokenizer.json`) and the published keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mmer_ray.errors import PreflightError
from mmer_ray.models import folders
from mmer_ray.models.interface import LoadedModel
from mmer_ray.models.mmer.config import MmerConfig
from mmer_ray.models.mmer.model import MmerModel

_BLOCKS = {
    "self_attention_v2": "text_reads_itself",
    "txt2img_attention": "text_asks_audio",
    "img2txt_attention": "audio_asks_text",
    "txt2txt_attention": "text_asks_answer",
}
_BLOCK_PARTS = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attention_out",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "expand",
    "output.dense": "contract",
    "output.LayerNorm": "out_norm",
}
PUBLISHED_PREFIXES = {
    **{
        f"model_mmi.{block}.layer.0.{part}.": f"{our_block}.{our_part}."
        for block, our_block in _BLOCKS.items()
        for part, our_part in _BLOCK_PARTS.items()
    },
    "model_mmi.wav2vec2.": "audio.",
    "model_mmi.vismap2text.": "audio_to_source.",
    "model_mmi.vismap2text_v2.": "audio_to_query.",
    "model_mmi.gate.": "gate.",
    "model_mmi.downsample_final.": "fused_to_hidden.",
    "model_mmi.classifier.linear3.": "classifier.",
    "model_mmi.ctc_linear.": "ctc_head.",
    "model_mmi.weights": "layer_weights",
    "orgin_linear_change.": "contrast_clean.",
    "augment_linear_change.": "contrast_augmented.",
}
# The weight norm of the positional convolution: the spelling of torch before 2.1 to today's.
_OLD_WEIGHT_NORM = {
    "conv.weight_g": "conv.parametrizations.weight.original0",
    "conv.weight_v": "conv.parametrizations.weight.original1",
}


save = folders.save_model


def load(folder: Path) -> LoadedModel:
    """Read a checkpoint folder: float32, evaluation mode."""
    return folders.load_model(folder, MmerModel, MmerConfig)


def our_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate a published state dict."""
    return {our_name(name): value for name, value in published.items()}


def our_name(published: str) -> str:
    """Translate one key of a published checkpoint."""
    bare = published.removeprefix("module.")
    prefix = next((prefix for prefix in PUBLISHED_PREFIXES if bare.startswith(prefix)), None)
    if prefix is None:
        raise PreflightError(f"{published!r} is no key of a published MMER checkpoint")
    name = PUBLISHED_PREFIXES[prefix] + bare.removeprefix(prefix)
    for old, new in _OLD_WEIGHT_NORM.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name

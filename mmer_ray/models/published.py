"""Published MMER checkpoints, either version, made into folders of ours.

The files hold tensors under the authors' names, neither sizes nor the text encoder. Sizes follow from the tensors'
shapes, but for the number of attention heads; strides are those of wav2vec2. The text encoder is added from a folder
or the hub; without one the model takes text features computed beforehand.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mmer_ray.errors import UsageError
from mmer_ray.models import folders
from mmer_ray.models.ctc.vocabulary import SYMBOLS
from mmer_ray.models.encoders import load_text_encoder, load_tokenizer, text_sizes, without_pooler
from mmer_ray.models.layout import CARD_NAME
from mmer_ray.models.library import PreTrainedModel, PreTrainedTokenizerBase
from mmer_ray.models.mmer import checkpoint as mmer
from mmer_ray.models.mmer.config import LABELS, MmerConfig
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.models.mmer_v1 import checkpoint as mmer_v1
from mmer_ray.models.mmer_v1.config import MmerV1Config
from mmer_ray.models.mmer_v1.model import MmerV1Model
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.models.tensors import fill

SAFETENSORS_SUFFIX = ".safetensors"
FINAL_PREFIX = "model_mmi."
HEAD_WIDTH = 64
"""Of wav2vec2-base and of the published fusion blocks."""
FIRST_STRIDE, OTHER_STRIDE = 5, 2
"""Of wav2vec2's convolutions."""


@dataclass(frozen=True)
class Imported:
    """A published checkpoint as a model of ours, in evaluation mode."""

    model: MmerModel | MmerV1Model
    tokenizer: PreTrainedTokenizerBase | None
    num_tensors: int
    """Tensors in the file."""
    file_digest: str
    """SHA-256 of the file, 64 hex digits."""


def import_published(file: Path, text: ResolvedModel | None = None, num_heads: int | None = None) -> Imported:
    """Read a checkpoint of either version, keys with or without `module.`, weight norm in either spelling.

    `num_heads`: of the backbone and the fusion blocks; by default as many as are 64 wide. Raises `UsageError` for a
    file that is none.
    """
    table = {name.removeprefix("module."): value for name, value in read_foreign(file).items()}
    is_final = any(name.startswith(FINAL_PREFIX) for name in table)
    bare = {name.removeprefix(FINAL_PREFIX): value for name, value in table.items()}
    if "gate.weight" not in bare or "ctc_linear.weight" not in bare:
        raise UsageError(f"{file} holds no MMER: keys of its fusion are missing (the audio-only baselines have none)")
    sizes = _sizes(file, bare, num_heads)
    encoder, tokenizer = (None, None) if text is None else (load_text_encoder(text.path), load_tokenizer(text.path))
    if encoder is not None:
        sizes["text"] = _text_sizes(encoder, sizes["audio"]["hidden_size"])
    model: MmerModel | MmerV1Model
    if is_final:
        model, weights = MmerModel(MmerConfig(**sizes)), mmer.our_weights(table)
    else:
        model, weights = MmerV1Model(MmerV1Config(**sizes)), mmer_v1.our_weights(table)
    if encoder is not None:
        weights |= {f"text.{name}": value for name, value in without_pooler(encoder).items()}
    fill(model, weights, file)
    return Imported(model.eval(), tokenizer, len(table), hashlib.sha256(file.read_bytes()).hexdigest())


def read_foreign(file: Path) -> dict[str, Tensor]:
    """Read somebody else's state dict, bare or as `{"state_dict": ...}`; nothing in the file is executed.

    Raises `UsageError` for a file that is none, or that holds anything but tensors.
    """
    try:
        if file.suffix == SAFETENSORS_SUFFIX:
            return dict(load_file(file))
        table = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, ValueError, RuntimeError, EOFError, SafetensorError, pickle.UnpicklingError) as exc:
        reason = str(exc).splitlines()[0][:200] if str(exc) else type(exc).__name__
        raise UsageError(f"{file} is no file of tensors alone ({reason}); give a .pt or .safetensors") from exc
    table = table.get("state_dict", table) if isinstance(table, dict) else table
    if not isinstance(table, dict) or not all(isinstance(value, Tensor) for value in table.values()):
        raise UsageError(f"{file} holds no state dict; give the file that the training wrote with torch.save")
    return table


def write_import(folder: Path, imported: Imported, file: Path, text: ResolvedModel | None) -> None:
    """Write the folder: configuration, safetensors, tokenizer, and a card that says where all of it came from."""
    model = imported.model
    folders.save_model(folder, model, imported.tokenizer, torch.float32)
    (folder / CARD_NAME).write_text(_card(imported, file, text), encoding="utf-8")


def _sizes(file: Path, bare: Mapping[str, Tensor], num_heads: int | None) -> dict[str, Any]:
    """Arguments of a configuration, read off the shapes."""
    hidden_size = bare["gate.weight"].shape[0]
    heads = num_heads or hidden_size // HEAD_WIDTH
    if not heads or hidden_size % heads:
        raise UsageError(f"{file}: a width of {hidden_size} does not split into heads of {HEAD_WIDTH}; give --heads")
    num_labels, num_symbols = _classifier(bare).shape[0], bare["ctc_linear.weight"].shape[0]
    return {
        "audio": _audio_sizes(bare, hidden_size, heads),
        "text": None,
        "num_heads": heads,
        "intermediate_size": bare["txt2img_attention.layer.0.intermediate.dense.weight"].shape[0],
        "labels": LABELS if num_labels == len(LABELS) else tuple(f"class_{index}" for index in range(num_labels)),
        "ctc_symbols": SYMBOLS if num_symbols == len(SYMBOLS) else tuple(f"<{index}>" for index in range(num_symbols)),
    }


def _classifier(bare: Mapping[str, Tensor]) -> Tensor:
    return bare["classifier.linear3.weight"] if "classifier.linear3.weight" in bare else bare["classifier.weight"]


def _audio_sizes(bare: Mapping[str, Tensor], hidden_size: int, num_heads: int) -> dict[str, Any]:
    convolutions: list[Tensor] = []
    while (weight := bare.get(f"wav2vec2.feature_extractor.conv_layers.{len(convolutions)}.conv.weight")) is not None:
        convolutions.append(weight)
    layers = {name.split(".")[3] for name in bare if name.startswith("wav2vec2.encoder.layers.")}
    position = "wav2vec2.encoder.pos_conv_embed.conv"
    kernel = bare.get(f"{position}.weight_v", bare.get(f"{position}.parametrizations.weight.original1"))
    assert kernel is not None, "a backbone without a positional convolution"
    return {
        "hidden_size": hidden_size,
        "num_hidden_layers": len(layers),
        "num_attention_heads": num_heads,
        "intermediate_size": bare["wav2vec2.encoder.layers.0.feed_forward.intermediate_dense.weight"].shape[0],
        "conv_dim": [weight.shape[0] for weight in convolutions],
        "conv_kernel": [weight.shape[2] for weight in convolutions],
        "conv_stride": [FIRST_STRIDE] + [OTHER_STRIDE] * (len(convolutions) - 1),
        "num_conv_pos_embeddings": kernel.shape[2],
        "num_conv_pos_embedding_groups": hidden_size // kernel.shape[1],
        "apply_spec_augment": False,
    }


def _text_sizes(encoder: PreTrainedModel, hidden_size: int) -> dict[str, Any]:
    if encoder.config.hidden_size != hidden_size:
        wanted = f"this checkpoint was trained with features of width {hidden_size}"
        raise UsageError(f"the text encoder has width {encoder.config.hidden_size}; {wanted} (roberta-base)")
    return text_sizes(encoder)


def _card(imported: Imported, file: Path, text: ResolvedModel | None) -> str:
    model = imported.model
    origin = "none: text features must be given" if text is None else f"`{text.ref}`, digest `{text.digest}`"
    return f"""# {model.family}, imported

- Made from `{file.name}`, SHA-256 `{imported.file_digest}`, {imported.num_tensors} tensors.
- Text encoder: {origin}.
- Classes, in the order of the logits: {", ".join(model.labels)} (happy includes excited).
- Answers do not depend on padding; the published, unmasked behaviour is `"masked": false` in `config.json`.
- The authors select their epoch on the test session, and their code's "wa" is the mean of recalls (usually UA), its
  "ua" the accuracy (usually WA): compare figures by definition, not by name.
- Trained on acted and improvised English of ten speakers (IEMOCAP); nothing was measured here.
"""

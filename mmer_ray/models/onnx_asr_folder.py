"""A folder that `onnx-asr` can read: which architecture it holds and in which files. Neither it nor torch is imported.

Names of files and defaults are those of onnx-asr 0.12 (`onnx_asr/models/nemo.py`, `gigaam.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmer_ray.errors import PreflightError
from mmer_ray.models.emotion_checkpoints import read_json_config
from mmer_ray.models.layout import CONFIG_NAME

FEATURE_S = 0.01
"""A frame of features."""
QUANTIZATIONS = (None, "int8")
"""Full precision, where a folder has both."""


@dataclass(frozen=True)
class Architecture:
    """One of those that give the times of their tokens."""

    networks: tuple[str, ...]
    """Names of its files, less `.onnx` or `.int8.onnx`."""
    subsampling: int
    """Frames of features to a frame of the encoder, unless the configuration says otherwise."""


ARCHITECTURES: Mapping[str, Architecture] = {
    "nemo-conformer-ctc": Architecture(("model",), 8),
    "nemo-conformer-rnnt": Architecture(("encoder-model", "decoder_joint-model"), 8),
    "nemo-conformer-tdt": Architecture(("encoder-model", "decoder_joint-model"), 8),
    "gigaam-v2-ctc": Architecture(("v2_ctc",), 4),
    "gigaam-v3-ctc": Architecture(("v3_ctc",), 4),
    "gigaam-v3-e2e-ctc": Architecture(("v3_e2e_ctc",), 4),
}
"""`model_type` of `config.json` -> architecture. Attention decoders (Canary, Whisper) give no times."""


@dataclass(frozen=True)
class OnnxAsrFolder:
    """What a folder holds."""

    path: Path
    model_type: str
    quantization: str | None
    frame_s: float
    """A frame of the encoder: what the times of tokens count in."""


def read_folder(folder: Path) -> OnnxAsrFolder:
    """Say what a folder holds. Raises `PreflightError` where that is nothing that can be read, with what is missing."""
    config = read_json_config(folder)
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        raise PreflightError(
            f"{folder / CONFIG_NAME} has model_type {model_type!r}; those that give times of words: "
            f"{', '.join(ARCHITECTURES)}"
        )
    architecture = ARCHITECTURES[model_type]
    lacking = {
        one: [name for name in _files(architecture, one) if not (folder / name).is_file()] for one in QUANTIZATIONS
    }
    whole = [one for one, names in lacking.items() if not names]
    if not whole:
        raise PreflightError(
            f"the {model_type} in {folder} has no {', no '.join(lacking[None])}: copy the model again, whole"
        )
    subsampling = config.get("subsampling_factor", architecture.subsampling)
    return OnnxAsrFolder(folder, model_type, whole[0], FEATURE_S * subsampling)


def _files(architecture: Architecture, quantization: str | None) -> list[str]:
    suffix = "" if quantization is None else f".{quantization}"
    return [f"{name}{suffix}.onnx" for name in architecture.networks]

"""From the published pickle of segmentation-3.0 to a folder of ours: the one file that knows pyannote's names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mmer_ray.errors import PreflightError
from mmer_ray.models.pickles import read_pickle
from mmer_ray.models.segmentation import checkpoint
from mmer_ray.models.segmentation.config import SegmentationConfig
from mmer_ray.models.segmentation.model import SegmentationModel
from mmer_ray.models.tensors import fill

RENAMED = {
    "sincnet.wav_norm1d.": "waveform_norm.",
    "sincnet.conv1d.0.filterbank.low_hz_": "filters.low_hz",
    "sincnet.conv1d.0.filterbank.band_hz_": "filters.band_hz",
    "sincnet.conv1d.1.": "convs.0.",
    "sincnet.conv1d.2.": "convs.1.",
    "sincnet.norm1d.": "norms.",
    "lstm.": "lstm.",
    "linear.": "hidden.",
    "classifier.": "classifier.",
}
"""Beginning of a tensor's name there -> here."""
COMPUTED = ("sincnet.conv1d.0.filterbank.window_", "sincnet.conv1d.0.filterbank.n_")
"""Stored there, computed here."""


def convert(source: Path, folder: Path) -> None:
    """Read a pickle of tensors (`state_dict` at its top, or the tensors alone) and write a model's folder.

    Raises `PreflightError` where the file is not plain or its tensors are not those of segmentation-3.0.
    """
    table = read_pickle(source)
    model = SegmentationModel(SegmentationConfig())
    fill(model, renamed(table.get("state_dict", table), source), source)
    checkpoint.save(model, folder)


def renamed(tensors: Mapping[str, Any], source: Path) -> dict[str, Tensor]:
    """Give tensors our names. Raises `PreflightError` for one that is not known."""
    ours: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name in COMPUTED:
            continue
        prefix = next((prefix for prefix in RENAMED if name.startswith(prefix)), None)
        if prefix is None:
            raise PreflightError(f"{source} is not segmentation-3.0: it has a tensor {name!r}")
        ours[RENAMED[prefix] + name.removeprefix(prefix)] = value
    return ours

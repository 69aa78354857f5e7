"""From the published pickle of CAM++ to a folder of ours: the one file that knows its foreign names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mmer_ray.errors import PreflightError
from mmer_ray.models.campplus import checkpoint
from mmer_ray.models.campplus.config import CampplusConfig
from mmer_ray.models.campplus.model import CampplusModel
from mmer_ray.models.pickles import read_pickle
from mmer_ray.models.tensors import fill

NAMES = {
    r"head\.conv1": "head.stem",
    r"head\.bn1": "head.stem_norm",
    r"head\.conv2": "head.last",
    r"head\.bn2": "head.last_norm",
    r"xvector\.tdnn\.linear": "tdnn",
    r"xvector\.tdnn\.nonlinear\.batchnorm": "tdnn_norm",
    r"xvector\.out_nonlinear\.batchnorm": "output_norm",
    r"xvector\.dense\.linear": "projection",
    r"xvector\.dense\.nonlinear\.batchnorm": "projection_norm",
}
BLOCK = re.compile(r"head\.layer(\d)\.(\d)\.(conv1|bn1|conv2|bn2|shortcut\.0|shortcut\.1)")
BLOCK_PARTS = {
    "conv1": "first",
    "bn1": "first_norm",
    "conv2": "second",
    "bn2": "second_norm",
    "shortcut.0": "around",
    "shortcut.1": "around_norm",
}
LAYER = re.compile(r"xvector\.block(\d)\.tdnnd(\d+)\.(.+)")
LAYER_PARTS = {
    "nonlinear1.batchnorm": "input_norm",
    "linear1": "reduce",
    "nonlinear2.batchnorm": "inner_norm",
    "cam_layer.linear_local": "local",
    "cam_layer.linear1": "context_in",
    "cam_layer.linear2": "context_out",
}
TRANSITION = re.compile(r"xvector\.transit(\d)\.(nonlinear\.batchnorm|linear)")
TRANSITION_PARTS = {"nonlinear.batchnorm": "norm", "linear": "linear"}
BLOCKS_PER_STAGE = 2


def convert(source: Path, folder: Path) -> None:
    """Read a pickle of tensors and write a model's folder.

    Raises `PreflightError` where the file is not plain or its tensors are not those of CAM++.
    """
    model = CampplusModel(CampplusConfig())
    fill(model, renamed(read_pickle(source), source), source)
    checkpoint.save(model, folder)


def renamed(tensors: Mapping[str, Any], source: Path) -> dict[str, Tensor]:
    """Give tensors our names. Raises `PreflightError` for one that is not known."""
    ours: dict[str, Tensor] = {}
    for name, value in tensors.items():
        module, _, tensor = name.rpartition(".")
        our_module = _module(module)
        if our_module is None:
            raise PreflightError(f"{source} is not CAM++: it has a tensor {name!r}")
        ours[f"{our_module}.{tensor}"] = value
    return ours


def _module(name: str) -> str | None:
    """Our name of a module, None where it is not known."""
    for pattern, ours in NAMES.items():
        if re.fullmatch(pattern, name):
            return ours
    if found := BLOCK.fullmatch(name):
        index = (int(found[1]) - 1) * BLOCKS_PER_STAGE + int(found[2])
        return f"head.blocks.{index}.{BLOCK_PARTS[found[3]]}"
    if (found := LAYER.fullmatch(name)) and found[3] in LAYER_PARTS:
        return f"stages.{int(found[1]) - 1}.{int(found[2]) - 1}.{LAYER_PARTS[found[3]]}"
    if found := TRANSITION.fullmatch(name):
        return f"transitions.{int(found[1]) - 1}.{TRANSITION_PARTS[found[2]]}"
    return None

"""A tiny pipeline of pyannote.audio with random weights, saved as the library saves one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from mmer_ray.models import pyannote_pipeline as ours

CHUNK_S = 2.0
SIZE = 16


def make_pipeline(folder: Path, **params: Any) -> Path:
    """Write a pipeline folder; `params` change the configuration's."""
    from pyannote.audio.models.embedding.xvector import XVectorMFCC
    from pyannote.audio.models.segmentation.PyanNet import PyanNet

    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    segmentation = PyanNet(lstm={"hidden_size": 8, "num_layers": 1}, linear={"hidden_size": 8, "num_layers": 1})
    segmentation.specifications = ours.Specifications(
        problem=ours.Problem.MONO_LABEL_CLASSIFICATION,
        resolution=ours.Resolution.FRAME,
        duration=CHUNK_S,
        classes=["speaker#1", "speaker#2", "speaker#3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    segmentation.setup()
    with torch.no_grad():
        # So that a network without training hears somebody, and changes its mind.
        segmentation.classifier.weight *= 60
    embedding = XVectorMFCC(dimension=SIZE)
    embedding.specifications = ours.Specifications(
        problem=ours.Problem.REPRESENTATION, resolution=ours.Resolution.CHUNK, duration=CHUNK_S
    )
    for name, model in (("segmentation", segmentation), ("embedding", embedding)):
        save(model, folder / name / "pytorch_model.bin")
    (folder / "plda").mkdir()
    spread = np.linspace(2.0, 0.5, SIZE // 2)
    np.savez(
        folder / "plda" / "xvec_transform.npz",
        mean1=np.zeros(SIZE), mean2=np.zeros(SIZE // 2), lda=rng.standard_normal((SIZE, SIZE // 2)),
    )  # fmt: skip
    np.savez(folder / "plda" / "plda.npz", mu=np.zeros(SIZE // 2), tr=np.eye(SIZE // 2), psi=spread)
    parts = {name: f"$model/{name}" for name in ("segmentation", "embedding", "plda")}
    config = {
        "dependencies": {"pyannote.audio": "4.0.0"},
        "pipeline": {
            "name": ours.PIPELINES[0],
            "params": {
                **parts,
                "clustering": "VBxClustering",
                "embedding_exclude_overlap": True,
                "segmentation_step": 0.5,
                **params,
            },
        },
        "params": {"clustering": {"threshold": 0.3, "Fa": 0.07, "Fb": 0.8}, "segmentation": {"min_duration_off": 0.0}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def make_folder(path: str) -> None:
    """What a hostile pickle may ask for."""
    Path(path).mkdir()


def save(model: Any, file: Path, **more: Any) -> None:
    """Save a checkpoint with what the library's own has, in the same places."""
    checkpoint: dict[str, Any] = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        **more,
    }
    model.on_save_checkpoint(checkpoint)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, file)

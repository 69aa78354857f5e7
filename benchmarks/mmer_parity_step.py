"""Does one AdamW step of ours give the loss that the published code of MMER has after one step?

    python benchmarks/mmer_parity_step.py --parity DIR

DIR holds tensors that the published code computed from fixed weights and inputs (`golden.json`,
`state_dict.safetensors`, `inputs.safetensors`), two views of a few utterances, dropout off. The gradient comes from
`training.objective.backward` with the family's terms in official mode, the step from `torch.optim.AdamW` with the
published settings. It prints the losses and ends with exit code 1 where they differ by more than 1e-4 of the published
ones.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from mmer_ray.models.families import terms_of
from mmer_ray.models.interface import EmotionBatch, Targets
from mmer_ray.models.mmer.checkpoint import our_weights
from mmer_ray.models.mmer.config import MmerConfig
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.models.tensors import fill
from mmer_ray.training.batch import TrainingBatch
from mmer_ray.training.objective import backward

TOLERANCE = 1e-4
"""Relative: the published figures are sums in float32."""
PREFIXES = ("", "aug_")
"""What the names of the inputs begin with: of the clean view, of the augmented one."""


def main() -> None:
    """Step and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parity", type=Path, help="folder of the published code's tensors")
    folder = parser.parse_args().parity
    if folder is None:
        print("no tensors of the published code given (--parity FOLDER): nothing is measured")
        return
    torch.set_num_threads(1)
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    model, batch = build(golden, folder), batch_of(load_file(folder / "inputs.safetensors"))
    step = golden["total_after_one_adamw_step"]
    settings = {key: step[key] for key in ("lr", "eps", "weight_decay")}
    optimiser = torch.optim.AdamW(model.parameters(), betas=tuple(step["betas"]), **settings)
    before = backward(model, terms_of("mmer"), [batch])
    optimiser.step()
    after = backward(model, terms_of("mmer"), [batch])
    are_near = [
        report("before the step", before["loss"], golden["losses"]["loss/total_lambda0.1"]),
        report("after one step of AdamW", after["loss"], step["loss"]),
    ]
    raise SystemExit(not all(are_near))


def build(golden: dict[str, Any], folder: Path) -> MmerModel:
    """Our model with the published weights, padding as published, dropout off."""
    fusion = golden["fusion_config"]
    config = MmerConfig(
        audio=golden["wav2vec2_config"],
        text=None,
        num_heads=fusion["num_attention_heads"],
        intermediate_size=fusion["intermediate_size"],
        labels=tuple(golden["classes"]),
        ctc_symbols=tuple(golden["ctc"]["vocab"]),
        normalise=False,
        masked=False,
    )
    model, file = MmerModel(config), folder / "state_dict.safetensors"
    fill(model, our_weights(load_file(file)), file)
    return model.eval()


def batch_of(inputs: dict[str, torch.Tensor]) -> TrainingBatch:
    """The published inputs as a training batch."""
    views = tuple(
        EmotionBatch(
            samples=inputs[f"{prefix}audio"],
            num_samples=inputs[f"{prefix}audio_len"],
            text_mask=inputs[f"{prefix}text_mask"].bool(),
            text_features=inputs[f"{prefix}text"],
        )
        for prefix in PREFIXES
    )
    return TrainingBatch(views, Targets(inputs["label"], ctc=inputs["ctc_targets"]))


def report(when: str, ours: float, published: float) -> bool:
    """Print two losses; whether they are near."""
    difference = abs(ours - published) / abs(published)
    print(f"{when}: ours {ours:.6f}, published {published:.6f}, relative difference {difference:.1e}")
    return difference <= TOLERANCE


if __name__ == "__main__":
    main()

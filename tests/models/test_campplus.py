"""CAM++: its features, its embeddings, its checkpoint, and what it makes of the published one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmer_ray.errors import PreflightError
from mmer_ray.models.campplus import checkpoint
from mmer_ray.models.campplus.config import CampplusConfig
from mmer_ray.models.campplus.convert import convert
from mmer_ray.models.campplus.features import FRAMES_PER_RUN, filterbank
from mmer_ray.models.campplus.model import CampplusModel
from mmer_ray.records import SAMPLE_RATE_HZ

TINY = CampplusConfig(
    num_mels=16, head_channels=3, channels=8, stage_layers=(2, 1), stage_dilations=(1, 2), growth=4, bottleneck=6,
    context_frames=10, embedding_size=12,
)  # fmt: skip


def tiny() -> CampplusModel:
    torch.manual_seed(0)
    model = CampplusModel(TINY)
    model.train()
    # Running statistics of such input, so that embeddings differ where utterances do.
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
    model(torch.randn(4, 60, TINY.num_mels), torch.full((4,), 60))
    return model.eval()


def noise(seed: int, seconds: float) -> NDArray[np.float32]:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE_HZ), dtype=np.float32)
    return np.asarray(0.1 * samples, dtype=np.float32)


def test_an_embedding_is_the_same_alone_and_beside_longer_ones_whatever_the_padding_holds() -> None:
    model = tiny()
    features = torch.randn(3, 75, TINY.num_mels, generator=torch.Generator().manual_seed(1))
    lengths = [75, 33, 8]
    with torch.inference_mode():
        together = model(features, torch.tensor(lengths))
        for row, length in enumerate(lengths):
            alone = model(features[row : row + 1, :length], torch.tensor([length]))[0]
            assert torch.allclose(alone, together[row], atol=1e-5)
    assert torch.allclose(together.norm(dim=1), torch.ones(3), atol=1e-5)
    assert (together[0] - together[1]).abs().max() > 1e-2


def test_a_saved_model_loads_with_the_same_answers(tmp_path: Path) -> None:
    model = tiny()
    checkpoint.save(model, tmp_path)
    features = torch.randn(1, 40, TINY.num_mels)
    with torch.inference_mode():
        assert torch.equal(checkpoint.load(tmp_path)(features, torch.tensor([40])), model(features, torch.tensor([40])))


def published_names(model: CampplusModel) -> dict[str, Tensor]:
    """The tensors of a model as the published pickle names them."""
    parts = {
        "input_norm": "nonlinear1.batchnorm",
        "reduce": "linear1",
        "inner_norm": "nonlinear2.batchnorm",
        "local": "cam_layer.linear_local",
        "context_in": "cam_layer.linear1",
        "context_out": "cam_layer.linear2",
        "norm": "nonlinear.batchnorm",
        "linear": "linear",
        "first": "conv1",
        "first_norm": "bn1",
        "second": "conv2",
        "second_norm": "bn2",
        "around": "shortcut.0",
        "around_norm": "shortcut.1",
    }
    whole = {
        "head.stem": "head.conv1",
        "head.stem_norm": "head.bn1",
        "head.last": "head.conv2",
        "head.last_norm": "head.bn2",
        "tdnn": "xvector.tdnn.linear",
        "tdnn_norm": "xvector.tdnn.nonlinear.batchnorm",
        "output_norm": "xvector.out_nonlinear.batchnorm",
        "projection": "xvector.dense.linear",
        "projection_norm": "xvector.dense.nonlinear.batchnorm",
    }
    table: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        module, _, tensor = name.rpartition(".")
        where = module.split(".")
        if module in whole:
            theirs = whole[module]
        elif where[0] == "head":
            theirs = f"head.layer{1 + int(where[2]) // 2}.{int(where[2]) % 2}.{parts[where[3]]}"
        elif where[0] == "stages":
            theirs = f"xvector.block{1 + int(where[1])}.tdnnd{1 + int(where[2])}.{parts[where[3]]}"
        else:
            theirs = f"xvector.transit{1 + int(where[1])}.{parts[where[2]]}"
        table[f"{theirs}.{tensor}"] = value
    return table


def test_the_published_pickle_becomes_a_folder_with_the_same_answers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = CampplusModel(CampplusConfig()).eval()
    torch.save(published_names(model), tmp_path / "weights.pt")
    convert(tmp_path / "weights.pt", tmp_path / "folder")
    features = torch.randn(1, 50, 80)
    with torch.inference_mode():
        answers = [one(features, torch.tensor([50])) for one in (model, checkpoint.load(tmp_path / "folder"))]
    assert torch.equal(*answers)


def test_a_tensor_too_few_or_too_many_is_refused(tmp_path: Path) -> None:
    table = published_names(CampplusModel(CampplusConfig()))
    missing = dict(list(table.items())[1:])
    for wrong, message in ((missing, "does not fit: missing"), (table | {"head.extra": torch.zeros(1)}, "head.extra")):
        torch.save(wrong, tmp_path / "weights.pt")
        with pytest.raises(PreflightError, match=message):
            convert(tmp_path / "weights.pt", tmp_path / "folder")


def test_features_equal_kaldis() -> None:
    kaldi = pytest.importorskip("torchaudio.compliance.kaldi")
    samples = noise(1, 1.0)
    theirs = kaldi.fbank(torch.from_numpy(samples)[None], num_mel_bins=80, sample_frequency=16_000, dither=0).numpy()
    assert np.abs(filterbank(samples, 80) - theirs).max() < 1e-3


def test_a_frames_features_do_not_hang_on_where_the_runs_are_cut() -> None:
    samples = noise(2, FRAMES_PER_RUN / 100 + 1.0)
    late = filterbank(samples, 16)[FRAMES_PER_RUN - 5 : FRAMES_PER_RUN + 5]
    alone = filterbank(samples[(FRAMES_PER_RUN - 5) * 160 :], 16)[:10]
    assert np.abs(late - alone).max() < 1e-3
    assert filterbank(samples[:399], 16).shape == (0, 16)
    assert filterbank(samples[:400], 16).shape == (1, 16)

"""The segmentation model: its answers, its checkpoint, and what it makes of the published one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mmer_ray.errors import PreflightError
from mmer_ray.models.segmentation import checkpoint
from mmer_ray.models.segmentation.config import SegmentationConfig
from mmer_ray.models.segmentation.convert import RENAMED, convert
from mmer_ray.models.segmentation.model import SegmentationModel, speaker_sets
from mmer_ray.records import SAMPLE_RATE_HZ

TINY = SegmentationConfig(num_filters=8, conv_channels=6, lstm_size=5, lstm_layers=2, hidden_size=7)


def sound(seed: int, num_chunks: int = 1, seconds: float = 2.0) -> Tensor:
    return torch.randn(num_chunks, int(seconds * SAMPLE_RATE_HZ), generator=torch.Generator().manual_seed(seed))


def published_names(model: SegmentationModel) -> dict[str, Tensor]:
    """The tensors of a model as the published pickle names them."""
    table: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        theirs, ours = next(pair for pair in RENAMED.items() if name.startswith(pair[1]))
        table[theirs + name.removeprefix(ours)] = value
    return table


def test_every_frame_has_one_distribution_over_sets_of_speakers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    checkpoint.save(SegmentationModel(TINY), tmp_path)
    model = checkpoint.load(tmp_path)
    with torch.inference_mode():
        probabilities_BFK = model(sound(1, 2)).exp()
    num_frames = 1 + (2 * SAMPLE_RATE_HZ - TINY.receptive_samples) // TINY.frame_samples
    assert probabilities_BFK.shape == (2, num_frames, len(speaker_sets(3, 2)))
    assert torch.allclose(probabilities_BFK.sum(dim=2), torch.ones(2, num_frames), atol=1e-5)


def test_a_chunk_reads_the_same_alone_and_in_a_batch() -> None:
    torch.manual_seed(0)
    model = SegmentationModel(TINY).eval()
    chunks = torch.cat([sound(1), 100 * sound(2), torch.zeros(1, 2 * SAMPLE_RATE_HZ)])
    with torch.inference_mode():
        together = model(chunks)
        for index in range(3):
            assert torch.allclose(model(chunks[index : index + 1])[0], together[index], atol=1e-5)
    assert together.isfinite().all(), "silence has an answer too"


def test_loudness_does_not_matter() -> None:
    torch.manual_seed(0)
    model = SegmentationModel(TINY).eval()
    with torch.inference_mode():
        assert torch.allclose(model(sound(1)), model(0.1 * sound(1)), atol=1e-2)


def test_the_published_pickle_becomes_a_folder_with_the_same_answers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = SegmentationModel(SegmentationConfig()).eval()
    torch.save({"format_version": 1, "state_dict": published_names(model)}, tmp_path / "weights.pt")
    convert(tmp_path / "weights.pt", tmp_path / "folder")
    with torch.inference_mode():
        assert torch.equal(checkpoint.load(tmp_path / "folder")(sound(1)), model(sound(1)))


def test_a_pickle_without_the_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "model": nn.Linear(1, 1)}, tmp_path / "weights.pt")
    with pytest.raises(PreflightError, match="does not fit: missing"):
        convert(tmp_path / "weights.pt", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_another_models_pickle_is_refused_by_the_name_of_a_tensor(tmp_path: Path) -> None:
    torch.save({"encoder.weight": torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(PreflightError, match=r"not segmentation-3\.0: it has a tensor 'encoder\.weight'"):
        convert(tmp_path / "weights.pt", tmp_path / "folder")


@pytest.mark.skipif(find_spec("pyannote.audio") is None, reason="pyannote.audio, the reference, is not installed")
def test_answers_equal_those_of_pyannotes_network_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYANNOTE_METRICS_ENABLED", "false")
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(0)
    theirs = PyanNet(
        sincnet={"stride": 10}, lstm={"hidden_size": 128, "num_layers": 4, "bidirectional": True, "monolithic": True}
    )
    theirs.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        classes=["a", "b", "c"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    theirs.build()
    torch.save(theirs.state_dict(), tmp_path / "weights.pt")
    convert(tmp_path / "weights.pt", tmp_path / "folder")
    with torch.inference_mode():
        assert torch.allclose(
            checkpoint.load(tmp_path / "folder")(sound(1)), theirs.eval()(sound(1)[:, None]), atol=1e-5
        )

"""The character transcriber."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmer_ray.models import wav2vec2
from mmer_ray.models.ctc import checkpoint as ctc_checkpoint
from mmer_ray.models.ctc.config import SIZES, backbone_config
from mmer_ray.models.ctc.losses import ctc_loss, mean_ctc_loss, pad_targets
from mmer_ray.models.ctc.model import CtcModel, greedy_texts
from mmer_ray.models.ctc.vocabulary import SYMBOLS, collapse, to_symbols, to_text
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import resolve


@pytest.fixture(scope="module")
def model() -> CtcModel:
    torch.manual_seed(0)
    return CtcModel(SIZES["test"]).eval()


def speech(seed: int, num_samples: int) -> np.ndarray:
    return wav2vec2.normalise(np.random.default_rng(seed).standard_normal(num_samples, dtype=np.float32))


def test_logits_are_the_same_alone_and_in_any_batch(model: CtcModel) -> None:
    utterances = [speech(seed, length) for seed, length in enumerate((8_000, 48_000, 1_500))]
    with torch.inference_mode():
        logits_BTV, num_frames_B = model(*wav2vec2.pad_batch(utterances))
        for row, samples in enumerate(utterances):
            alone_1TV, _ = model(*wav2vec2.pad_batch([samples]))
            assert (logits_BTV[row, : num_frames_B[row]] - alone_1TV[0]).abs().max() < 1e-5


def test_speech_too_short_for_a_frame_is_heard_as_nothing(model: CtcModel) -> None:
    with torch.inference_mode():
        logits_BTV, num_frames_B = model(*wav2vec2.pad_batch([speech(1, 100)]))
    assert num_frames_B.tolist() == [0]
    assert greedy_texts(logits_BTV, num_frames_B) == [""]


def test_a_frame_of_the_embedded_size_is_twenty_milliseconds() -> None:
    assert wav2vec2.frame_stride_s(backbone_config(SIZES["tiny"])) == 0.02


def test_spelling_and_reading_are_inverse() -> None:
    text = "that's right it is forty two"
    assert len(SYMBOLS) == 32
    assert to_text(to_symbols(text)) == text


def test_repeats_merge_unless_a_blank_stands_between() -> None:
    assert collapse([0, 7, 7, 0, 7, 0, 0]) == [7, 7]


def test_the_loss_reaches_every_parameter_but_the_unused_mask(model: CtcModel) -> None:
    logits_BTV, num_frames_B = model(*wav2vec2.pad_batch([speech(1, 16_000), speech(2, 20_000)]))
    loss = mean_ctc_loss(logits_BTV, num_frames_B, pad_targets([to_symbols("yes"), to_symbols("no thanks")]))
    model.zero_grad()
    loss.backward()
    without = [name for name, one in model.named_parameters() if one.grad is None]
    assert without == ["backbone.masked_spec_embed"]


def test_a_target_too_long_for_its_frames_costs_nothing(model: CtcModel) -> None:
    logits_BTV, num_frames_B = model(*wav2vec2.pad_batch([speech(1, 1_000)]))
    assert ctc_loss(logits_BTV, num_frames_B, pad_targets([to_symbols("far too many letters")])).item() == 0


def test_a_model_survives_the_disk(model: CtcModel, tmp_path: Path) -> None:
    ctc_checkpoint.save(model, tmp_path / "a")
    again = ctc_checkpoint.load(tmp_path / "a")
    ctc_checkpoint.save(again, tmp_path / "b")
    assert resolve(ModelRef("ctc", str(tmp_path / "a"))).digest == resolve(ModelRef("ctc", str(tmp_path / "b"))).digest
    batch = wav2vec2.pad_batch([speech(1, 16_000)])
    with torch.inference_mode():
        assert greedy_texts(*again(*batch)) == greedy_texts(*ctc_checkpoint.load(tmp_path / "b")(*batch))

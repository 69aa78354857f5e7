"""Whisper's encoder as a speech backbone: from either library's weights, any layer, its counts of frames."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

from mmer_ray.errors import UsageError
from mmer_ray.models import speech_backbones
from mmer_ray.models.encoders import build_audio_encoder, load_audio_encoder
from mmer_ray.models.mmer.config import TINY as TINY_MMER
from mmer_ray.models.wav2vec2 import pad_batch
from mmer_ray.models.whisper_encoder import checkpoint
from mmer_ray.models.whisper_encoder.backbone import WhisperBackbone
from mmer_ray.models.whisper_encoder.config import WhisperEncoderConfig
from tests.models.whisper_maker import TINY, whisper_folder

SMALL = WhisperEncoderConfig(num_mels=80, hidden_size=32, num_layers=3, num_heads=4)


def speech(num_samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    tone = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 400) * np.arange(num_samples) / 16_000)
    return (tone + rng.normal(0, 0.03, num_samples)).astype(np.float32)


def library_whisper(seed: int = 0) -> WhisperModel:
    torch.manual_seed(seed)
    sizes = WhisperConfig(
        vocab_size=60,
        d_model=SMALL.hidden_size,
        encoder_layers=SMALL.num_layers,
        encoder_attention_heads=SMALL.num_heads,
        encoder_ffn_dim=4 * SMALL.hidden_size,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        init_std=0.2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    return WhisperModel(sizes).eval()


def test_frames_are_those_of_the_transformers_library(tmp_path: Path) -> None:
    theirs = library_whisper()
    theirs.save_pretrained(tmp_path)
    backbone = load_audio_encoder(tmp_path)
    assert isinstance(backbone, WhisperBackbone)
    assert (backbone.config, backbone.training) == (SMALL, False)
    # The library's encoder takes exactly half a minute.
    samples = speech(480_000)
    features = WhisperFeatureExtractor()(samples, sampling_rate=16_000, return_tensors="pt").input_features
    with torch.inference_mode():
        expected_BTH = theirs.encoder(features).last_hidden_state
        frames_BTH, num_frames_B = backbone.listen(*pad_batch([samples]))
    assert num_frames_B.tolist() == [1_500]
    torch.testing.assert_close(frames_BTH, expected_BTH, rtol=0, atol=2e-3)


def test_a_folder_of_ctranslate2_gives_the_encoder_that_it_holds(tmp_path: Path) -> None:
    folder = whisper_folder(tmp_path)
    backbone = load_audio_encoder(folder)
    batch = pad_batch([speech(16_000)])
    with torch.inference_mode():
        expected_BLTH, _ = checkpoint.load(folder)(*batch)
        frames_BTH, _ = speech_backbones.encode(backbone, *batch)
    assert backbone.config == TINY
    assert torch.equal(frames_BTH, expected_BLTH[:, -1])


@pytest.mark.parametrize("num_samples", [1, 399, 400, 479, 480, 481, 7_333, 480_000, 490_000])
def test_frames_are_counted_as_the_encoder_gives_them(num_samples: int) -> None:
    backbone = WhisperBackbone(SMALL, output_layer=1)
    with torch.inference_mode():
        frames_BTH, num_frames_B = speech_backbones.encode(backbone, *pad_batch([speech(num_samples)]))
    counted_B = speech_backbones.num_frames(backbone, torch.tensor([num_samples]))
    assert counted_B.tolist() == num_frames_B.tolist() == [frames_BTH.shape[1]]


def test_the_samples_are_taken_as_they_are_and_a_middle_layer_is_normalised() -> None:
    torch.manual_seed(0)
    backbone = WhisperBackbone(SMALL, output_layer=2).eval()
    samples_BS, num_samples_B = pad_batch([speech(16_000)])
    with torch.inference_mode():
        scaled, _ = speech_backbones.encode(backbone, samples_BS, num_samples_B, normalise=True)
        plain, _ = speech_backbones.encode(backbone, samples_BS, num_samples_B, normalise=False)
        states_BLTH, _ = backbone(samples_BS, num_samples_B)
    assert torch.equal(scaled, plain)
    layer_BTH = states_BLTH[:, 2]
    centred_BTH = layer_BTH - layer_BTH.mean(dim=2, keepdim=True)
    expected_BTH = centred_BTH / (layer_BTH.var(dim=2, unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(plain, expected_BTH, rtol=0, atol=1e-5)


def test_the_layers_above_the_one_that_is_read_are_kept_and_not_trained() -> None:
    backbone = WhisperBackbone(SMALL, output_layer=2)
    still = {name.split(".")[0] for name, one in backbone.named_parameters() if not one.requires_grad}
    assert still == {"layers", "norm"}
    assert backbone.state_dict().keys() == WhisperBackbone(SMALL).state_dict().keys()
    assert all(one.requires_grad for one in WhisperBackbone(SMALL).parameters())


@pytest.mark.parametrize("output_layer", [0, 4])
def test_a_layer_that_is_none_of_the_encoders_is_refused(output_layer: int) -> None:
    with pytest.raises(UsageError, match=rf"output_layer is {output_layer}; the encoder's layers are 1\.\.3"):
        WhisperBackbone(SMALL, output_layer)


def test_unknown_types_and_keys_are_named() -> None:
    with pytest.raises(UsageError, match="'conformer' is no encoder of ours"):
        build_audio_encoder({"model_type": "conformer"})
    with pytest.raises(UsageError, match="conv_dim"):
        build_audio_encoder({"model_type": "whisper", **asdict(SMALL), "conv_dim": [32]})


def test_there_is_no_unmasked_whisper() -> None:
    with pytest.raises(UsageError, match="unmasked"):
        speech_backbones.encode(WhisperBackbone(SMALL), *pad_batch([speech(4_000)]), masked=False)


def test_the_convolutions_of_either_backbone_are_found() -> None:
    for backbone in (WhisperBackbone(SMALL), build_audio_encoder(TINY_MMER.audio)):
        found = speech_backbones.convolutions(backbone)
        assert sum(one.numel() for part in found for one in part.parameters()) > 0
        assert set(map(id, found)) <= set(map(id, speech_backbones.embeddings(backbone)))

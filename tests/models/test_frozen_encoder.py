"""The head on a frozen encoder: its checkpoint, its pooling and its adaptation to speakers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mmer_ray.errors import PreflightError, UsageError
from mmer_ray.models.emotion_checkpoints import check_emotion_model
from mmer_ray.models.families import load_emotion_model, save_emotion_model
from mmer_ray.models.frozen_encoder.adaptation import centre_on_speakers
from mmer_ray.models.frozen_encoder.checkpoint import on_encoder
from mmer_ray.models.frozen_encoder.config import TINY
from mmer_ray.models.frozen_encoder.model import FrozenEncoderModel
from mmer_ray.models.frozen_encoder.pooling import AttentiveStatistics, LayerMix
from mmer_ray.models.interface import UNKNOWN_SPEAKER, Clip, collate
from mmer_ray.profiles import load_profile
from mmer_ray.stages.emotion import key_part
from tests.models.whisper_maker import whisper_folder

RATE_HZ = 16_000


def noise(seed: int, num_samples: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1 + 0.05 * seed, num_samples).astype(np.float32)


def adapting(seed: int = 0) -> FrozenEncoderModel:
    torch.manual_seed(seed)
    model = FrozenEncoderModel(replace(TINY, adapts_to_speaker=True)).eval()
    model.everybody.normal_()
    return model


def call() -> list[Clip]:
    """Two speakers in turn, utterances of many lengths, and one whose speaker nobody knows."""
    speakers = ["S1", "S2", "S1", "S1", "S2", None]
    lengths = [16_000, 7_000, 30_000, 9_999, 24_000, 12_345]
    return [
        Clip(noise(i, n), "", dialogue=0, speaker=who) for i, (n, who) in enumerate(zip(lengths, speakers, strict=True))
    ]


def logits(model: FrozenEncoderModel, clips: list[Clip], dialogue: list[int] | None = None) -> torch.Tensor:
    with torch.inference_mode():
        return model(collate(clips, None, [0] * len(clips) if dialogue is None else dialogue)).logits


def test_a_dialogue_gives_the_same_answers_in_any_order() -> None:
    model, clips = adapting(), call()
    order = [3, 5, 0, 4, 1, 2]
    shuffled = logits(model, [clips[index] for index in order])
    torch.testing.assert_close(shuffled, logits(model, clips)[order], rtol=0, atol=1e-5)


def test_an_answer_depends_on_the_speakers_other_utterances_and_on_nobody_elses() -> None:
    model, clips = adapting(), call()
    everything = logits(model, clips)
    without_last = logits(model, clips[:3] + clips[4:])
    kept = [1, 4, 5]
    torch.testing.assert_close(without_last[[1, 3, 4]], everything[kept], rtol=0, atol=1e-5)
    assert (without_last[0] - everything[0]).abs().max() > 1e-3


def test_dialogues_of_one_batch_do_not_hear_each_other() -> None:
    model, clips = adapting(), call()
    both = logits(model, clips[:3] + clips[3:], [0, 0, 0, 1, 1, 1])
    apart = torch.cat([logits(model, clips[:3]), logits(model, clips[3:])])
    torch.testing.assert_close(both, apart, rtol=0, atol=1e-5)


def test_a_speaker_with_one_utterance_is_measured_against_everybody() -> None:
    model, (first, *_) = adapting(), call()
    unknown = first._replace(speaker=None)
    with torch.inference_mode():
        no_dialogue = model(collate([first], None)).logits
    assert torch.equal(logits(model, [first]), no_dialogue)
    assert torch.equal(logits(model, [unknown]), no_dialogue)


def test_the_mean_over_a_speaker_leaves_the_utterance_itself_out() -> None:
    vectors_BD = torch.tensor([[1.0], [3.0], [8.0], [5.0]])
    speaker_B = torch.tensor([0, 0, 0, UNKNOWN_SPEAKER])
    centred_BD = centre_on_speakers(vectors_BD, speaker_B, torch.tensor([2.0]), relevance=1.0)
    # Of the first: others 3 and 8, and everybody's 2 once: 13 / 3.
    expected = [[1 - 13 / 3], [3 - 11 / 3], [8 - 6 / 3], [5 - 2.0]]
    torch.testing.assert_close(centred_BD, torch.tensor(expected))


def test_without_attention_the_statistics_are_plain_means_and_deviations_of_true_frames() -> None:
    hidden_BTH = torch.tensor([[[1.0], [3.0], [99.0]]])
    pooled_BD = AttentiveStatistics(1, 0)(hidden_BTH, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(pooled_BD, torch.tensor([[2.0, 1.0]]), rtol=0, atol=1e-3)


def test_a_mix_is_the_weighted_sum_of_scaled_layers() -> None:
    mix = LayerMix(3, 4)
    states_BLTH = torch.randn(2, 3, 5, 4)
    mix.mean.normal_()
    mix.deviation.uniform_(0.5, 2)
    torch.nn.init.normal_(mix.weight)
    scaled = (states_BLTH - mix.mean[:, None]) / mix.deviation[:, None]
    expected = (mix.weight.softmax(0)[:, None, None] * scaled).sum(dim=1)
    torch.testing.assert_close(mix(states_BLTH), expected)


def test_a_checkpoint_names_its_encoder_and_does_not_hold_it(tmp_path: Path) -> None:
    encoder = whisper_folder(tmp_path / "whisper")
    model = on_encoder(TINY, str(encoder)).eval()
    save_emotion_model(tmp_path / "head", model, None)
    config = json.loads((tmp_path / "head" / "config.json").read_text())
    assert config["encoder_name"].startswith(f"{encoder}#sha256=")
    assert not any(name.startswith("encoder.") for name in load_file(tmp_path / "head" / "model.safetensors"))
    loaded, tokenizer = load_emotion_model(tmp_path / "head")
    assert tokenizer is None
    clips = call()
    with torch.inference_mode():
        assert torch.equal(loaded(collate(clips, None)).logits, model(collate(clips, None)).logits)


def test_another_encoder_under_the_same_name_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    encoder = whisper_folder(tmp_path / "whisper")
    save_emotion_model(tmp_path / "head", on_encoder(TINY, str(encoder)), None)
    check_emotion_model(tmp_path / "head")
    whisper_folder(encoder, seed=1)
    with pytest.raises(PreflightError, match="expected SHA-256"):
        check_emotion_model(tmp_path / "head")
    (encoder / "model.bin").unlink()
    with pytest.raises(PreflightError, match=r"no whisper model.*model\.bin"):
        load_emotion_model(tmp_path / "head")


def test_the_key_holds_the_digests_of_the_head_and_of_the_encoder(tmp_path: Path) -> None:
    keys = []
    for seed in (0, 1):
        model = on_encoder(TINY, str(whisper_folder(tmp_path / f"whisper{seed}", seed)))
        save_emotion_model(tmp_path / f"head{seed}", model, None)
        keys.append(key_part(load_profile("embedded", [f"emotion.model={tmp_path / f'head{seed}'}"])))
    assert len(keys[0]["encoder"]) == 64
    assert keys[0]["encoder"] != keys[1]["encoder"]
    assert keys[0]["model"] != keys[1]["model"]


def test_a_configuration_that_cannot_be_built_is_refused() -> None:
    with pytest.raises(UsageError, match=r"layers are \(1, 3\); the encoder's are 0\.\.2"):
        replace(TINY, layers=(1, 3))
    with pytest.raises(UsageError, match="relevance"):
        replace(TINY, relevance=0.0)

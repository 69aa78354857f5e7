"""Speech classifiers in folders of the transformers library, as it writes them itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    BertConfig,
    BertForSequenceClassification,
    FeatureExtractionMixin,
    HubertConfig,
    HubertForSequenceClassification,
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    WavLMConfig,
    WavLMForSequenceClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
)

from mmer_ray.errors import PreflightError
from mmer_ray.models import families
from mmer_ray.models.audio_classification import losses
from mmer_ray.models.audio_classification.config import class_name
from mmer_ray.models.audio_classification.model import merge
from mmer_ray.models.families import load_emotion_model, save_emotion_model
from mmer_ray.models.interface import Clip, EmotionModel, Targets, collate

NAMES = {"id2label": {0: "ang", 1: "Happiness", 2: "excited", 3: "Bored"}}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
SPEECH = {**SMALL, "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
LARGE_LAYOUT = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
HEAD = {"classifier_proj_size": 16}
WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_layers": 1,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 64,
    "vocab_size": 50,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}

Kind = tuple[Callable[[], PreTrainedModel], Callable[[], FeatureExtractionMixin]]
KINDS: dict[str, Kind] = {
    "wav2vec2": (
        lambda: Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SPEECH, **HEAD, **NAMES)),
        Wav2Vec2FeatureExtractor,
    ),
    "hubert-large": (
        lambda: HubertForSequenceClassification(HubertConfig(**SPEECH, **LARGE_LAYOUT, **HEAD, **NAMES)),
        lambda: Wav2Vec2FeatureExtractor(return_attention_mask=True),
    ),
    "wavlm": (
        lambda: WavLMForSequenceClassification(WavLMConfig(**SPEECH, **HEAD, **NAMES)),
        lambda: Wav2Vec2FeatureExtractor(do_normalize=False),
    ),
    "ast": (
        lambda: ASTForAudioClassification(ASTConfig(**SMALL, **NAMES, max_length=128, num_mel_bins=32)),
        lambda: ASTFeatureExtractor(max_length=128, num_mel_bins=32),
    ),
    "whisper": (
        lambda: WhisperForAudioClassification(WhisperConfig(**WHISPER, **HEAD, **NAMES)),
        WhisperFeatureExtractor,
    ),
}


def write(folder: Path, kind: str) -> Path:
    """A folder as `save_pretrained` leaves it, its weights loud enough for mistakes to show."""
    torch.manual_seed(0)
    network, extractor = KINDS[kind][0](), KINDS[kind][1]()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    network.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("classifier"), request.param)


@pytest.fixture
def wav2vec2_folder(tmp_path: Path) -> Path:
    return write(tmp_path, "wav2vec2")


def edit(folder: Path, file: str, **changes: Any) -> None:
    table = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(table | changes))


def clip(seed: int, num_samples: int, text: str = "") -> Clip:
    return Clip(np.random.default_rng(seed).normal(0.02, 0.1, num_samples).astype(np.float32), text)


CLIPS = [clip(seed, length) for seed, length in enumerate((16_000, 9_000, 16_000, 4_321, 9_000))]


def probabilities(model: EmotionModel, clips: list[Clip]) -> Tensor:
    with torch.inference_mode():
        return model(collate(clips, None)).logits.softmax(dim=1)


def test_answers_are_those_of_the_library_alone_and_in_any_batch(folder: Path) -> None:
    model, tokenizer = load_emotion_model(folder)
    assert tokenizer is None
    assert model.labels == ("angry", "happy", "bored")
    together = probabilities(model, CLIPS)
    for row, one in enumerate(CLIPS):
        assert (probabilities(model, [one])[0] - together[row]).abs().max() < 1e-5
        inputs = model.extractor(one.samples, sampling_rate=16_000, return_tensors="pt")
        with torch.inference_mode():
            stock = model.network(**inputs).logits.softmax(dim=1)[0]
        joined = torch.stack([stock[0], stock[1] + stock[2], stock[3]])
        assert (joined - together[row]).abs().max() < 1e-5


def test_different_sounds_get_different_answers(folder: Path) -> None:
    answers = probabilities(load_emotion_model(folder).model, CLIPS)
    assert (answers[0] - answers[2]).abs().max() > 1e-5


def test_the_shortest_audio_silence_and_half_a_minute_are_scored(folder: Path) -> None:
    model = load_emotion_model(folder).model
    silence = Clip(np.zeros(4_000, np.float32), "")
    answers = probabilities(model, [clip(1, model.min_samples), silence, clip(2, 480_000)])
    assert torch.isfinite(answers).all()


def test_bfloat16_gives_nearly_the_same_answers(folder: Path) -> None:
    model = load_emotion_model(folder).model
    exact = probabilities(model, CLIPS)
    assert (probabilities(model.to(torch.bfloat16), CLIPS).float() - exact).abs().max() < 0.05


def test_the_transcript_is_not_read(wav2vec2_folder: Path) -> None:
    model = load_emotion_model(wav2vec2_folder).model
    assert torch.equal(probabilities(model, [clip(1, 4_000)]), probabilities(model, [clip(1, 4_000, "what a day")]))


@pytest.mark.parametrize(
    ("label", "name"),
    [("Anger", "angry"), ("fearful", "fear"), ("calm", "neutral"), ("sadness", "sad"), (" HAP ", "happy")],
)
def test_labels_get_the_names_of_the_lake(label: str, name: str) -> None:
    assert class_name(label) == name
    assert class_name("contempt") == "contempt"
    assert class_name("Sleepy") == "sleepy"


def test_labels_of_one_class_are_added_in_probability() -> None:
    logits = torch.tensor([[0.1, 2.0, -1.0]])
    joined = merge(logits, [[0, 2], [1]]).softmax(dim=1)
    separate = logits.softmax(dim=1)
    assert joined[0].tolist() == pytest.approx([float(separate[0, 0] + separate[0, 2]), float(separate[0, 1])])


def test_a_classifier_without_its_head_is_refused_instead_of_guessing(wav2vec2_folder: Path) -> None:
    config = Wav2Vec2Config.from_pretrained(wav2vec2_folder)
    Wav2Vec2ForSequenceClassification(config).wav2vec2.save_pretrained(wav2vec2_folder)
    edit(wav2vec2_folder, "config.json", architectures=["Wav2Vec2ForSequenceClassification"])
    with pytest.raises(PreflightError, match=r"lacks weights.*classifier"):
        load_emotion_model(wav2vec2_folder)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"problem_type": "multi_label_classification"}, "problem_type"),
        ("config.json", {"problem_type": "regression"}, "problem_type"),
        ("preprocessor_config.json", {"sampling_rate": 8_000}, "8000 Hz"),
        ("preprocessor_config.json", {"feature_extractor_type": "NoSuch"}, "no feature extractor"),
        ("config.json", {"hidden_size": 64}, "no speech classifier"),
        ("config.json", {"architectures": ["Wav2Vec2ForCTC"]}, "family None"),
    ],
)
def test_folders_that_answer_something_else_are_refused(
    wav2vec2_folder: Path, file: str, changes: dict[str, Any], message: str
) -> None:
    edit(wav2vec2_folder, file, **changes)
    with pytest.raises(PreflightError, match=message):
        load_emotion_model(wav2vec2_folder)


def test_a_classifier_of_texts_is_refused(tmp_path: Path) -> None:
    BertForSequenceClassification(BertConfig(**SMALL, vocab_size=30)).save_pretrained(tmp_path)
    with pytest.raises(PreflightError, match="no speech classifier"):
        load_emotion_model(tmp_path)


def test_a_checkpoint_is_read_back_bit_for_bit_and_half_precision_becomes_float32(tmp_path: Path) -> None:
    model = families.build("audio_classification", "tiny").eval()
    for dtype, bound in ((torch.float32, 0.0), (torch.float16, 1e-2)):
        save_emotion_model(tmp_path / str(dtype), model, None, dtype)
        loaded = load_emotion_model(tmp_path / str(dtype)).model
        assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
        assert (probabilities(model, CLIPS) - probabilities(loaded, CLIPS)).abs().max() <= bound


def test_the_gradient_reaches_everything_but_the_frozen_convolutions() -> None:
    model = families.build("audio_classification", "tiny").train()
    losses.loss(model(collate(CLIPS[:4], None)), Targets(torch.arange(4))).backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
    assert not any(p.requires_grad for p in model.network.wav2vec2.feature_extractor.parameters())

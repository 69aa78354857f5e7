"""Heads on features that are computed once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from mmer_ray.models.families import load_emotion_model, save_emotion_model
from mmer_ray.models.frozen_encoder.config import TINY, FrozenEncoderConfig
from mmer_ray.models.frozen_encoder.model import FrozenEncoderModel
from mmer_ray.models.interface import Clip, collate
from mmer_ray.models.named_parts import named_tokenizer, on_pretrained
from mmer_ray.training.calibration import answered, temperature_of
from mmer_ray.training.datasets import LabelledClip
from mmer_ray.training.embedded_text import train_tokenizer
from mmer_ray.training.emotion_head import card_of, train_emotion_head
from mmer_ray.training.encoded_clips import EncodedClip, encode
from mmer_ray.training.frozen_encoder import HeadRecipe, logits_of, ridge_head, train_head
from tests.models.whisper_maker import whisper_folder

SHORT = HeadRecipe(num_steps=120, peak_rate=5e-3, num_speakers=3, average_decay=0.9)
HERTZ = {"neutral": 150.0, "happy": 400.0, "sad": 900.0, "angry": 2_000.0}


def acted(num_speakers: int = 4, each: int = 3, seed: int = 0) -> list[LabelledClip]:
    """Speakers whose feelings are the pitch of a tone, each with a pitch of their own."""
    rng = np.random.default_rng(seed)
    clips = []
    for speaker in range(num_speakers):
        for label, hertz in HERTZ.items():
            for _ in range(each):
                time_s = np.arange(rng.integers(6_000, 12_000)) / 16_000
                tone = 0.3 * np.sin(2 * np.pi * hertz * (1 + 0.04 * speaker) * time_s)
                samples = (tone + rng.normal(0, 0.02, len(tone))).astype(np.float32)
                clips.append(LabelledClip(Clip(samples, ""), label, f"speaker {speaker}"))
    return clips


@pytest.mark.parametrize("adapts", [False, True])
def test_a_head_learns_to_judge_strangers(adapts: bool) -> None:
    torch.manual_seed(0)
    model = FrozenEncoderModel(replace(TINY, adapts_to_speaker=adapts))
    encoded = encode(model, acted())
    strangers = [one for one in encoded if one.speaker == "speaker 3"]
    trained = train_head(model, [one for one in encoded if one.speaker != "speaker 3"], SHORT)
    right = logits_of(trained, strangers).argmax(dim=1) == torch.tensor([one.label for one in strangers])
    assert right.float().mean() > 0.6


def test_training_leaves_the_encoder_as_it_was() -> None:
    model = FrozenEncoderModel(TINY)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    train_head(model, encode(model, acted(2, 1)), replace(SHORT, num_steps=3))
    assert all(torch.equal(before[name], value) for name, value in model.encoder.state_dict().items())


def test_encoded_clips_are_judged_as_the_model_judges_their_sound() -> None:
    torch.manual_seed(0)
    model = FrozenEncoderModel(replace(TINY, adapts_to_speaker=True)).eval()
    clips = acted(2, 2)
    with torch.inference_mode():
        named = [one.clip._replace(speaker=one.speaker) for one in clips]
        heard = model(collate(named, None, [0] * len(clips))).logits
    # Kept in float16.
    torch.testing.assert_close(logits_of(model, encode(model, clips)), heard, rtol=0, atol=5e-3)


def test_the_same_seed_trains_the_same_head() -> None:
    answers = []
    for _ in range(2):
        torch.manual_seed(0)
        model = FrozenEncoderModel(TINY)
        encoded = encode(model, acted(2, 1))
        answers.append(logits_of(train_head(model, encoded, replace(SHORT, num_steps=5)), encoded))
    assert torch.equal(*answers)


def test_a_foreign_label_is_named() -> None:
    stranger = replace(acted(1, 1)[0], label="bored")
    with pytest.raises(ValueError, match="labelled bored; the model's labels are neutral"):
        encode(FrozenEncoderModel(TINY), [stranger])


def test_labelled_clips_become_a_calibrated_checkpoint_with_a_card(tmp_path: Path) -> None:
    lines: list[str] = []
    encoder = whisper_folder(tmp_path / "whisper")
    recipe = replace(SHORT, num_steps=10, num_variations=1)
    clips = acted(3, 1)
    trained = train_emotion_head(clips, replace(TINY, adapts_to_speaker=True), str(encoder), recipe, lines.append)
    save_emotion_model(tmp_path / "head", trained.model, None)
    loaded = load_emotion_model(tmp_path / "head").model
    assert loaded.config.temperature == trained.model.config.temperature > 0
    assert (loaded.min_confidence, loaded.config.adapts_to_speaker) == (0.5, True)
    card = card_of(trained, clips, "tones", {})
    assert "`tones`, speakers not heard in training" in card
    assert trained.model.config.encoder_name in card
    assert any("24 clips encoded" in line for line in lines)


def known_strangers() -> list[LabelledClip]:
    """Two men and two women, each saying two sentences in every feeling."""
    clips = acted(4, 2)
    sexes = {"speaker 0": "female", "speaker 1": "male", "speaker 2": "female", "speaker 3": "male"}
    return [replace(one, sex=sexes[one.speaker], sentence="ab"[row % 2]) for row, one in enumerate(clips)]


def test_a_temperature_fitted_on_strangers_expects_more_errors_than_one_of_the_same_voices(tmp_path: Path) -> None:
    encoder = str(whisper_folder(tmp_path / "whisper"))
    config = replace(TINY, attention_size=0, hidden_size=0, adapts_to_speaker=True)
    recipe = HeadRecipe(ridge=0.01, num_variations=1)
    trained = [
        train_emotion_head(known_strangers(), config, encoder, replace(recipe, calibration=on), lambda _: None)
        for on in ("speakers", "strangers")
    ]
    of_speakers, of_strangers = (one.model.config.temperature for one in trained)
    assert of_strangers > of_speakers
    assert "other sentences" in card_of(trained[1], known_strangers(), "tones", {})
    # The heads themselves are one and the same.
    assert torch.equal(trained[0].model.head[2].weight, trained[1].model.head[2].weight)


def test_calibration_on_strangers_needs_to_know_who_says_what(tmp_path: Path) -> None:
    encoder = str(whisper_folder(tmp_path / "whisper"))
    config = replace(TINY, attention_size=0, hidden_size=0)
    recipe = HeadRecipe(ridge=0.01, calibration="strangers")
    with pytest.raises(ValueError, match="both sexes and several sentences"):
        train_emotion_head(acted(2, 1), config, encoder, recipe, lambda _: None)


def test_a_temperature_undoes_the_scale_of_overconfident_logits() -> None:
    rng = torch.Generator().manual_seed(0)
    logits_NK = torch.randn(4_000, 4, generator=rng)
    labels_N = torch.multinomial(logits_NK.softmax(dim=1), 1, generator=rng)[:, 0]
    assert temperature_of(5 * logits_NK, labels_N) == pytest.approx(5, rel=0.1)


def test_what_is_answered_and_what_of_it_is_right_are_shares() -> None:
    logits_NK = torch.tensor([[9.0, 0], [0, 9], [0.1, 0], [9, 0]])
    assert answered(logits_NK, torch.tensor([0, 1, 0, 1]), 0.9) == (0.75, pytest.approx(2 / 3))


@pytest.mark.parametrize("adapts", [False, True])
def test_a_head_that_is_solved_at_once_judges_strangers(adapts: bool) -> None:
    torch.manual_seed(0)
    config = replace(TINY, adapts_to_speaker=adapts, attention_size=0, hidden_size=0)
    encoded = encode(FrozenEncoderModel(config), acted())
    known = [one for one in encoded if one.speaker != "speaker 3"]
    strangers = [one for one in encoded if one.speaker == "speaker 3"]
    solved = train_head(FrozenEncoderModel(config), known, HeadRecipe(ridge=0.1))
    right = logits_of(solved, strangers).argmax(dim=1) == torch.tensor([one.label for one in strangers])
    assert right.float().mean() > 0.6


def test_a_solved_head_is_the_minimum_of_its_loss() -> None:
    torch.manual_seed(0)
    model = FrozenEncoderModel(replace(TINY, attention_size=0, hidden_size=0))
    encoded = encode(model, acted(2, 2))
    solved = ridge_head(model, encoded, 0.5)
    norm, _, linear = solved.head
    labels_N = torch.tensor([one.label for one in encoded])
    with torch.inference_mode():
        vectors = torch.cat(
            [model.pool(one.states.float()[None], torch.tensor([one.states.shape[1]])) for one in encoded]
        )
        x_ND = norm(model.judge(vectors, None).joint)

    def loss(weight_KD: torch.Tensor, bias_K: torch.Tensor) -> torch.Tensor:
        error_NK = x_ND @ weight_KD.T + bias_K - torch.nn.functional.one_hot(labels_N, 4)
        return error_NK.square().sum(dim=1).mean() + 0.5 * weight_KD.square().sum()

    weight_KD, bias_K = linear.weight.detach(), linear.bias.detach()
    least = loss(weight_KD, bias_K)
    for seed in range(5):
        step = 1e-2 * torch.randn(weight_KD.shape, generator=torch.Generator().manual_seed(seed))
        assert loss(weight_KD + step, bias_K) > least
        assert loss(weight_KD, bias_K + step[:, 0]) > least


def worded(clips: list[LabelledClip]) -> list[LabelledClip]:
    """The same feelings with the sound taken out and words that tell them."""
    words = {"neutral": "the train leaves", "happy": "how lovely", "sad": "she is gone", "angry": "get out"}
    return [replace(one, clip=Clip(clips[0].clip.samples, words[one.label])) for one in clips]


def text_config(folder: Path) -> FrozenEncoderConfig:
    """A configuration on a text encoder with random weights in a folder."""
    torch.manual_seed(0)
    sizes = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64, vocab_size=300)
    BertModel(sizes).save_pretrained(folder)
    train_tokenizer(["the train leaves how lovely she is gone get out"], vocab_size=300).save_pretrained(folder)
    return replace(TINY, attention_size=0, hidden_size=0)


def test_a_head_that_reads_learns_from_the_words_where_the_sound_tells_nothing(tmp_path: Path) -> None:
    config = text_config(tmp_path / "text")
    model = on_pretrained(FrozenEncoderModel, config, text_name=str(tmp_path / "text")).eval()
    encoded = encode(model, worded(acted(3, 2)))
    assert all(one.text is not None and one.text.shape == (32,) for one in encoded)
    known = [one for one in encoded if one.speaker != "speaker 2"]
    strangers = [one for one in encoded if one.speaker == "speaker 2"]
    solved = train_head(model, known, HeadRecipe(ridge=0.01))
    assert torch.equal(logits_of(solved, strangers).argmax(dim=1), torch.tensor([one.label for one in strangers]))
    clip = worded(acted(1, 1))[0].clip
    heard = solved(collate([clip], named_tokenizer(solved))).logits
    torch.testing.assert_close(
        heard[0], logits_of(solved, strangers)[strangers_at(strangers, "neutral")], atol=5e-3, rtol=0
    )


def strangers_at(clips: list[EncodedClip], label: str) -> int:
    return [one.label for one in clips].index(TINY.labels.index(label))


def test_a_text_encoder_that_is_not_frozen_is_not_encoded_beforehand() -> None:
    text = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 300}
    with pytest.raises(ValueError, match="name one"):
        encode(FrozenEncoderModel(replace(TINY, text=text)), acted(1, 1))


def test_a_head_with_more_to_learn_is_not_solved_at_once() -> None:
    with pytest.raises(ValueError, match="train it by steps"):
        ridge_head(FrozenEncoderModel(TINY), [], 1.0)

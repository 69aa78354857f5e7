"""What encoders made is read instead of made again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmer_ray.errors import PreflightError
from mmer_ray.models.frozen_encoder.config import TINY
from mmer_ray.models.frozen_encoder.model import FrozenEncoderModel
from mmer_ray.models.interface import Clip
from mmer_ray.training.datasets import LabelledClip
from mmer_ray.training.encoded_clips import EncodedClip, encode, encode_all, vary_voice
from mmer_ray.training.features import KEPT_AT_ONCE, FeatureCache, encoder_digest, sound_digest, text_digest


def clips(num_clips: int = 3) -> list[LabelledClip]:
    rng = np.random.default_rng(0)
    sounds = [rng.normal(0, 0.1, 3_000 + 500 * index).astype(np.float32) for index in range(num_clips)]
    return [LabelledClip(Clip(samples, ""), "sad", "somebody") for samples in sounds]


def fresh(layers: tuple[int, ...] = (1, 2)) -> FrozenEncoderModel:
    torch.manual_seed(0)
    return FrozenEncoderModel(replace(TINY, layers=layers))


def runs_of(model: FrozenEncoderModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sounds each run of the model's encoder had, filled as it runs."""
    found: list[int] = []
    run = model.encode

    def counted(samples: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        found.append(len(samples))
        return run(samples, num_samples)

    monkeypatch.setattr(model, "encode", counted)
    return found


def states(encoded: list[EncodedClip]) -> list[Tensor]:
    return [one.states for one in encoded]


def test_a_second_training_reads_what_the_first_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encode_all(fresh(), clips(), 1, tmp_path)
    model = fresh()
    runs = runs_of(model, monkeypatch)
    second = encode_all(model, clips(), 1, tmp_path)
    assert not runs
    assert len(second) == 6
    assert all(torch.equal(*pair) for pair in zip(states(first), states(second), strict=True))
    plain = encode(fresh(), clips()) + encode(fresh(), clips(), vary_voice, 1)
    assert all(torch.equal(*pair) for pair in zip(states(plain), states(second), strict=True))


def test_only_new_sounds_are_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(fresh(), clips(2), features=tmp_path)
    model = fresh()
    runs = runs_of(model, monkeypatch)
    encode(model, clips(3), features=tmp_path)
    assert runs == [1]


def test_another_layer_or_other_weights_have_features_of_their_own(tmp_path: Path) -> None:
    once = encode(fresh(), clips(), features=tmp_path)
    other_layer = encode(fresh((2,)), clips(), features=tmp_path)
    assert torch.equal(other_layer[0].states[0], once[0].states[1])
    changed = fresh()
    nn.init.zeros_(changed.encoder.conv1.weight)
    assert not torch.equal(encode(changed, clips(), features=tmp_path)[0].states, once[0].states)


def test_a_run_that_is_ended_keeps_what_it_has_made(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "0" * 64)
    digests = [text_digest(str(number)) for number in range(KEPT_AT_ONCE + 1)]

    def make(places: list[int]) -> list[Tensor]:
        if len(places) < KEPT_AT_ONCE:
            raise KeyboardInterrupt
        return [torch.tensor([float(place)]) for place in places]

    with pytest.raises(KeyboardInterrupt):
        cache.through(digests, make)
    kept = [cache.read(digest) for digest in digests]
    assert [None if one is None else float(one) for one in kept] == [*map(float, range(KEPT_AT_ONCE)), None]


def test_what_comes_twice_is_made_once(tmp_path: Path) -> None:
    asked: list[list[int]] = []

    def make(places: list[int]) -> list[Tensor]:
        asked.append(places)
        return [torch.tensor([float(len(digests[place]))]) for place in places]

    digests = ["aa", "bbb", "aa"]
    found = FeatureCache(tmp_path, "maker").through(digests, make)
    assert [float(one) for one in found] == [2.0, 3.0, 2.0]
    assert [len(places) for places in asked] == [2]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "maker")
    cache.write("abcd", torch.ones(3))
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(PreflightError, match=f"{path.name} holds no features.*delete it"):
        cache.read("abcd")


def test_a_digest_follows_from_content_alone() -> None:
    sound = clips()[0].clip.samples
    assert sound_digest(sound) == sound_digest(sound.copy())
    assert sound_digest(sound) != sound_digest(sound * np.float32(0.5))
    digests = [encoder_digest(fresh().encoder, asked) for asked in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]

"""The shipped calls and what they share with training."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmer_ray.demo.corpus import CorpusPlan, build_corpus, write_manifest
from mmer_ray.demo.grammar import FEELINGS, draw_sentence, split_of, vocabulary, words_of
from mmer_ray.demo.synthesis import speak
from mmer_ray.demo.truth import CALLS, MANIFEST_NAME, read_truth
from mmer_ray.demo.voices import VARIANTS, draw_delivery, draw_speaker


def test_the_shipped_calls_are_as_many_and_as_long_as_promised() -> None:
    calls = read_truth()
    assert Counter(call.channels for call in calls) == {1: 10, 2: 10}
    assert 8 <= sum(call.duration_s for call in calls) / 60 <= 15
    assert sum((CALLS / call.file).stat().st_size for call in calls) < 3_000_000


def test_the_shipped_manifest_is_the_one_that_is_written(tmp_path: Path) -> None:
    write_manifest(tmp_path / MANIFEST_NAME, read_truth())
    assert (tmp_path / MANIFEST_NAME).read_bytes() == (CALLS / MANIFEST_NAME).read_bytes()


def test_each_file_has_the_channels_and_length_of_its_truth() -> None:
    for call in read_truth():
        info = soundfile.info(CALLS / call.file)
        assert info.channels == call.channels
        assert abs(info.duration - call.duration_s) < 0.1
        assert all(0 <= turn.start_s < turn.end_s <= call.duration_s for turn in call.turns)


def test_every_call_has_two_people_of_different_variants() -> None:
    for call in read_truth():
        variants = {turn.speaker.split("+")[1] for turn in call.turns}
        assert len(variants) == 2
        assert variants <= set(VARIANTS["demo"])


def test_no_split_shares_a_voice_with_another() -> None:
    everyone = [variant for variants in VARIANTS.values() for variant in variants]
    assert len(everyone) == len(set(everyone))


def test_no_split_shares_a_sentence_with_another() -> None:
    rng = random.Random(0)
    for split in VARIANTS:
        for _ in range(200):
            sentence = draw_sentence(rng, "customer", rng.choice(FEELINGS), split, free_share=0.5)
            assert split_of(sentence.text) == split


def test_feelings_are_roughly_balanced() -> None:
    counts = Counter(turn.feeling for call in read_truth() for turn in call.turns)
    assert set(counts) == set(FEELINGS)
    assert min(counts.values()) >= 0.6 * max(counts.values())


def test_words_are_spelled_with_the_transcribers_letters_alone() -> None:
    assert 400 <= len(vocabulary()) <= 700
    assert all(set(word) <= set("abcdefghijklmnopqrstuvwxyz'") for word in vocabulary())
    assert words_of("It's me: don't 9 wait!") == "it's me don't wait"


def test_the_same_plan_gives_the_same_sound(tmp_path: Path) -> None:
    plan = CorpusPlan(num_calls=1)
    first, second = (build_corpus(tmp_path / name, plan)[0] for name in ("a", "b"))
    assert first == second
    sounds = [soundfile.read(tmp_path / name / first.file)[0] for name in ("a", "b")]
    assert np.array_equal(*sounds)


@pytest.mark.parametrize("feeling", FEELINGS)
def test_speech_is_bounded_and_finite(feeling: str) -> None:
    rng = random.Random(3)
    speaker = draw_speaker(rng, "demo")
    samples = speak("Hello, it's me.", speaker, draw_delivery(rng, speaker, feeling))  # type: ignore[arg-type]
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert 0.01 < np.abs(samples).max() <= 1

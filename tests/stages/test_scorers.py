"""The emotion scorer: one answer per clip, whatever the company."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmer_ray.errors import PreflightError
from mmer_ray.models import families
from mmer_ray.models.bridge_tokens import config as bridge_config
from mmer_ray.models.bridge_tokens.model import BridgeTokensModel
from mmer_ray.models.frozen_encoder import config as frozen_config
from mmer_ray.models.frozen_encoder.model import FrozenEncoderModel
from mmer_ray.models.mmer import checkpoint
from mmer_ray.models.mmer.config import LABELS, TINY
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.profiles import EmotionOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Clip, Utterance
from mmer_ray.stages.emotion import AdaptingScorer, EmotionScorer, clip_range, load_scorer
from mmer_ray.training.embedded_text import train_tokenizer


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mmer")
    torch.manual_seed(4)
    checkpoint.save(folder, MmerModel(TINY), train_tokenizer(["hello there"], vocab_size=300), torch.float16)
    return folder


@pytest.fixture(scope="module")
def scorer(model_folder: Path) -> EmotionScorer:
    return load_scorer(EmotionOptions(model=str(model_folder)))


def clip(seed: int, seconds: float, text: str = "hello there", dialogue: int | None = None) -> Clip:
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
    return Clip(samples, text, "en", dialogue)


def test_every_clip_gets_one_answer_in_its_place(scorer: EmotionScorer) -> None:
    clips = [clip(1, 2), clip(2, 0.5, ""), clip(3, 8)]
    answers = scorer.predict(clips)
    assert len(answers) == 3
    for emotion in answers:
        assert set(emotion.probabilities) == set(LABELS)
        assert sum(emotion.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert emotion.label is not None
        assert emotion.confidence == emotion.probabilities[emotion.label] == max(emotion.probabilities.values())
        assert emotion.valence is None
    assert scorer.predict([]) == []


def test_dimensions_are_written_and_those_that_a_model_lacks_are_none(tmp_path: Path) -> None:
    torch.manual_seed(6)
    model = BridgeTokensModel(replace(bridge_config.TINY, dominance=False))
    families.save_emotion_model(tmp_path, model, train_tokenizer(["hello there"], vocab_size=300))
    (emotion,) = load_scorer(EmotionOptions(model=str(tmp_path))).predict([clip(1, 2)])
    assert emotion.valence is not None
    assert emotion.arousal is not None
    assert -1 <= min(emotion.valence, emotion.arousal) <= max(emotion.valence, emotion.arousal) <= 1
    assert emotion.dominance is None


def test_a_foreign_speech_classifier_scores_utterances_by_its_sound_alone(tmp_path: Path) -> None:
    families.save_emotion_model(tmp_path, families.build("audio_classification", "tiny"), None)
    foreign = load_scorer(EmotionOptions(model=str(tmp_path)))
    with_words, without = foreign.predict([clip(1, 2), clip(1, 2, "")])
    assert with_words.scorer.startswith("audio_classification-")
    assert set(with_words.probabilities) == {"angry", "happy", "neutral", "sad"}
    assert with_words.valence is None
    assert with_words == without


def test_an_answer_is_the_same_alone_and_in_company(scorer: EmotionScorer, model_folder: Path) -> None:
    clips = [clip(seed, 0.4 + seed / 3, "there " * seed) for seed in range(18)]
    one_by_one = load_scorer(EmotionOptions(model=str(model_folder), batch_s=0.01))
    together, alone = scorer.predict(clips), [one_by_one.predict([each])[0] for each in clips]
    differences = [
        abs(left.probabilities[label] - right.probabilities[label])
        for left, right in zip(together, alone, strict=True)
        for label in LABELS
    ]
    assert max(differences) < 1e-5


def test_a_clip_that_is_too_short_is_skipped_with_the_reason(scorer: EmotionScorer) -> None:
    skipped, scored, nothing = scorer.predict([clip(1, 0.2), clip(1, 0.3), clip(1, 0.0)])
    assert (skipped.label, skipped.skip_reason, dict(skipped.probabilities)) == (None, "too_short", {})
    assert scored.skip_reason is None
    assert nothing == skipped


def test_the_clip_is_the_utterance_with_a_tenth_of_a_second_around_it() -> None:
    said = Utterance(32.001, 33.0, channel=0, speaker="W0:0", text="hello")
    assert clip_range(said) == (31_901 * 16, 33_100 * 16)


def test_the_scorer_names_the_family_and_the_weights(scorer: EmotionScorer, tmp_path: Path) -> None:
    torch.manual_seed(5)
    checkpoint.save(tmp_path, MmerModel(TINY), train_tokenizer(["hello there"], vocab_size=300), torch.float16)
    other = load_scorer(EmotionOptions(model=str(tmp_path)))
    assert scorer.scorer.startswith("mmer-")
    assert scorer.scorer != other.scorer
    assert scorer.predict([clip(1, 2)])[0].scorer == scorer.scorer


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="no emotion model"):
        load_scorer(EmotionOptions(model=str(tmp_path)))


@pytest.fixture(scope="module")
def dialogue_scorer(tmp_path_factory: pytest.TempPathFactory) -> EmotionScorer:
    folder = tmp_path_factory.mktemp("leaf")
    torch.manual_seed(4)
    model = families.build("leaf_transformer", "tiny")
    families.save_emotion_model(folder, model, train_tokenizer(["hello there"], vocab_size=300))
    # A batch holds two dialogues at most here, so that dialogues meet and part.
    return load_scorer(EmotionOptions(model=str(folder), batch_s=10.0))


def chances(scorer: EmotionScorer, clips: list[Clip]) -> np.ndarray:
    return np.array([list(emotion.probabilities.values()) for emotion in scorer.predict(clips)])


def test_a_model_of_dialogues_reads_one_dialogue_at_a_time(dialogue_scorer: EmotionScorer) -> None:
    dialogues = [[clip(10 * n + i, seconds, dialogue=n) for i, seconds in enumerate((2, 1, 0.6))] for n in range(3)]
    together = chances(dialogue_scorer, [one for dialogue in dialogues for one in dialogue])
    alone = np.concatenate([chances(dialogue_scorer, dialogue) for dialogue in dialogues])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_within_a_dialogue_a_neighbour_matters_and_a_clip_without_a_dialogue_stands_alone(
    dialogue_scorer: EmotionScorer,
) -> None:
    first, last = clip(1, 2, dialogue=7), clip(2, 0.6, dialogue=7)
    together = chances(dialogue_scorer, [first, last])[1]
    beside_another = chances(dialogue_scorer, [first, clip(3, 1, dialogue=7), last])[2]
    alone = chances(dialogue_scorer, [first._replace(dialogue=None), last._replace(dialogue=None)])[1]
    assert np.abs(together - beside_another).max() > 1e-6
    assert np.abs(together - alone).max() > 1e-6
    np.testing.assert_allclose(alone, chances(dialogue_scorer, [last])[0], atol=1e-5)


def test_a_model_that_wants_features_is_refused_with_the_remedy(tmp_path: Path) -> None:
    families.save_emotion_model(tmp_path, MmerModel(replace(TINY, text=None)), None)
    with pytest.raises(PreflightError, match="import it again with --text"):
        load_scorer(EmotionOptions(model=str(tmp_path)))


def test_a_label_below_the_models_least_confidence_is_withheld_with_its_probabilities(tmp_path: Path) -> None:
    torch.manual_seed(0)
    answers = []
    for min_confidence in (0.0, 1.0):
        config = replace(frozen_config.TINY, min_confidence=min_confidence)
        torch.manual_seed(0)
        families.save_emotion_model(tmp_path / str(min_confidence), FrozenEncoderModel(config), None)
        answers += load_scorer(EmotionOptions(model=str(tmp_path / str(min_confidence)))).predict([clip(1, 2)])
    given, withheld = answers
    assert given.label is not None
    assert given.skip_reason is None
    assert (withheld.label, withheld.skip_reason) == (None, "low_confidence")
    assert (withheld.probabilities, withheld.confidence) == (given.probabilities, given.confidence)


def test_a_model_that_adapts_hears_who_speaks_in_each_dialogue(tmp_path: Path) -> None:
    torch.manual_seed(0)
    families.save_emotion_model(tmp_path, FrozenEncoderModel(replace(frozen_config.TINY, adapts_to_speaker=True)), None)
    adapting = load_scorer(EmotionOptions(model=str(tmp_path)))
    assert isinstance(adapting, AdaptingScorer)
    assert not adapting.reads_dialogue, "its clips are asked about one by one"
    clips = [clip(seed, 0.5 + seed / 2, dialogue=0)._replace(speaker="W0:0") for seed in range(4)]
    other = [one._replace(dialogue=1, speaker="W0:1") for one in clips[:2]]
    alone = [adapting.predict([one])[0].probabilities for one in clips]
    together = [emotion.probabilities for emotion in adapting.predict([*clips, *other])]
    assert max(abs(together[0][label] - alone[0][label]) for label in alone[0]) > 1e-3
    again = [emotion.probabilities for emotion in adapting.predict([*other, *clips])]
    for before, after in zip(together[:4], again[2:], strict=True):
        assert after == pytest.approx(before, abs=1e-5)


def test_what_is_described_clip_by_clip_is_concluded_as_if_it_had_been_asked_together(tmp_path: Path) -> None:
    torch.manual_seed(0)
    families.save_emotion_model(tmp_path, FrozenEncoderModel(replace(frozen_config.TINY, adapts_to_speaker=True)), None)
    adapting = load_scorer(EmotionOptions(model=str(tmp_path)))
    assert isinstance(adapting, AdaptingScorer)
    lengths = (0.5, 0.1, 2.0, 1.2, 3.1)
    speakers = ["S1", "S1", "S2", "S1", None]
    clips = [
        clip(seed, seconds, dialogue=0)._replace(speaker=speaker)
        for seed, (seconds, speaker) in enumerate(zip(lengths, speakers, strict=True))
    ]
    described = [adapting.describe([one])[0] for one in clips]
    assert described[1] is None
    concluded, asked = adapting.conclude(described, speakers), adapting.predict(clips)
    assert [one.skip_reason for one in concluded] == [None, "too_short", None, None, None]
    for one, other in zip(concluded, asked, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    assert adapting.conclude([None], ["S1"])[0].skip_reason == "too_short"
    assert adapting.conclude([], []) == []
    # Every description owns its few numbers alone.
    assert all(one.base is None for one in adapting.describe(clips) if one is not None)


def test_thousands_of_utterances_are_concluded_in_little_memory(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = FrozenEncoderModel(replace(frozen_config.TINY, adapts_to_speaker=True))
    families.save_emotion_model(tmp_path, model, None)
    adapting = load_scorer(EmotionOptions(model=str(tmp_path)))
    assert isinstance(adapting, AdaptingScorer)
    rng = np.random.default_rng(0)
    # A matrix of every pair of them would take 20 GB.
    described = list(rng.normal(size=(50_000, model.config.vector_size)).astype(np.float32))
    emotions = adapting.conclude(described, [f"S{number % 3}" for number in range(len(described))])
    some = adapting.conclude(described[:3], ["S0", "S1", "S2"])
    assert len(emotions) == len(described)
    assert emotions[0].probabilities != some[0].probabilities

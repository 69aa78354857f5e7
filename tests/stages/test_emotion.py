"""The emotion stage: one answer per utterance, whatever the company."""

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
from mmer_ray.models.mmer import checkpoint
from mmer_ray.models.mmer.config import LABELS, TINY
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.profiles import EmotionOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Emotion, Recording, Utterance, Window
from mmer_ray.stages.emotion import ScoreEmotion, clip_of
from mmer_ray.training.embedded_text import train_tokenizer

WINDOW_START_S = 30.0


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mmer")
    torch.manual_seed(4)
    checkpoint.save(folder, MmerModel(TINY), train_tokenizer(["hello there"], vocab_size=300), torch.float16)
    return folder


@pytest.fixture(scope="module")
def stage(model_folder: Path) -> ScoreEmotion:
    return ScoreEmotion(EmotionOptions(model=str(model_folder)))


def utterance(start_s: float, end_s: float, text: str = "hello there") -> Utterance:
    return Utterance(WINDOW_START_S + start_s, WINDOW_START_S + end_s, channel=0, speaker="W0:0", text=text)


def window(seed: int, *utterances: Utterance, duration_s: float = 12.0) -> Window:
    samples = np.random.default_rng(seed).normal(0, 3_000, round(duration_s * SAMPLE_RATE_HZ)).astype(np.int16)
    recording = Recording(uri=f"/calls/{seed}.wav")
    return Window(recording, 0, 0, WINDOW_START_S, WINDOW_START_S + duration_s, samples, utterances=utterances)


def only_emotion(scored: Window, index: int = 0) -> Emotion:
    (emotion,) = scored.utterances[index].emotions
    return emotion


def test_every_utterance_gets_one_answer_in_its_place(stage: ScoreEmotion) -> None:
    windows = [window(1, utterance(0, 2), utterance(3, 3.5, "")), window(2), window(3, utterance(1, 9))]
    scored = stage(windows)
    assert [w.recording for w in scored] == [w.recording for w in windows]
    assert [[len(u.emotions) for u in w.utterances] for w in scored] == [[1, 1], [], [1]]
    emotion = only_emotion(scored[0])
    assert set(emotion.probabilities) == set(LABELS)
    assert sum(emotion.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert emotion.label is not None
    assert emotion.confidence == emotion.probabilities[emotion.label] == max(emotion.probabilities.values())
    assert emotion.valence is None


def test_dimensions_are_written_and_those_that_a_model_lacks_are_none(tmp_path: Path) -> None:
    torch.manual_seed(6)
    model = BridgeTokensModel(replace(bridge_config.TINY, dominance=False))
    families.save_emotion_model(tmp_path, model, train_tokenizer(["hello there"], vocab_size=300))
    emotion = only_emotion(ScoreEmotion(EmotionOptions(model=str(tmp_path)))([window(1, utterance(0, 2))])[0])
    assert emotion.valence is not None
    assert emotion.arousal is not None
    assert -1 <= min(emotion.valence, emotion.arousal) <= max(emotion.valence, emotion.arousal) <= 1
    assert emotion.dominance is None


def test_a_foreign_speech_classifier_scores_utterances_by_its_sound_alone(tmp_path: Path) -> None:
    families.save_emotion_model(tmp_path, families.build("audio_classification", "tiny"), None)
    foreign = ScoreEmotion(EmotionOptions(model=str(tmp_path)))
    with_words, without = foreign([window(1, utterance(0, 2)), window(1, utterance(0, 2, ""))])
    emotion = only_emotion(with_words)
    assert emotion.scorer.startswith("audio_classification-")
    assert set(emotion.probabilities) == {"angry", "happy", "neutral", "sad"}
    assert emotion.valence is None
    assert emotion == only_emotion(without)


def test_an_answer_is_the_same_alone_and_in_company(stage: ScoreEmotion, model_folder: Path) -> None:
    windows = [
        window(seed, utterance(0, 1 + seed / 3), utterance(5, 5.4 + seed / 7, "there " * seed)) for seed in range(9)
    ]
    one_by_one = ScoreEmotion(EmotionOptions(model=str(model_folder), batch_s=0.01))
    together, alone = stage(windows), [one_by_one([each])[0] for each in windows]
    differences = [
        abs(only_emotion(a, i).probabilities[label] - only_emotion(b, i).probabilities[label])
        for a, b in zip(together, alone, strict=True)
        for i in range(2)
        for label in LABELS
    ]
    assert max(differences) < 1e-5


def test_an_utterance_too_short_to_judge_is_skipped_with_the_reason(stage: ScoreEmotion) -> None:
    (scored,) = stage([window(1, utterance(0.0, 0.1), utterance(1.0, 1.1))])
    skipped, judged = only_emotion(scored, 0), only_emotion(scored, 1)
    # At the window's border there is no margin to the left: 0.2 s in all, against 0.3 s inside.
    assert (skipped.label, skipped.skip_reason, dict(skipped.probabilities)) == (None, "too_short", {})
    assert judged.skip_reason is None


def test_the_clip_is_the_utterance_with_a_tenth_of_a_second_around_it() -> None:
    ramp = np.arange(12 * SAMPLE_RATE_HZ) // 10
    inside = Window(Recording("/a.wav"), 0, 0, WINDOW_START_S, WINDOW_START_S + 12, ramp.astype(np.int16))
    clip = clip_of(inside, utterance(2.0, 3.0))
    assert len(clip.samples) == round(1.2 * SAMPLE_RATE_HZ)
    assert clip.samples[0] * 32_768 == ramp[round(1.9 * SAMPLE_RATE_HZ)]
    assert len(clip_of(inside, utterance(11.5, 12.0)).samples) == round(0.6 * SAMPLE_RATE_HZ)


def test_the_scorer_names_the_family_and_the_weights(stage: ScoreEmotion, tmp_path: Path) -> None:
    torch.manual_seed(5)
    checkpoint.save(tmp_path, MmerModel(TINY), train_tokenizer(["hello"], vocab_size=300), torch.float16)
    other = ScoreEmotion(EmotionOptions(model=str(tmp_path)))
    assert stage.scorer.startswith("mmer-")
    assert stage.scorer != other.scorer
    (scored,) = other(stage([window(1, utterance(0, 2))]))
    assert [emotion.scorer for emotion in scored.utterances[0].emotions] == [stage.scorer, other.scorer]


def test_scoring_twice_keeps_one_answer_per_scorer(stage: ScoreEmotion) -> None:
    once = stage([window(1, utterance(0, 2))])
    assert only_emotion(stage(once)[0]) == only_emotion(once[0])


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="no emotion model"):
        ScoreEmotion(EmotionOptions(model=str(tmp_path)))


@pytest.fixture(scope="module")
def dialogue_stage(tmp_path_factory: pytest.TempPathFactory) -> ScoreEmotion:
    folder = tmp_path_factory.mktemp("leaf")
    torch.manual_seed(4)
    model = families.build("leaf_transformer", "tiny")
    families.save_emotion_model(folder, model, train_tokenizer(["hello there"], vocab_size=300))
    # A batch holds two windows at most here, so that windows meet and part.
    return ScoreEmotion(EmotionOptions(model=str(folder), batch_s=10.0))


def test_a_model_of_dialogues_reads_one_window_at_a_time(dialogue_stage: ScoreEmotion) -> None:
    windows = [window(seed, utterance(0, 2), utterance(3, 4), utterance(5, 5.6)) for seed in (1, 2, 3)]
    together = dialogue_stage(windows)
    for alone, scored in zip(windows, together, strict=True):
        expected = [list(e.probabilities.values()) for e in emotions_of(dialogue_stage([alone])[0])]
        found = [list(e.probabilities.values()) for e in emotions_of(scored)]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_within_a_window_a_neighbour_matters_to_a_model_of_dialogues(dialogue_stage: ScoreEmotion) -> None:
    first, last = utterance(0, 2), utterance(5, 5.6)
    beside_one = dialogue_stage([window(1, first, last)])[0]
    beside_two = dialogue_stage([window(1, first, utterance(3, 4), last)])[0]
    answers = [np.array(list(only_emotion(scored).probabilities.values())) for scored in (beside_one, beside_two)]
    assert np.abs(answers[0] - answers[1]).max() > 1e-6


def emotions_of(scored: Window) -> list[Emotion]:
    return [only_emotion(scored, index) for index in range(len(scored.utterances))]


def test_a_model_that_wants_features_is_refused_with_the_remedy(tmp_path: Path) -> None:
    families.save_emotion_model(tmp_path, MmerModel(replace(TINY, text=None)), None)
    with pytest.raises(PreflightError, match="import it again with --text"):
        ScoreEmotion(EmotionOptions(model=str(tmp_path)))

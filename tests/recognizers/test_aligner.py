"""Times of words by a small random aligner: against WhisperX itself, and whatever the weights are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmer_ray.errors import PreflightError
from mmer_ray.models.encoders import load_speech_ctc
from mmer_ray.models.refs import ModelRef
from mmer_ray.models.resolver import resolve
from mmer_ray.models.torchaudio_guard import make_torchaudio_importable
from mmer_ray.recognizers.aligner import Aligner, Times, spell
from mmer_ray.records import SAMPLE_RATE_HZ, Samples
from tests.recognizers.aligner_maker import VOCABULARY, make_aligner

FRAME_S = 0.02
TEXTS = (
    "Well, it was 3.5 percent (or so) of ice-cream!",
    "hello hello all too good",
    "Über Ωmega 日本 don't",
    "a",
    "1984",
)


def noise(seed: int, seconds: float) -> Samples:
    """Noise whose loudness changes, so that frames differ."""
    rng = np.random.default_rng(seed)
    loudness = np.repeat(rng.uniform(50, 6_000, 1 + int(seconds * 10)), SAMPLE_RATE_HZ // 10)
    num_samples = round(seconds * SAMPLE_RATE_HZ)
    return (rng.normal(0, 1, num_samples) * loudness[:num_samples]).clip(-32_768, 32_767).astype(np.int16)


def loaded(folder: Path) -> Aligner:
    return Aligner(resolve(ModelRef("aligner", str(folder))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_aligner(tmp_path_factory.mktemp("aligner"))


@pytest.fixture(scope="module")
def aligner(folder: Path) -> Aligner:
    return loaded(folder)


class OneSentence:
    """Stands where WhisperX loads a splitter of sentences from the network."""

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


def by_whisperx(
    folder: Path, sound: Samples, text: str, monkeypatch: pytest.MonkeyPatch, language: str = "en"
) -> list[dict[str, Any]]:
    """The words of a text with their times, by `whisperx.align`."""
    make_torchaudio_importable()
    import whisperx.alignment

    monkeypatch.setattr(whisperx.alignment, "nltk_load", lambda _: OneSentence())
    vocabulary = json.loads((folder / "vocab.json").read_text())
    dictionary = {name.lower(): index for name, index in vocabulary.items()}
    answer = whisperx.alignment.align(
        [{"text": text, "start": 0.0, "end": len(sound) / SAMPLE_RATE_HZ}],
        load_speech_ctc(folder),
        {"language": language, "dictionary": dictionary, "type": "huggingface"},
        (sound / 32_768).astype(np.float32),
        "cpu",
    )
    return answer["word_segments"]


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_every_word_has_the_times_of_whisperx_within_a_frame(
    norm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_aligner(tmp_path, norm=norm, seed=3)
    sounds = [noise(seed, 1.5 + 2 * seed) for seed in range(len(TEXTS))]
    words_of = [text.split(" ") for text in TEXTS]
    found = loaded(folder).times(sounds, words_of, spaced=True)
    for sound, text, times in zip(sounds, TEXTS, found, strict=True):
        expected = by_whisperx(folder, sound, text, monkeypatch)
        assert [word["word"] for word in expected] == text.split(" ")
        for place, word in zip(times, expected, strict=True):
            # WhisperX rounds to milliseconds; beside that the times are equal, not a frame apart.
            assert place == pytest.approx((word["start"], word["end"]), abs=0.0006)


def test_a_language_without_spaces_is_aligned_character_by_character_as_by_whisperx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_aligner(tmp_path, vocabulary={"[PAD]": 2, "日": 0, "本": 1, "|": 3, "語": 4})
    sound = noise(1, 3)
    (times,) = loaded(folder).times([sound], [list("日本語は本")], spaced=False)
    expected = by_whisperx(folder, sound, "日本語は本", monkeypatch, "ja")
    assert [place and pytest.approx(place, abs=0.0006) for place in times] == [(w["start"], w["end"]) for w in expected]


def test_a_sound_has_exactly_the_same_times_alone_and_in_any_company(aligner: Aligner) -> None:
    sounds = [noise(seed, 0.4 + 1.7 * (seed % 7)) for seed in range(20)]
    texts = [TEXTS[seed % len(TEXTS)].split(" ") for seed in range(20)]
    alone: list[list[Times | None]] = []
    for sound, text in zip(sounds, texts, strict=True):
        alone += aligner.times([sound], [text], spaced=True)
    assert aligner.times(sounds, texts, spaced=True) == alone
    assert aligner.times(sounds[::-1], texts[::-1], spaced=True) == alone[::-1]


def test_words_are_in_order_and_inside_their_sound(aligner: Aligner) -> None:
    (times,) = aligner.times([noise(4, 6)], [TEXTS[0].split(" ")], spaced=True)
    ends_s = [0.0, *(place[1] for place in times if place)]
    for before_s, place in zip(ends_s, times, strict=False):
        assert place is not None
        assert before_s <= place[0] < place[1] <= 6


def test_a_text_with_more_symbols_than_frames_and_a_word_that_spells_nothing_have_no_times(aligner: Aligner) -> None:
    short, whole = aligner.times([noise(1, 0.1), noise(2, 2)], [["wonderful"], ["so", " ", "it"]], spaced=True)
    assert short == [None]
    assert [place is None for place in whole] == [False, True, False]
    (tiny,) = aligner.times([np.ones(320, dtype=np.int16)], [["a"]], spaced=True)
    assert tiny == [(0.0, 0.02)]


def test_characters_that_the_vocabulary_lacks_are_wildcards_and_breaks_stand_between_words() -> None:
    vocabulary = {name.lower(): index for name, index in VOCABULARY.items()}
    spelled = spell(["It", "5", "ß"], vocabulary, 99, spaced=True)
    assert spelled.symbols == [vocabulary["i"], vocabulary["t"], vocabulary["|"], 99, vocabulary["|"], 99]
    assert spelled.words == [0, 0, -1, 1, -1, 2]
    assert spell(["It", "5"], {"i": 7, "t": 8}, 9, spaced=True).symbols == [7, 8, 9]


def test_samples_are_scaled_where_the_model_was_trained_so(tmp_path: Path) -> None:
    quiet = noise(5, 4) // 64
    text = [TEXTS[1].split(" ")]
    scaled = loaded(make_aligner(tmp_path / "scaled", norm="layer", normalises=True))
    raw = loaded(make_aligner(tmp_path / "raw", norm="layer", normalises=False))
    assert scaled.times([quiet], text, spaced=True) != raw.times([quiet], text, spaced=True)
    assert scaled.times([quiet], text, spaced=True) == scaled.times([quiet * 8], text, spaced=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"en": {"a": 1}}', "no vocabulary of one language"),
        ("[]", "holds no table"),
        ('{"a": 500}', "more symbols than its model"),
    ],
)
def test_a_folder_whose_vocabulary_does_not_fit_is_refused(content: str, message: str, tmp_path: Path) -> None:
    folder = make_aligner(tmp_path)
    (folder / "vocab.json").write_text(content)
    with pytest.raises(PreflightError, match=message):
        loaded(folder)


def test_a_backbone_without_its_head_is_refused(tmp_path: Path) -> None:
    from transformers import Wav2Vec2Model

    folder = make_aligner(tmp_path)
    Wav2Vec2Model.from_pretrained(folder).save_pretrained(folder)
    with pytest.raises(PreflightError, match=r"lacks weights.*lm_head"):
        loaded(folder)

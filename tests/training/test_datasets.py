"""Labelled folders, read from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmer_ray.errors import UsageError
from mmer_ray.training.clips import read_speech, trim
from mmer_ray.training.datasets import LabelledClip, Sex, read_corpus, read_ravdess, sexes


def tone(frequency_hz: float, rate_hz: int, duration_s: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * rate_hz)) / rate_hz)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two actors with one clip of each emotion's code, strangers' files among them."""
    for actor in ("01", "02"):
        (tmp_path / f"Actor_{actor}").mkdir()
        for emotion in range(1, 9):
            name = f"03-01-{emotion:02d}-01-{1 + emotion % 2:02d}-01-{actor}"
            suffix = "wav" if emotion % 2 else "flac"
            soundfile.write(tmp_path / f"Actor_{actor}" / f"{name}.{suffix}", tone(440, 16_000, 0.2), 16_000)
        (tmp_path / f"Actor_{actor}" / "notes.txt").write_text("not speech")
    soundfile.write(tmp_path / "Actor_01" / "another name.wav", tone(440, 16_000, 0.2), 16_000)
    return tmp_path


def only(clips: list[LabelledClip], speaker: str) -> list[tuple[str, str, Sex | None]]:
    return [(clip.label, clip.clip.text, clip.sex) for clip in clips if clip.speaker == speaker]


def test_names_tell_feeling_sentence_and_actor_and_other_emotions_are_left_out(folder: Path) -> None:
    clips = read_ravdess(folder)
    kids, dogs = "Kids are talking by the door", "Dogs are sitting by the door"
    labels_and_texts = [("neutral", dogs), ("neutral", kids), ("happy", dogs), ("sad", kids), ("angry", dogs)]
    assert only(clips, "01") == [(label, text, "male") for label, text in labels_and_texts]
    assert only(clips, "02") == [(label, text, "female") for label, text in labels_and_texts]
    assert sexes(clips) == {"01": "male", "02": "female"}


def test_a_folder_without_labelled_speech_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Actor_NN"):
        read_ravdess(tmp_path)


def test_any_rate_and_two_channels_become_16_khz_mono(tmp_path: Path) -> None:
    stereo = np.stack([tone(440, 48_000), np.zeros(48_000)], axis=1)
    soundfile.write(tmp_path / "stereo.wav", stereo, 48_000, subtype="FLOAT")
    samples = read_speech(tmp_path / "stereo.wav")
    assert samples.dtype == np.float32
    assert samples.shape == (16_000,)
    assert np.abs(samples - tone(440, 16_000) / 2)[200:-200].max() < 2e-3


def test_silence_around_speech_is_cut_off_but_for_a_margin_and_pauses_stay() -> None:
    silence, word = np.zeros(16_000), tone(440, 16_000, 0.5)
    samples = np.concatenate([silence, word, silence, word, silence]).astype(np.float32)
    trimmed = trim(samples)
    assert len(trimmed) == pytest.approx(2.2 * 16_000, abs=320)
    assert np.array_equal(trimmed, samples[16_000 - 1_600 :][: len(trimmed)])


@pytest.mark.parametrize("num_samples", [0, 100, 16_000])
def test_silence_alone_stays_as_it_is(num_samples: int) -> None:
    assert len(trim(np.zeros(num_samples, np.float32))) == num_samples


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("1001_DFA_ANG_XX", "1002_IEO_NEU_HI", "1001_IEO_FEA_XX"), [("angry", "1001"), ("neutral", "1002")]),
        (("03a01Wa", "08b02Fb", "08b02La"), [("angry", "03"), ("happy", "08"), ("neutral", "08")]),
        (("03-01-04-01-01-01-07",), [("sad", "07")]),
    ],
)
def test_a_corpus_is_known_by_the_names_of_its_files(
    names: tuple[str, ...], labels: list[tuple[str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "Actor_07"
    folder.mkdir()
    for name in names:
        soundfile.write(folder / f"{name}.wav", tone(440, 16_000, 0.2), 16_000)
    assert [(clip.label, clip.speaker) for clip in read_corpus(tmp_path)] == labels


def test_who_speaks_and_what_is_said_are_read_off_the_names_where_they_tell(tmp_path: Path) -> None:
    folder = tmp_path / "wav"
    folder.mkdir()
    for name in ("03a01Wa", "09b02Fb"):
        soundfile.write(folder / f"{name}.wav", tone(440, 16_000, 0.2), 16_000)
    assert [(clip.sex, clip.sentence) for clip in read_corpus(tmp_path)] == [("male", "a01"), ("female", "b02")]


def test_a_folder_of_no_known_corpus_is_refused_with_the_names_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"RAVDESS .*CREMA-D .*EmoDB"):
        read_corpus(tmp_path)

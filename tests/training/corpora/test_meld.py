"""MELD in the shape of its archive."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mmer_ray.errors import UsageError
from mmer_ray.training.clips import load_clip
from mmer_ray.training.corpora.reading import read_corpus
from mmer_ray.training.folds import protocol
from tests.training.corpora.makers import write_csv, write_sounds

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
TRAIN = (
    '1,"Oh, that\x92s it!",Ada,joy,positive,0,0,1,1,"00:00:01,000","00:00:02,000"',
    '2,No.,Ben,anger,negative,0,1,1,1,"00:00:02,000","00:00:03,000"',
    '3,What?,Ben,surprise,positive,125,3,1,1,"00:00:02,000","00:00:03,000"',
    '4,Hm.,Cleo,surprise,positive,126,0,1,1,"00:00:02,000","00:00:03,000"',
)
DEV = ('1,Yes.,Dan,neutral,neutral,0,0,1,1,"00:00:01,000","00:00:02,000"',)
TEST = ('1,Well.,Ada,sadness,negative,0,0,1,1,"00:00:01,000","00:00:02,000"',)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_csv(tmp_path / "train" / "train_sent_emo.csv", [HEADER, *TRAIN])
    write_csv(tmp_path / "dev_sent_emo.csv", [HEADER, *DEV])
    write_csv(tmp_path / "test_sent_emo.csv", [HEADER, *TEST])
    films = ("train/train_splits/dia0_utt1", "train/train_splits/dia126_utt0")
    write_sounds(tmp_path / f"{film}.wav" for film in (*films, "dev_splits_complete/dia0_utt0", "test/dia0_utt0"))
    write_film(tmp_path / "train" / "train_splits" / "dia0_utt0.mp4")
    return tmp_path


def write_film(path: Path) -> None:
    """Half a second of a tone on both channels at 48 kHz, as AAC in an MP4."""
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 48_000)).astype(np.float32)
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
        frame.sample_rate = 48_000
        for packet in (*track.encode(frame), *track.encode(None)):
            container.mux(packet)


def test_the_three_tables_are_read_with_their_films_and_what_is_broken_is_counted(folder: Path) -> None:
    corpus = read_corpus(folder, classes="own")
    first, angry, surprised, development, test = corpus.utterances
    assert (first.utterance_id, first.label, first.speaker) == ("train_dia0_utt0", "happy", "Ada")
    assert (first.text, first.dialogue) == ("Oh, that\N{RIGHT SINGLE QUOTATION MARK}s it!", "train_dia0")
    assert [one.partition for one in (angry, surprised, development, test)] == ["train", "train", "development", "test"]
    assert corpus.left_out == {"film broken or absent in the archive": 1}
    assert read_corpus(folder).left_out == {"film broken or absent in the archive": 1, "label surprise": 1}


def test_the_sound_of_a_film_is_read_at_16_khz(folder: Path) -> None:
    clip = load_clip(read_corpus(folder).utterances[0])
    assert clip.samples.dtype == np.float32
    assert len(clip.samples) == pytest.approx(8_000, abs=1_100)
    assert np.abs(clip.samples[2_000:6_000]).max() == pytest.approx(0.5, abs=0.1)


def test_the_published_division_is_refused_because_it_shares_speakers(folder: Path) -> None:
    corpus = read_corpus(folder)
    with pytest.raises(UsageError, match=r"in training and in test \(Ada\).*kfold or loso"):
        protocol("partitions", corpus)
    with pytest.raises(UsageError, match=r"emobox-meld is refused.*leading characters"):
        protocol("emobox-meld", corpus)


def test_an_unknown_word_for_an_emotion_is_refused_by_file_and_line(folder: Path) -> None:
    write_csv(folder / "dev_sent_emo.csv", [HEADER, DEV[0].replace("neutral,neutral", "nan,neutral")])
    with pytest.raises(UsageError, match=r"dev_sent_emo.csv:2: Emotion is missing \(nan\)"):
        read_corpus(folder)

"""Samples of utterances, read when they are needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmer_ray.errors import SourceError
from mmer_ray.training.clips import load_clip, read_sound
from mmer_ray.training.utterances import Sound, Utterance


@pytest.fixture
def stereo(tmp_path: Path) -> Path:
    """Two seconds at 8 kHz: the left channel half as loud in its second second, the right one silent."""
    left = np.concatenate([np.full(8_000, 0.5), np.full(8_000, 0.25)])
    soundfile.write(tmp_path / "stereo.flac", np.stack([left, np.zeros(16_000)], axis=1), 8_000)
    return tmp_path / "stereo.flac"


@pytest.mark.parametrize(("channel", "level"), [(None, 0.125), (0, 0.25), (1, 0)])
def test_a_stretch_of_one_channel_or_of_all_is_read_at_16_khz(channel: int | None, level: float, stereo: Path) -> None:
    samples = read_sound(Sound(stereo, start_ms=1_200, end_ms=1_700, channel=channel))
    assert (samples.dtype, samples.shape) == (np.float32, (8_000,))
    assert np.allclose(samples[500:-500], level, atol=1e-2)


def test_a_clip_has_the_words_and_the_speaker(stereo: Path) -> None:
    clip = load_clip(Utterance("u", Sound(stereo), "ada", text=None))
    assert (clip.text, clip.speaker, len(clip.samples)) == ("", "ada", 32_000)


@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (Sound(Path("broken.wav")), r"broken.wav \(named in mine.csv:2\) cannot be read as sound"),
        (Sound(Path("stereo.flac"), channel=2), r"there is no channel 2, the file has 2"),
        (Sound(Path("stereo.flac"), start_ms=5_000), r"holds no sound of utterance u"),
        (Sound(Path("broken.mp4")), r"broken.mp4 .* cannot be read as sound"),
    ],
)
def test_a_sound_that_cannot_be_read_is_refused_by_name(sound: Sound, said: str, stereo: Path) -> None:
    for suffix in (".wav", ".mp4"):
        (stereo.parent / f"broken{suffix}").write_bytes(b"no sound")
    there = Sound(stereo.parent / sound.path, sound.start_ms, sound.end_ms, sound.channel)
    with pytest.raises(SourceError, match=said):
        load_clip(Utterance("u", there, "ada", read_from="mine.csv:2"))

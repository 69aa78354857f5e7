"""Waveforms: as loud as the sound, made once, forgotten after a week."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from dashboard.peaks import KEPT_S, POINTS_PER_S, Peaks, peaks_of
from mmer_ray.audio.decode import Decoder
from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.profiles import DecodeOptions
from tests.dashboard.sounds import serving, write_sound


class Refuses:
    """A decoder that must not be asked."""

    def sound(self, recording: object) -> object:
        raise AudioError(ErrorCode.IO_ERROR, "asked again")


def test_levels_follow_the_sound_of_each_channel(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "call.wav", duration_s=2.02)
    with Decoder(DecodeOptions()) as decoder:
        found = peaks_of(sound, decoder)
    assert found.points_per_s == POINTS_PER_S
    assert found.levels.shape == (2, 41)
    quiet, loud = found.levels[0, :9], found.levels[0, 11:19]
    assert quiet.max() == 0
    assert loud == pytest.approx(255 * np.sqrt(0.5), abs=3)
    assert found.levels[1].max() == 0


def test_they_are_made_once_and_kept_for_this_user_alone(tmp_path: Path) -> None:
    sound, cache = write_sound(tmp_path / "call.wav"), tmp_path / "cache"
    with serving(sound, cache=cache) as client:
        first = client.get("/peaks/call.wav")
    head, _, levels = first.content.partition(b"\n")
    assert json.loads(head) == {"version": 1, "points_per_s": 20.0, "num_channels": 2}
    assert len(levels) == 2 * 60
    (file,) = (cache / "peaks").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert "call" not in file.name
    again = Peaks(Refuses(), cache / "peaks", "a.lake")  # type: ignore[arg-type]
    assert again.ask(sound).result(10) == first.content
    other = Peaks(Refuses(), cache / "peaks", "b.lake")  # type: ignore[arg-type]
    with pytest.raises(AudioError, match="asked again"):
        other.ask(sound).result(10)


def test_old_ones_are_forgotten_when_the_server_starts(tmp_path: Path) -> None:
    for name, age_s in (("old.peaks", KEPT_S + 60), ("new.peaks", 60), ("other.txt", KEPT_S + 60)):
        (tmp_path / name).touch()
        then = (tmp_path / name).stat().st_mtime - age_s
        os.utime(tmp_path / name, (then, then))
    Peaks(Refuses(), tmp_path, "a.lake")  # type: ignore[arg-type]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new.peaks", "other.txt"]


def test_old_ones_are_forgotten_while_the_server_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = Peaks(Refuses(), tmp_path, "a.lake")  # type: ignore[arg-type]
    sound = write_sound(tmp_path / "call.wav")
    (tmp_path / "old.peaks").touch()
    os.utime(tmp_path / "old.peaks", (0, 0))
    peaks.ask(sound)
    assert (tmp_path / "old.peaks").exists()

    monkeypatch.setattr("dashboard.peaks.FORGET_EVERY_S", 0)
    peaks.ask(sound)
    assert not (tmp_path / "old.peaks").exists()


def test_a_file_without_sound_is_told_of_and_asked_again_next_time(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "call.wav")
    Path(sound.uri).write_bytes(b"no sound")
    with serving(sound, cache=tmp_path / "cache") as client:
        assert client.get("/peaks/call.wav").status_code == 422
        write_sound(tmp_path / "call.wav")
        assert client.get("/peaks/call.wav").status_code == 200

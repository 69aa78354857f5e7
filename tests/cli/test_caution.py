"""What is said beside answers that deserve little trust: about the models whose answers are shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmer_ray.cli.caution import caution_in_lake
from mmer_ray.lake.activation import activate
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.run import begin_run
from mmer_ray.lake.store import Lake
from mmer_ray.profiles import load_profile
from mmer_ray.stages.caution import ACTED_GERMAN
from tests.lake import makers


def caution(lake: Lake) -> str | None:
    with open_lake(lake.address) as reader:
        return caution_in_lake(reader, reader.conversation("a.wav"))


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """One recording that was scored with the profile `embedded`."""
    makers.audio_file(tmp_path / "audio", "a.wav")
    run_by(monkeypatch, "embedded")
    lake = Lake(tmp_path / "lake")
    makers.job(lake, makers.listing(tmp_path / "audio"))
    return lake


def run_by(monkeypatch: pytest.MonkeyPatch, profile: str, *settings: str, options: str | None = None) -> None:
    """Let the next job of the makers be one with these options."""
    run = begin_run(load_profile(profile, settings), makers.KEYS)
    run = run if options is None else replace(run, options=options)
    monkeypatch.setattr(makers, "a_run", lambda keys: replace(run, keys=keys))


def test_it_follows_the_emotion_model_that_is_active(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_by(monkeypatch, "embedded", 'emotion.model="/models/other"')
    makers.work(lake, makers.plan_of(makers.listing(tmp_path / "audio"), lake, makers.newer("emotion")))

    assert caution(lake) == ACTED_GERMAN
    activate(lake, "mmer-2")
    assert caution(lake) is None
    activate(lake, "mmer-1")
    assert caution(lake) == ACTED_GERMAN


def test_a_run_that_asked_no_model_takes_it_away_from_nothing(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_by(monkeypatch, "embedded", options="{}")
    makers.work(lake, makers.plan_of(makers.listing(tmp_path / "audio"), lake, makers.newer("link")))

    assert caution(lake) == ACTED_GERMAN

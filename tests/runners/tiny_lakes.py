"""Whole jobs with members without weights: real sound, real decoding, a scorer that says which samples it heard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mmer_ray.demo.truth import CALLS
from mmer_ray.lake.queries import open_lake
from mmer_ray.pipelines.engine import Engine
from mmer_ray.profiles import Profile, load_profile
from mmer_ray.runners import job
from mmer_ray.runners.job import JobOptions, JobReport
from tests.members import engine_of

RATE_HZ = 16_000
EMBEDDED_EMOTION = CALLS.parents[1] / "assets" / "mmer"


class TinyEngines:
    """Takes the place of `Engine.load`: members without weights, under the name of the profile's emotion model."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.heard: list[bool] = []
        """Whether each engine that was loaded could hear."""
        monkeypatch.setattr(Engine, "load", self._load)

    def _load(self, profile: Profile, *, hears: bool = True) -> Engine:
        self.heard.append(hears)
        return engine_of(profile, hears=hears)


def profile(*settings: str) -> Profile:
    return load_profile("synthetic", ["run.runner=inprocess", *settings])


def another_model(folder: Path, name: str = "other") -> Path:
    """The embedded emotion model with other bytes: another model to the planner."""
    model = folder / name
    shutil.copytree(EMBEDDED_EMOTION, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"note": name}, indent=7))
    return model


def speech(path: Path, bursts: Sequence[float], seed: int = 0) -> Path:
    """A WAV file with a second of noise of each loudness, and a second of silence behind each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(seed)
    silence = np.zeros(RATE_HZ, np.float32)
    parts = [part for level in bursts for part in (chance.normal(0, level, RATE_HZ).astype(np.float32), silence)]
    soundfile.write(path, np.concatenate([silence, *parts]), RATE_HZ, subtype="PCM_16")
    return path


def score(source: Path, lake: Path, *settings: str, **options: Any) -> JobReport:
    return job.run(JobOptions((str(source),), str(lake), profile(*settings), **options))


def rows(lake: Path, query: str) -> list[dict[str, Any]]:
    with open_lake(lake) as reader:
        found: list[dict[str, Any]] = reader.sql(query).to_pylist()
    return found


def files_of(lake: Path) -> Mapping[str, bytes]:
    """Each file of a lake, by its path inside it."""
    return {str(path.relative_to(lake)): path.read_bytes() for path in sorted(lake.rglob("*")) if path.is_file()}

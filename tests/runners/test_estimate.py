"""The runner that a job takes."""

import pytest

from mmer_ray.profiles import load_profile
from mmer_ray.runners.estimate import estimate


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_a_small_job_runs_in_process_and_a_large_one_on_ray() -> None:
    profile = load_profile("synthetic", ["run.max_actors=2"])
    assert estimate(profile, 20, 60.0).runner == "inprocess"
    assert estimate(profile, 200, 36_000.0).runner == "ray"


def test_one_recording_gains_nothing_from_a_cluster() -> None:
    assert estimate(load_profile("synthetic", ["run.max_actors=2"]), 1, 36_000.0).runner == "inprocess"


def test_a_named_cluster_is_used_and_an_empty_name_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    assert estimate(load_profile("synthetic"), 20, 60.0).runner == "ray"
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert estimate(load_profile("synthetic"), 20, 60.0).runner == "inprocess"


def test_the_profile_may_say_which() -> None:
    assert estimate(load_profile("synthetic", ["run.runner=ray"]), 20, 60.0).runner == "ray"

"""`mmer models promote`, and the registry in `list`, `show` and `activate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.makers import Ended
from tests.training.registry.makers import answers, run_folder

Mmer = Callable[..., Ended]


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MMER_REGISTRY", str(tmp_path / "registry"))
    return tmp_path / "registry"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return run_folder(tmp_path / "good", answers(0.8))


@pytest.fixture
def promoted(mmer: Mmer, good: Path) -> str:
    """Name of the active model."""
    ended = mmer("models", "promote", good, "--floor", 0.5, "--json")
    assert ended.code == 0, ended.err
    return str(json.loads(ended.out)["name"])


def test_promote_says_what_it_measured_and_what_to_do_next(mmer: Mmer, good: Path) -> None:
    ended = mmer("models", "promote", good, "--floor", 0.5, "--name", "calls-1")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0] == "calls-1 is promoted: it is the active model that later ones are measured against"
    assert "the floor is 0.500" in lines[1]
    assert lines[2] == "  no active model to compare with; the margin is 0.010"
    assert "mmer rescore --lake DIR --emotion calls-1" in ended.out
    assert "promoted before" in mmer("models", "promote", good, "--floor", 0.5).out


def test_a_refused_model_ends_with_3_and_both_numbers(mmer: Mmer, promoted: str, tmp_path: Path) -> None:
    worse = run_folder(tmp_path / "worse", answers(0.7, chance=1))
    ended = mmer("models", "promote", worse, "--floor", 0.5)
    assert ended.code == 3
    assert "is refused" in ended.out
    document = json.loads(mmer("models", "promote", worse, "--floor", 0.5, "--json").out)
    assert (document["schema"], document["promoted"], document["active"]) == ("mmer.promotion/1", False, promoted)
    paired = document["verdict"]["paired"]
    assert f"{paired['value']:.3f} against {paired['active_value']:.3f} of {promoted}" in ended.out
    assert paired["value"] < paired["active_value"]


def test_without_a_declared_gate_nothing_is_promoted(mmer: Mmer, good: Path, registry: Path) -> None:
    ended = mmer("models", "promote", good)
    assert (ended.code, "no gate is declared" in ended.err) == (2, True)
    registry.mkdir()
    (registry / "gate.toml").write_text("floor = 0.9\n")
    ended = mmer("models", "promote", good)
    assert (ended.code, "below the floor of 0.900" in ended.out) == (3, True)


def test_a_dry_run_of_promote_writes_nothing(mmer: Mmer, good: Path, registry: Path) -> None:
    ended = mmer("models", "promote", good, "--floor", 0.5, "--dry-run")
    assert (ended.code, "would be promoted" in ended.out, registry.exists()) == (0, True, False)


def test_a_folder_that_is_no_finished_run_is_refused(mmer: Mmer, tmp_path: Path) -> None:
    ended = mmer("models", "promote", tmp_path, "--floor", 0.5)
    assert (ended.code, "has no run.json" in ended.err) == (2, True)


def test_list_names_the_registered_models_beside_the_others(mmer: Mmer, promoted: str) -> None:
    ended = mmer("models", "list")
    (line,) = [line for line in ended.out.splitlines() if line.startswith(promoted)]
    assert line.split()[1:3] == ["late_fusion", "calls"]
    assert line.rstrip().endswith("active")
    document = json.loads(mmer("models", "list", "--json").out)
    assert [(one["name"], one["active"]) for one in document["registered"]] == [(promoted, True)]
    assert document["weights"]
    assert document["models"]


def test_list_says_nothing_of_an_empty_registry(mmer: Mmer) -> None:
    assert "registered" not in mmer("models", "list").out


def test_show_tells_a_registered_model_by_its_name_and_a_family_as_before(mmer: Mmer, promoted: str) -> None:
    ended = mmer("models", "show", promoted)
    assert "480 utterances of 24 speakers" in ended.out
    assert "fold 1: 240 utterances of S00" in ended.out
    assert json.loads(mmer("models", "show", promoted, "--json").out)["schema"] == "mmer.registered_model/1"
    assert "late_fusion tiny" in mmer("models", "show", "late_fusion", "--size", "tiny").out


def test_card_shows_that_of_a_registered_model_by_its_name(mmer: Mmer, promoted: str) -> None:
    assert mmer("models", "card", promoted).out == "# A model of nothing\n"


def test_activate_without_a_lake_brings_an_earlier_registered_model_back(
    mmer: Mmer, promoted: str, tmp_path: Path
) -> None:
    better = run_folder(tmp_path / "better", answers(0.9, chance=2))
    assert mmer("models", "promote", better, "--floor", 0.5, "--name", "better").code == 0
    ended = mmer("models", "activate", promoted)
    assert (ended.code, ended.out) == (0, f"{promoted} is the active model: later ones are measured against it\n")
    registered = json.loads(mmer("models", "list", "--json").out)["registered"]
    assert {one["name"]: one["active"] for one in registered} == {promoted: True, "better": False}
    assert "was already" in mmer("models", "activate", promoted).out


def test_activate_without_a_lake_knows_registered_models_alone(mmer: Mmer, promoted: str) -> None:
    ended = mmer("models", "activate", "mmer-1")
    assert (ended.code, f"registered are: {promoted}" in ended.err, "add --lake DIR" in ended.err) == (2, True, True)
    assert mmer("models", "activate", promoted, "--corpus", "calls").code == 2


def test_activate_in_a_lake_takes_a_registered_model_by_its_name(mmer: Mmer, good: Path, lake: Path) -> None:
    mmer("models", "promote", good, "--floor", 0.5, "--name", "calls-1")
    scorer = json.loads(mmer("models", "show", "calls-1", "--json").out)["scorer"]
    ended = mmer("models", "activate", "calls-1", "--lake", lake)
    assert (ended.code, f"'{scorer}' has no answers in {lake}" in ended.err) == (2, True)

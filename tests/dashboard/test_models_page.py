"""The page on models: what a registry holds, what its reports say, and what is wrong with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dashboard.access import Viewer
from dashboard.model_facts import ANOTHER_CORPUS, conditions, gate_words, title_of
from dashboard.session import Dashboard
from mmer_ray.models.registered import REGISTRY_VARIABLE
from mmer_ray.training.registry.promotion import promote
from mmer_ray.training.registry.reading import RegisteredModels
from mmer_ray.training.registry.registry import Registry
from mmer_ray.training.registry.verdict import Gate
from tests.dashboard.makers import SCORER, dashboard_of, of_viewers
from tests.dashboard.test_pages import figures, opened, said
from tests.training.registry.makers import run


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, the second one better and active."""
    folder = tmp_path_factory.mktemp("models")
    made = Registry(folder / "registry")
    for name, skill in (("calls-1", 0.7), ("calls-2", 0.9)):
        assert promote(made, run(folder / name, skill), Gate(0.6), name).promoted
    return made.folder


@pytest.fixture
def registered(registry: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(REGISTRY_VARIABLE, str(registry))
    return registry


def test_the_models_of_the_lake_and_of_the_registry_are_listed(dashboard: Dashboard, registered: Path) -> None:
    page = opened("models")

    assert not page.exception
    here, held = page.dataframe[0].value, page.dataframe[1].value
    assert here["Answered"].between(1, 100).all()
    assert set(here["Model"]) == {SCORER}
    assert held["Model"].to_list() == ["calls-2", "calls-1"]
    assert held["State"].to_list() == ["active", ""]
    assert held["Corpus"].to_list() == ["calls", "calls"]


def test_the_report_of_the_active_model_is_shown_first(dashboard: Dashboard, registered: Path) -> None:
    page = opened("models")
    known = RegisteredModels(registered).evaluation("calls-2")

    assert figures(page)["UA (macro recall)"] == f"{known.metrics['ua'].value:.3f}"
    assert [one.value for one in page.subheader][2:5] == ["Recall of each class", "Confusion", "Calibration"]
    assert "480 utterances of 24 speakers; corpus: calls" in said(page)


def test_another_report_can_be_chosen_by_address(dashboard: Dashboard, registered: Path) -> None:
    page = opened("models", registered="calls-1")
    known = RegisteredModels(registered).evaluation("calls-1")

    assert figures(page)["UA (macro recall)"] == f"{known.metrics['ua'].value:.3f}"


def test_the_gate_says_what_it_asked_and_found(registered: Path) -> None:
    words = "\n".join(gate_words(RegisteredModels(registered).read("calls-2")))

    assert "UA (macro recall) of at least 0.600; it is 0.9" in words
    assert "Against the active model, at most 0.010 worse: 0.9" in words
    assert "of calls-1 (difference +" in words


def test_a_registry_without_models_says_how_to_get_one(
    dashboard: Dashboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REGISTRY_VARIABLE, str(tmp_path / "none"))
    page = opened("models")

    assert not page.exception
    assert "holds no model yet" in page.info[0].value
    assert "mmer models promote" in said(page)
    assert not (tmp_path / "none").exists()


def test_a_damaged_entry_is_named_and_the_rest_of_the_page_stays(
    dashboard: Dashboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = tmp_path / "models" / "broken" / "entry.json"
    entry.parent.mkdir(parents=True)
    entry.write_text("{")
    monkeypatch.setenv(REGISTRY_VARIABLE, str(tmp_path))
    page = opened("models")

    assert not page.exception
    assert "registry cannot be read" in page.error[0].value
    assert str(entry) in said(page)
    assert set(page.dataframe[0].value["Model"]) == {SCORER}


def test_who_may_not_see_a_corpus_does_not_learn_its_name_from_a_report(
    lake: Path, registered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.page.name_of_viewer", lambda _: "ben")
    with dashboard_of(lake, of_viewers(Viewer("ben", ("sales",)))):
        page = opened("models")

    assert page.dataframe[1].value["Corpus"].to_list() == [ANOTHER_CORPUS, ANOTHER_CORPUS]
    assert page.dataframe[0].value["Corpus"].to_list() == ["sales"]
    assert f"corpus: {ANOTHER_CORPUS}" in said(page)


def test_an_oracle_is_called_one(registered: Path) -> None:
    from dataclasses import replace

    found = replace(RegisteredModels(registered).evaluation("calls-1"), oracle=True)

    assert "prove nothing" in conditions(found, may_name=True)[0]
    assert "ORACLE" not in "\n".join(conditions(replace(found, oracle=False), may_name=True))


def test_measures_have_names_that_people_read() -> None:
    assert [title_of(name) for name in ("ua", "ccc_valence", "pearson_arousal", "mae_dominance", "new")] == [
        "UA (macro recall)", "CCC of valence", "Pearson of arousal", "MAE of dominance", "new",
    ]  # fmt: skip


def test_the_page_reads_a_registry_without_torch(registered: Path) -> None:
    script = (
        "import sys; from pathlib import Path; import dashboard.models_view, dashboard.drift_view;"
        "from mmer_ray.training.registry.reading import RegisteredModels as R;"
        "r = R(Path(sys.argv[1])); print([one.name for one in r.models()], r.evaluation('calls-1').num_utterances,"
        "{'torch', 'transformers', 'ray'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(registered)], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "['calls-1', 'calls-2'] 480 set()"

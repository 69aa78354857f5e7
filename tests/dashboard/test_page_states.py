"""Every page in its three states: full, empty and in error; and for whom nothing is there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.access import Viewer
from dashboard.server import MAIN
from mmer_ray.lake.store import Lake
from mmer_ray.models.registered import REGISTRY_VARIABLE
from mmer_ray.training.registry.promotion import promote
from mmer_ray.training.registry.registry import Registry
from mmer_ray.training.registry.verdict import Gate
from tests.dashboard.makers import dashboard_of, make_lake, of_viewers
from tests.dashboard.nights import add_night, add_other_answers, run_of
from tests.training.registry.makers import run

NAMES = ("overview", "recordings", "recording", "search", "compare", "runs", "models", "method")
CALL = {"recording": "b" * 32, "of": "support"}
FULL: dict[str, tuple[str, dict[str, str]]] = {
    "overview": ("Valence within recordings", {}),
    "recordings": ("A row opens its worst moment", {}),
    "recording": ("Speakers", CALL),
    "search": ("utterances**", {"text": "o"}),
    "compare": ("Largest disagreements", {}),
    "runs": ("The ledger sums", {"ledger": run_of(1)}),
    "models": ("Calibration", {}),
    "method": ("Models in use", {}),
}
"""Page -> words that stand on it only where there is something to show, and the address that shows it."""


@pytest.fixture(scope="module")
def full_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calls, two models that answered, three runs."""
    lake = make_lake(tmp_path_factory.mktemp("full") / "lake")
    add_other_answers(lake, [(0, "neutral", 0.05), (1, "sad", 0.1), (2, "angry", 0.9)], "b" * 32)
    for night in range(3):
        add_night(lake, night, ["happy", "sad"] * 10)
    return Path(lake.address)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    made = Registry(folder / "registry")
    assert promote(made, run(folder / "calls-1", 0.9), Gate(0.6), "calls-1").promoted
    return made.folder


@pytest.fixture
def _registered(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REGISTRY_VARIABLE, str(registry))


def opened(name: str, address: dict[str, str]) -> AppTest:
    """A page under the menu, as it is when somebody opens this address."""
    page = AppTest.from_file(str(MAIN), default_timeout=240)
    for key, value in address.items():
        page.query_params[key] = value
    return page.switch_page(f"pages/{name}.py").run()


def said(page: AppTest) -> str:
    parts = [page.info, page.text, page.markdown, page.caption, page.subheader]
    return "\n".join(str(one.value) for part in parts for one in part)


def test_every_page_of_the_menu_is_among_them() -> None:
    scripts = (MAIN.parent / "pages").glob("*.py")
    assert sorted(script.stem for script in scripts) == sorted(NAMES) == sorted(FULL)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("_registered")
def test_a_full_page_shows_what_the_lake_holds(full_lake: Path, name: str) -> None:
    words, address = FULL[name]
    with dashboard_of(full_lake):
        page = opened(name, address)

    assert not page.exception
    assert not page.error
    assert words in said(page)
    assert "The lake as of commit" in said(page)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_an_empty_lake_says_how_to_fill_it(tmp_path: Path, name: str) -> None:
    Lake(tmp_path / "lake").create()
    with dashboard_of(tmp_path / "lake"):
        page = opened(name, FULL[name][1])

    assert not page.exception
    assert not page.error
    assert "mmer score" in page.info[0].value


@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_a_damaged_lake_says_so_in_words_and_what_to_do(lake: Path, tmp_path: Path, name: str) -> None:
    damaged = tmp_path / "lake"
    shutil.copytree(lake, damaged)
    with dashboard_of(damaged):
        for file in damaged.rglob("*.parquet"):
            file.write_bytes(b"no Parquet")
        shutil.rmtree(damaged / "commits" / "_delta_log")
        page = opened(name, FULL[name][1])

    assert not page.exception
    assert "cannot be read" in page.error[0].value
    assert "mmer lake verify" in page.error[0].value
    assert not page.dataframe
    assert not page.metric


@pytest.mark.parametrize("name", ["overview", "recordings", "search", "compare"])
def test_filters_that_leave_nothing_say_which_to_clear(full_lake: Path, name: str) -> None:
    with dashboard_of(full_lake):
        page = opened(name, {"text": "never said"})

    assert not page.exception
    assert "Clear one of them" in page.info[0].value


@pytest.mark.parametrize("name", NAMES)
def test_who_may_see_none_of_the_corpora_is_told_whom_to_ask(
    lake: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.page.name_of_viewer", lambda _: "ann")
    with dashboard_of(lake, of_viewers(Viewer("ann", ("elsewhere",)))):
        page = opened(name, FULL[name][1])

    assert not page.exception
    assert "Ask whoever runs it for access" in page.info[0].value
    assert "support" not in said(page)


@pytest.mark.parametrize("name", NAMES)
def test_a_stranger_is_shown_nothing_and_is_logged(lake: Path, tmp_path: Path, name: str) -> None:
    audit = tmp_path / "audit.jsonl"
    with dashboard_of(lake, of_viewers(Viewer("anna", ("support",))), audit):
        page = opened(name, FULL[name][1])

    assert page.error[0].value == "Not shown to you."
    assert not page.metric
    assert not page.dataframe
    assert json.loads(audit.read_text())["event"] == "refused"


@pytest.mark.parametrize("name", NAMES)
def test_characters_that_no_text_has_in_an_address_do_no_harm(lake: Path, name: str) -> None:
    strange = "\x00'\u202e\U0001f600"
    with dashboard_of(lake):
        page = opened(name, {"text": strange, "recording": strange, "of": "support", "at": "1e999", "part": "-1"})

    assert not page.exception

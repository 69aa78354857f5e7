"""What a server does before it says its address."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from dashboard.questions.corpora import all_corpora
from dashboard.session import Dashboard
from dashboard.warming import warm_up
from mmer_ray.lake.store import Lake
from tests.dashboard.makers import dashboard_of, make_lake
from tests.dashboard.test_pages import opened


@pytest.fixture(autouse=True)
def _garbage_of_other_tests_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gc.freeze", lambda: None)


def test_who_opens_the_overview_first_waits_for_no_question(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm_up(dashboard)

    def table(query: str, parameters: dict[str, Any]) -> None:
        raise AssertionError(f"asked only now: {query}")

    monkeypatch.setattr(dashboard.reader, "table", table)
    page = opened("overview")

    assert not page.exception
    assert page.metric


def test_a_damaged_lake_is_told_of_by_its_pages_not_by_the_start(tmp_path: Path) -> None:
    make_lake(tmp_path / "lake")
    with dashboard_of(tmp_path / "lake") as damaged:
        for file in (tmp_path / "lake").rglob("*.parquet"):
            file.write_bytes(b"no Parquet")
        shutil.rmtree(tmp_path / "lake" / "commits" / "_delta_log")
        warm_up(damaged)
        page = opened("overview")

    assert "cannot be read" in page.error[0].value


def test_an_empty_lake_is_no_obstacle(tmp_path: Path) -> None:
    Lake(tmp_path / "lake").create()
    with dashboard_of(tmp_path / "lake") as empty:
        warm_up(empty)

        assert empty.ask(all_corpora()).num_rows == 0

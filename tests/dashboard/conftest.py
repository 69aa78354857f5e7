from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.session import Dashboard
from tests.dashboard.makers import dashboard_of, make_lake

MAIN = sys.modules["__main__"]
"""What this process was started with."""


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake of `makers.CALLS`; nobody writes to it."""
    address = tmp_path_factory.mktemp("dashboard") / "lake"
    make_lake(address)
    return address


@pytest.fixture
def dashboard(lake: Path) -> Iterator[Dashboard]:
    with dashboard_of(lake) as served:
        yield served


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """AppTest runs a page as `__main__` and leaves it there: processes that later tests start would run the page."""
    yield
    sys.modules["__main__"] = MAIN

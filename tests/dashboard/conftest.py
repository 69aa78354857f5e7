from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dashboard.session import Dashboard
from tests.dashboard.makers import dashboard_of, make_lake

if TYPE_CHECKING:
    from tests.dashboard.shown_pages import Shown

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


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The whole dashboard in a browser: a server and a browser for each file of tests."""
    # Most tests here need none of what the whole lake is made with.
    from tests.dashboard.shown_pages import whole_dashboard

    with whole_dashboard(tmp_path_factory.mktemp("whole")) as found:
        yield found


@pytest.fixture
def shown(whole: Shown) -> Iterator[Shown]:
    """The same for one test: at its end nothing was asked of other hosts, and the console tells of no error."""
    yield whole
    whole.assert_quiet()


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """AppTest runs a page as `__main__` and leaves it there: processes that later tests start would run the page."""
    yield
    sys.modules["__main__"] = MAIN

"""The whole dashboard over `whole_lake` in a browser, and what people do with it: open, choose, read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from mmer_ray.lake.queries import LakeReader, open_lake
from mmer_ray.models.registered import REGISTRY_VARIABLE
from mmer_ray.tables import Row
from mmer_ray.training.registry.promotion import promote
from mmer_ray.training.registry.registry import Registry
from mmer_ray.training.registry.verdict import Gate
from tests.dashboard.browser import WAIT_S, Watched, chromium, dashboard_at, eventually, wait_until_drawn
from tests.dashboard.whole_lake import whole_lake
from tests.training.registry.makers import run

VIEWPORT = {"width": 1400, "height": 1000}
FOOT = "The lake as of commit"
ERRORS = "[data-testid=stException], [data-testid=stAlertContentError]"
RECORDINGS = "One row per recording; choose one to open it"
"""What the list of recordings is called for those who do not see it."""
HITS, PLAYER = ".hits", ".player"


def sound_of(part: str) -> str:
    """JavaScript for the audio element of the component with this part."""
    roots = "[...document.querySelectorAll('[data-testid=stBidiComponentIsolated]')].map((one) => one.shadowRoot)"
    return f"{roots}.find((root) => root?.querySelector('{part}')).querySelector('audio')"


@dataclass
class Shown:
    """A page of the browser on this dashboard."""

    watched: Watched
    reader: LakeReader
    browser: Any

    @property
    def page(self) -> Any:
        return self.watched.page

    @property
    def address(self) -> dict[str, list[str]]:
        """What the page's address has after the question mark."""
        return parse_qs(urlsplit(self.page.url).query)

    def open(self, path: str = "", **query: Any) -> None:
        """Come to a page by its address, as if for the first time, and wait until all of it is there."""
        asked = f"?{urlencode(query, doseq=True)}" if query else ""
        self.page.goto(f"{self.watched.address}/{path}{asked}")
        self.page.get_by_text(FOOT).wait_for()
        wait_until_drawn(self.page)

    def assert_quiet(self) -> None:
        """Nothing was asked of other hosts, and the console tells of no error; it is then forgotten."""
        errors, self.watched.errors = self.watched.errors, []
        assert self.watched.strangers == [], self.watched.strangers
        assert errors == [], errors

    def ask(self, sql: str, **values: Any) -> list[Row]:
        """What the lake answers."""
        return self.reader.rows(sql, values)

    def tile(self, label: str) -> str:
        """A figure in large print, by what is written above it."""
        tile = self.page.get_by_test_id("stMetric").filter(has=self.page.get_by_text(label, exact=True))
        found: str = tile.get_by_test_id("stMetricValue").inner_text()
        return found

    def counted(self, what: str) -> str:
        """How many there are of them, in bold above a list."""
        found: str = self.page.locator("strong", has_text=what).inner_text()
        return found

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a table, as it gives them to those who do not see its canvas."""
        grid = self.page.get_by_role("region", name=name).locator("[role=grid]")
        read = "(rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent))"
        titles, *rows = grid.locator("[role=row]").evaluate_all(read)
        return [dict(zip(titles, row, strict=True)) for row in rows]

    def sound_s(self, part: str = PLAYER) -> float:
        """The second at which the sound of the page stands."""
        found: float = self.page.evaluate(f"{sound_of(part)}.currentTime")
        return found

    def wait_for_sound_at(self, second: float, part: str = PLAYER) -> None:
        """Until it stands there; it must have been loaded as far."""
        audio = sound_of(part)
        self.page.locator(part).wait_for()
        self.page.wait_for_function(f"{audio}.readyState > 0 && Math.abs({audio}.currentTime - {second}) < 0.1")

    def wait_for_address(self, name: str, values: list[str]) -> None:
        """Until the page's address has these values under a name."""
        eventually(lambda: self.address[name], values, self.page)

    def wait_for_recording(self) -> None:
        """Until a recording was opened, and the address names it and its second."""
        self.page.locator(PLAYER).wait_for()
        eventually(lambda: {"recording", "at"} <= self.address.keys(), True, self.page)

    def choose(self, label: str, value: str) -> None:
        """Choose one more in a list of the filter bar."""
        self.page.get_by_role("combobox", name=label).click()
        self.page.get_by_role("option", name=value, exact=True).click()
        self.page.keyboard.press("Escape")

    def choose_days(self, *days: str) -> None:
        """Two days of the calendar, as it calls them."""
        self.page.get_by_role("button", name="Choose date range").click()
        for day in days:
            self.page.get_by_role("button", name=day).click()
        self.page.keyboard.press("Escape")

    def type_words(self, text: str) -> None:
        field = self.page.get_by_role("textbox", name="Words said")
        field.fill(text)
        field.press("Enter")

    def raise_confidence(self, tenths: int) -> None:
        """The least confidence, by so many tenths."""
        self.page.get_by_role("button", name="More").click()
        slider = self.page.get_by_role("slider")
        slider.focus()
        for _ in range(tenths):
            slider.press("PageUp")
        self.page.keyboard.press("Escape")

    def leave_out_unanswered(self) -> None:
        self.page.get_by_role("button", name="More").click()
        self.page.get_by_text("Include utterances without an answer").click()
        self.page.keyboard.press("Escape")

    @contextmanager
    def elsewhere(self) -> Iterator[Shown]:
        """Another browser window, which knows nothing of this one."""
        context = self.browser.new_context(viewport=VIEWPORT, reduced_motion="reduce")
        try:
            other = Shown(_watched(context, self.watched.address), self.reader, self.browser)
            yield other
            other.assert_quiet()
        finally:
            context.close()


@contextmanager
def whole_dashboard(folder: Path) -> Iterator[Shown]:
    """The server and the browser; two models are registered, the second one is active."""
    registry = Registry(folder / "registry")
    for name, skill in (("calls-1", 0.7), ("calls-2", 0.9)):
        assert promote(registry, run(folder / name, skill), Gate(0.6), name).promoted
    lake = whole_lake(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(REGISTRY_VARIABLE, str(registry.folder))
        with (
            open_lake(lake.address) as reader,
            dashboard_at(lake.address, folder / "cache") as address,
            chromium() as browser,
        ):
            context = browser.new_context(viewport=VIEWPORT, reduced_motion="reduce")
            yield Shown(_watched(context, address), reader, browser)


def _watched(context: Any, address: str) -> Watched:
    page = context.new_page()
    page.set_default_timeout(1000 * WAIT_S)
    return Watched(page, address)

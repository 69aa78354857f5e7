"""No serious fault that axe-core finds on any page, light and dark, with everything on it unfolded."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from tests.dashboard.browser import wait_until_drawn
from tests.dashboard.shown_pages import PLAYER, Shown
from tests.dashboard.whole_lake import SUPPORT

pytestmark = pytest.mark.xdist_group("accessibility")
SERIOUS = ("serious", "critical")
TALL = {"width": 1400, "height": 4000}
"""So that all of a page is in sight: axe-core does not judge the colours of what has to be scrolled to."""


@pytest.fixture(scope="module", autouse=True)
def _judged(whole: Shown) -> None:
    whole.page.set_viewport_size(TALL)
    whole.page.add_init_script(AXE_SCRIPT)


def faults(page: Any) -> list[str]:
    """What axe-core finds, a line each."""
    page.evaluate("() => document.fonts.ready")
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {node['target']} {node['html'][:200]} {[why['message'] for why in node['any'] + node['all']]}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def unfold(shown: Shown) -> None:
    """Open all that can be opened without leaving the page."""
    folded = shown.page.locator("details:not([open]) > summary")
    while folded.count():
        one = folded.first.element_handle()
        one.click()
        shown.page.wait_for_function("(one) => one.parentElement.open || !one.isConnected", arg=one)
        wait_until_drawn(shown.page)
    if shown.page.locator(PLAYER).count():
        shown.page.get_by_role("button", name="Heard wrong").first.click()
        shown.page.locator("form.correction").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "recordings", "recording", "search", "compare", "runs", "models", "method"])
def test_a_page_has_no_serious_fault(shown: Shown, path: str, scheme: str) -> None:
    shown.page.emulate_media(color_scheme=scheme)
    query = {"text": "tired"} if path in ("recordings", "search") else {}
    if path == "recording":
        query = {"recording": shown.ask("SELECT min(recording_id) AS id FROM calls")[0]["id"], "of": SUPPORT}
    shown.open(path, **query)
    unfold(shown)

    assert faults(shown.page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_filter_bar_has_none_while_something_is_chosen(shown: Shown, scheme: str) -> None:
    shown.page.emulate_media(color_scheme=scheme)
    shown.open("", corpus=SUPPORT, days=["2026-11-20", "2026-11-21"], label="angry", confidence="0.3")
    shown.page.get_by_role("button", name="More").click()
    shown.page.get_by_role("slider").wait_for()
    wait_until_drawn(shown.page)

    assert faults(shown.page) == []


def test_a_fault_would_have_been_found(shown: Shown) -> None:
    shown.page.emulate_media(color_scheme="light")
    shown.open("method")
    shown.page.evaluate("() => { document.querySelector('h1').style.color = '#eeeeee'; }")

    assert [one.split(":")[0] for one in faults(shown.page)] == ["color-contrast"]

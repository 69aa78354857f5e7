"""The list of utterances in a real browser: read, heard, opened at its second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.dashboard.browser import Watched, chromium, dashboard_at, eventually, wait_until_drawn
from tests.dashboard.lakes import call_lake

pytestmark = pytest.mark.xdist_group("hits")
WAIT_MS = 90_000
AUDIO = "[...document.querySelectorAll('*')].find((one) => one.shadowRoot?.querySelector('.hits')).shadowRoot" + (
    ".querySelector('audio')"
)


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("hits")
    lake = call_lake(folder, (90.0,))
    with dashboard_at(lake.address, folder / "cache") as address, chromium() as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce").new_page()
        page.set_default_timeout(WAIT_MS)
        yield Watched(page, address)


def open_search(search: Watched) -> Any:
    search.page.goto(f"{search.address}/search?text=told+last+week")
    hit = search.page.locator(".hit").first
    hit.wait_for()
    return hit


def test_the_words_searched_for_are_marked(search: Watched) -> None:
    assert open_search(search).locator("mark").first.inner_text() == "told last week"


def test_a_hit_plays_its_own_seconds_and_stops(search: Watched) -> None:
    hit = open_search(search)
    hit.locator(".play").click()
    search.page.wait_for_function(f"!{AUDIO}.paused && {AUDIO}.currentTime > 0")
    began = search.page.evaluate(f"{AUDIO}.src.split('#t=')[1].split(',').map(Number)")
    eventually(lambda: hit.locator(".play").get_attribute("aria-pressed"), "true", search.page)
    search.page.wait_for_function(f"{AUDIO}.paused")

    ended = search.page.evaluate(f"{AUDIO}.currentTime")
    assert began[0] < ended <= began[1] + 0.5


def test_a_hit_whose_address_grew_too_old_is_played_from_a_newer_one(search: Watched) -> None:
    refused: set[str] = set()

    def refuse_the_first(route: Any) -> None:
        address = route.request.url.partition("#")[0]
        if not refused or address in refused:
            refused.add(address)
            route.fulfill(status=403, body="this address is too old")
        else:
            route.continue_()

    search.page.route("**/sound/**", refuse_the_first)
    try:
        open_search(search).locator(".play").click()
        search.page.wait_for_function(f"!{AUDIO}.paused && {AUDIO}.currentTime > 0 && !{AUDIO}.error")
    finally:
        search.page.unroute("**/sound/**")
        search.errors = [one for one in search.errors if "403" not in one]
    assert len(refused) == 1
    assert search.page.locator(".message").inner_text() == ""


def test_a_hit_opens_its_recording_at_its_second(search: Watched) -> None:
    hit = open_search(search)
    asked = parse_qs(urlsplit(hit.locator(".open").get_attribute("href")).query)
    hit.locator(".open").click()
    search.page.locator(".player").wait_for()

    eventually(lambda: urlsplit(search.page.url).path, "/recording", search.page)
    eventually(lambda: named(search.page.url, "recording", "of", "at"), asked, search.page)


def named(address: str, *names: str) -> dict[str, list[str]]:
    """What an address has under these names."""
    found = parse_qs(urlsplit(address).query)
    return {name: found[name] for name in names}


def test_nothing_was_asked_of_others_and_nothing_failed(search: Watched) -> None:
    assert search.strangers == [], search.strangers
    assert search.errors == [], search.errors


def test_the_list_keeps_no_sound_of_its_own(tmp_path: Path, search: Watched) -> None:
    """Until somebody plays one, no sound is fetched."""
    fetched: list[str] = []
    search.page.on("request", lambda request: fetched.append(request.url) if "/sound/" in request.url else None)
    open_search(search)
    wait_until_drawn(search.page)

    assert fetched == []

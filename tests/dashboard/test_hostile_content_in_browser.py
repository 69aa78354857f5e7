"""What others wrote is text on every page: nothing is made of it, nothing runs, nothing is fetched, nothing turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.dashboard import hostile
from tests.dashboard.browser import Watched, chromium, dashboard_at, eventually, wait_until_drawn

pytestmark = pytest.mark.xdist_group("hostile")
WAIT_MS = 60_000
PAGES: dict[str, dict[str, str]] = {
    "overview": {},
    "recordings": {"label": "angry"},
    "recording": {"recording": hostile.RECORDING, "of": hostile.CORPUS, "at": "12"},
    "search": {"text": "evil.example"},
    "compare": {},
    "runs": {},
    "models": {},
    "method": {},
}
MADE = (
    'img[src="x"]', 'img[src*="evil"]', 'a[href*="evil"]', "script:has-text('__hit')", "svg[onload]", ".katex",
    '[data-testid=stIconMaterial]:has-text("home")', 'strong:text-is("b")', 'b:text-is("furious")',
)  # fmt: skip
"""What an attack would have become; `:has-text` and the like look into shadow roots too."""
PLACES = """(element) => {
    const walk = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const places = [];
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        for (let at = 0; at < node.length; at += 1) {
            const range = document.createRange();
            range.setStart(node, at);
            range.setEnd(node, at + 1);
            const { left, top } = range.getBoundingClientRect();
            places.push([node.data[at], left, top]);
        }
    }
    return places;
}"""
"""Each character under an element, with where it is drawn."""


@dataclass
class Attacked:
    """The page, and what was done by it."""

    watched: Watched
    dialogs: list[str] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)
    """Paths on our own server."""

    @property
    def page(self) -> Any:
        return self.watched.page

    def open(self, name: str, address: dict[str, str]) -> None:
        """Come to a page, and wait until all of it is there."""
        self.page.goto(f"{self.watched.address}/{name}?{urlencode(address)}")
        self.page.get_by_text("Show the SQL", exact=True).wait_for()
        wait_until_drawn(self.page)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("hostile")
    lake = hostile.hostile_lake(folder)
    with dashboard_at(lake.address, folder / "cache") as address, chromium() as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce").new_page()
        page.set_default_timeout(WAIT_MS)
        found = Attacked(Watched(page, address))
        page.on("dialog", lambda dialog: (found.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: found.asked_for.append(urlsplit(request.url).path))
        yield found


@pytest.fixture(autouse=True)
def _nothing_ran_and_nobody_else_was_asked(attacked: Attacked) -> Iterator[None]:
    yield
    assert attacked.page.evaluate("window.__hit") is None
    assert attacked.dialogs == [], attacked.dialogs
    assert attacked.watched.strangers == [], attacked.watched.strangers
    assert [path for path in attacked.asked_for if path.endswith("/x")] == []
    errors, attacked.watched.errors = attacked.watched.errors, []
    assert errors == [], errors


def is_drawn_from_left_to_right(page: Any, selector: str, text: str) -> bool:
    """Whether the last place where an element has this text is drawn in reading order."""
    places = page.locator(selector).first.evaluate(PLACES)
    at = "".join(one[0] for one in places).rindex(text)
    drawn = places[at : at + len(text)]
    return all(one[2] < other[2] or one[1] < other[1] for one, other in pairwise(drawn) if other[0] != " ")


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_made_of_what_others_wrote(attacked: Attacked, name: str) -> None:
    attacked.open(name, PAGES[name])
    attacked.page.get_by_text("Show the SQL", exact=True).click()
    attacked.page.locator("[data-testid=stCode]").first.wait_for()
    for expander in ("The files that failed", "Options of the profile"):
        for found in attacked.page.get_by_text(expander).all():
            found.click()
    wait_until_drawn(attacked.page)

    assert {made: attacked.page.locator(made).count() for made in MADE} == dict.fromkeys(MADE, 0)
    assert attacked.page.get_by_text("This app has encountered an error").count() == 0


def test_a_recording_that_failed_tells_why_as_text(attacked: Attacked) -> None:
    attacked.page.goto(f"{attacked.watched.address}/recording?{urlencode({'recording': hostile.FAILED})}")
    attacked.page.get_by_text("was not scored").wait_for()
    wait_until_drawn(attacked.page)

    assert hostile.MARKDOWN in attacked.page.locator("[data-testid=stText]").nth(1).inner_text()
    assert attacked.page.locator(", ".join(MADE)).count() == 0


def test_the_player_shows_the_attack_letter_by_letter(attacked: Attacked) -> None:
    attacked.open("recording", PAGES["recording"])
    row = attacked.page.locator(".row").nth(1)

    assert row.locator(".text").text_content() == f"{hostile.ATTACK} {hostile.CONTROLS}"
    assert hostile.MARKDOWN in row.locator(".note.person").first.text_content()
    assert attacked.page.locator(".player h1").text_content().startswith("<img src=x onerror=window.__hit=4>")
    assert hostile.SCRIPT in attacked.page.locator(".row .speaker").first.text_content()


def test_marks_of_direction_turn_nothing_that_stands_beside_them(attacked: Attacked) -> None:
    attacked.open("recording", PAGES["recording"])
    assert is_drawn_from_left_to_right(attacked.page, ".player .facts", "2026-11-02")
    assert is_drawn_from_left_to_right(attacked.page, ".player .facts", "0:40")
    assert is_drawn_from_left_to_right(attacked.page, ".details .who", "0:10 to 0:20")
    first, second = attacked.page.locator(".row").nth(1).locator(".text, .chip").all()
    assert first.bounding_box()["x"] < second.bounding_box()["x"]

    attacked.open("search", PAGES["search"])
    assert is_drawn_from_left_to_right(attacked.page, ".hit .text", hostile.SQL)
    assert is_drawn_from_left_to_right(attacked.page, ".hit .open", "0:10 in")
    assert is_drawn_from_left_to_right(attacked.page, ".hit .place", "2026-11-02")


def test_quotes_and_statements_typed_into_a_filter_are_looked_for_as_they_stand(attacked: Attacked) -> None:
    attacked.open("search", {})
    words = attacked.page.get_by_label("Words said")
    words.fill(hostile.SQL)
    words.press("Enter")
    attacked.page.locator(".hit mark").first.wait_for()
    eventually(attacked.page.locator(".hit mark").all_text_contents, [hostile.SQL], attacked.page)
    eventually(attacked.page.locator(".hit").count, 1, attacked.page)

    attacked.page.get_by_text("Show the SQL", exact=True).click()
    code = attacked.page.locator("[data-testid=stCode]", has_text="contains(lower(text), lower(")
    asked = code.first.inner_text()
    as_value = "lower('''; DROP TABLE calls; --')"
    assert asked.count("DROP TABLE") == asked.count(as_value) > 0


def test_a_hundred_kilobytes_in_one_utterance_are_bounded_in_lists_and_whole_in_the_transcript(
    attacked: Attacked,
) -> None:
    attacked.open("search", {"text": "word <b>bold</b>"})
    listed = attacked.page.locator(".hit .text").first
    assert len(listed.text_content()) < 5_000
    assert listed.bounding_box()["height"] < 300

    attacked.open("recording", {"recording": hostile.LONG_RECORDING, "of": hostile.CORPUS, "at": "5"})
    text = attacked.page.locator(".row").nth(1).locator(".text")
    assert text.text_content() == hostile.LONG_TEXT
    attacked.page.locator(".row .time").nth(2).click()
    attacked.page.locator(".row.now", has_text="good bye").wait_for()
    assert attacked.page.locator(".rows").bounding_box()["height"] < 500

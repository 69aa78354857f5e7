"""A link to a second is heard before Streamlit has come, and the page's player goes on with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from mmer_ray.lake.erasure import erase_recordings, find_recordings
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from tests.dashboard.browser import Watched, chromium, dashboard_at
from tests.dashboard.lakes import call_lake
from tests.dashboard.test_accessibility_in_browser import faults

pytestmark = pytest.mark.xdist_group("early")
PLAYERS = "document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot"
STREAMLIT = re.compile(r"/static/js/index\.[^.]+\.js$")
"""Its main script."""
TOP = "document.getElementById('root').getBoundingClientRect().top"
VIEWPORT = {"width": 1280, "height": 900}
AT_S = 40
NAMES = ("call_0.wav", "call_1.wav", "call_0.au")


@dataclass
class Shown:
    """A browser, and links of a dashboard."""

    browser: Any
    address: str
    lake: Lake
    ids: dict[str, str]

    def link(self, name: str = "call_0.wav") -> str:
        return f"{self.address}/recording?recording={self.ids[name]}&of=calls&at={AT_S}"


@dataclass
class Held:
    """A page whose Streamlit is held back until `let_through`."""

    watched: Watched
    sounds: list[str]
    """Addresses of sound that it asked for, without their ranges."""
    held: list[Any]
    is_held: bool = True

    @property
    def page(self) -> Any:
        return self.watched.page

    @property
    def bar(self) -> Any:
        return self.page.locator("#early-sound")

    @property
    def button(self) -> Any:
        return self.bar.get_by_role("button")

    def open(self, link: str) -> None:
        """Come to a link; the early sound is then `was`."""
        self.page.goto(link, wait_until="commit")
        # On a busy machine the lake may take longer than a page waits for it; its answer is then kept.
        while "early-sound" not in self.page.content():
            self.held.clear()
            self.page.goto(link, wait_until="commit")
        self.button.wait_for()
        self.page.evaluate("() => { window.was = window.earlySound.audio; }")

    def let_through(self) -> None:
        self.is_held = False
        for one in self.held:
            one.continue_()

    def hold(self, route: Any) -> None:
        """Keep a request waiting, as long as anything is held back."""
        if self.is_held:
            self.held.append(route)
        else:
            route.continue_()

    def wait_for_time(self, least_s: float) -> None:
        self.page.wait_for_function(f"was.currentTime >= {least_s} && !was.paused")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("early")
    call_lake(folder, (90.0, 300.0))
    lake = call_lake(folder, (80.0,), container="au")
    with open_lake(lake.address) as reader:
        ids = {name: reader.find_recording(name)["recording_id"] for name in NAMES}
    with dashboard_at(lake.address, folder / "cache") as address, chromium() as browser:
        yield Shown(browser, address, lake, ids)


@contextmanager
def held(shown: Shown, scheme: str = "light") -> Iterator[Held]:
    """A new context's page; in the end nothing else was asked and the console told of no error."""
    context = shown.browser.new_context(viewport=VIEWPORT, color_scheme=scheme)
    context.set_default_timeout(60_000)
    made = Held(Watched(context.new_page(), shown.address), [], [])
    made.page.route(STREAMLIT, made.hold)
    made.page.on("request", lambda one: made.sounds.append(one.url) if "/sound/" in one.url else None)
    try:
        yield made
        assert made.watched.strangers == []
        assert made.watched.errors == []
    finally:
        context.close()


@pytest.mark.parametrize("name", ["call_0.wav", "call_0.au"])
def test_the_button_plays_at_the_second_and_the_player_goes_on_with_the_same_sound(shown: Shown, name: str) -> None:
    with held(shown) as early:
        early.open(shown.link(name))
        early.page.wait_for_function(f"was.readyState >= 2 && Math.abs(was.currentTime - {AT_S}) < 0.01")
        assert early.page.evaluate("was.paused")
        early.button.click()
        early.wait_for_time(AT_S + 0.2)
        early.page.evaluate("() => { was.addEventListener('pause', () => { window.wasPaused = true; }); }")
        assert early.page.evaluate("was.currentTime") < AT_S + 20
        assert early.page.locator("[data-testid=stApp]").count() == 0
        early.let_through()
        early.page.locator(".player[data-waveform=drawn]").wait_for()
        early.page.get_by_role("button", name="Pause", exact=True).wait_for()
        assert early.bar.count() == 0
        assert early.page.evaluate(f"{PLAYERS}.querySelector('audio') === was")
        heard_s = early.page.evaluate("was.currentTime")
        early.wait_for_time(heard_s + 0.2)
        assert early.page.evaluate("window.wasPaused") is None
        assert len(set(early.sounds)) == 1, early.sounds


def test_a_sound_that_nobody_began_waits_in_the_player_at_its_second(shown: Shown) -> None:
    with held(shown) as early:
        early.open(shown.link())
        early.let_through()
        early.page.get_by_role("button", name="Play", exact=True).wait_for()
        early.bar.wait_for(state="detached")
        early.page.wait_for_function(f"was.readyState >= 2 && Math.abs(was.currentTime - {AT_S}) < 0.01")
        assert early.page.evaluate(f"{PLAYERS}.querySelector('audio') === was && was.paused")
        early.page.keyboard.press("ArrowLeft")
        early.page.wait_for_function(f"Math.abs(was.currentTime - {AT_S - 5}) < 0.01")


def test_keys_reach_the_button_and_the_focus_goes_on_to_the_players(shown: Shown) -> None:
    with held(shown) as early:
        early.open(shown.link())
        early.page.keyboard.press("Tab")
        early.page.keyboard.press("Space")
        early.wait_for_time(AT_S + 0.1)
        assert early.button.inner_text().strip() == "Pause"
        early.page.keyboard.press("Enter")
        early.page.wait_for_function("was.paused")
        early.let_through()
        early.page.locator(".player").wait_for()
        assert early.page.evaluate(f"{PLAYERS}.activeElement?.className") == "play"
        early.page.keyboard.press("Space")
        early.wait_for_time(AT_S + 0.2)


def test_it_stops_and_goes_away_where_the_page_has_no_player(shown: Shown) -> None:
    with held(shown) as early:
        early.open(shown.link("call_1.wav"))
        early.button.click()
        early.wait_for_time(AT_S + 0.1)
        erase_recordings(shown.lake, find_recordings(shown.lake, ["call_1.wav"]), None)
        sound = early.page.evaluate("was.src")
        while early.page.request.head(sound).status != 404:
            early.page.wait_for_timeout(200)
        early.let_through()
        early.page.get_by_text("There is no recording").wait_for()
        early.bar.wait_for(state="detached")
        early.page.wait_for_function("was.paused && !was.hasAttribute('src')")


def test_it_stops_where_another_page_is_chosen_before_the_player_has_come(shown: Shown) -> None:
    with held(shown) as early:
        # The place of the player is never filled: its part of Streamlit's script does not come.
        early.page.route("**/static/js/BidiComponent.*.js", lambda _: None)
        early.open(shown.link())
        early.button.click()
        early.let_through()
        early.page.get_by_role("link", name="Method and limits").click()
        early.bar.wait_for(state="detached")
        early.page.wait_for_function("was.paused && !was.hasAttribute('src')")


def test_a_sound_that_cannot_be_had_leaves_the_page_to_the_player(shown: Shown) -> None:
    with held(shown) as early:
        early.page.route("**/sound/**", lambda route: route.fulfill(status=404, body="gone"))
        early.page.goto(shown.link(), wait_until="commit")
        early.page.wait_for_function("document.getElementById('root') && !window.earlySound")
        early.bar.wait_for(state="detached")
        early.let_through()
        early.page.locator(".message", has_text="no longer where it was").wait_for()
        early.watched.errors = [one for one in early.watched.errors if "404" not in one]


def test_a_sound_that_does_not_come_holds_the_page_back_for_a_moment_alone(shown: Shown) -> None:
    with held(shown) as early:
        early.is_held = False
        early.page.route("**/sound/**", lambda _: None)
        early.page.goto(shown.link(), wait_until="commit")
        early.page.locator(".player[data-waveform=drawn]").wait_for()
        early.bar.wait_for(state="detached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_button_has_no_serious_fault_and_moves_nothing(shown: Shown, scheme: str) -> None:
    with held(shown, scheme) as early:
        early.page.add_init_script(AXE_SCRIPT)
        early.open(shown.link())
        assert faults(early.page) == []
        place = early.button.bounding_box()
        top = early.page.evaluate(TOP)
        early.page.add_style_tag(content="#early-sound { display: none; }")
        assert early.page.evaluate(TOP) == top
        early.let_through()
        player = early.page.get_by_role("button", name="Play", exact=True)
        player.wait_for()
        # It is where the player's is, so that a finger on its way presses the same.
        assert player.bounding_box()["x"] == pytest.approx(place["x"], abs=2)
        assert player.bounding_box()["y"] == pytest.approx(place["y"], abs=8)

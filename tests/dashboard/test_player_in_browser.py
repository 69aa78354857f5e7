"""The page of a recording in a real browser: it plays, follows, and writes what people say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.lake.heard_speakers import Rename
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.speaker_edits import edit_speakers
from mmer_ray.lake.store import Lake
from mmer_ray.records import Utterance
from mmer_ray.tables import Row
from tests.dashboard.browser import Watched, chromium, dashboard_at, eventually
from tests.dashboard.lakes import call_lake

pytestmark = pytest.mark.xdist_group("player")
HOSTILE = "<img src=x onerror=alert(1)><b>Ann"
AUDIO = "document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot.querySelector('audio')"
DURATION_S = 200.0


@dataclass
class Shown:
    """The page, and what it shows."""

    watched: Watched
    lake: Lake
    recording_id: str
    utterances: tuple[Utterance, ...]

    @property
    def page(self) -> Any:
        return self.watched.page

    def open(self, at_s: float | None = None, more: str = "") -> None:
        """Come to the page by its address, as if for the first time."""
        at = "" if at_s is None else f"&at={at_s:g}"
        self.page.goto(f"{self.watched.address}/recording?recording={self.recording_id}&of=calls{at}{more}")
        self.page.locator(".player[data-waveform=drawn]").wait_for(timeout=60_000)

    def wait_for_time(self, least_s: float, most_s: float) -> None:
        self.page.wait_for_function(f"{AUDIO}.currentTime >= {least_s} && {AUDIO}.currentTime <= {most_s}")

    def said(self) -> list[Row]:
        query = "SELECT utterance_idx, rater, verdict, scorer, label, text FROM annotations ORDER BY utterance_idx"
        with open_lake(self.lake.address) as reader:
            return reader.rows(query, {})

    def row(self, index: int) -> Any:
        return self.page.locator(".row").nth(index)

    def wait_for_message(self, text: str) -> None:
        self.page.locator(".message", has_text=text).wait_for(timeout=60_000)

    def scored(self) -> int:
        """The first utterance with a label, far from the beginning."""
        return next(at for at, one in enumerate(self.utterances) if at > 3 and one.emotions[0].label)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("player")
    lake = call_lake(folder, (DURATION_S,))
    with open_lake(lake.address) as reader:
        conversation = reader.conversation("call_0.wav")
    with dashboard_at(lake.address, folder / "cache", "--audit-log", str(folder / "audit")) as address, chromium() as b:
        context = b.new_context(
            viewport={"width": 1280, "height": 1000},
            reduced_motion="reduce",
            permissions=["clipboard-read", "clipboard-write"],
        )
        watched = Watched(context.new_page(), address)
        watched.page.set_default_timeout(30_000)
        yield Shown(watched, lake, conversation.recording["recording_id"], conversation.utterances)


@pytest.fixture(autouse=True)
def _nothing_else_is_asked_and_no_error_is_shown(shown: Shown) -> Iterator[None]:
    yield
    assert shown.watched.strangers == [], shown.watched.strangers
    errors, shown.watched.errors = shown.watched.errors, []
    assert errors == [], errors


def test_a_deep_link_opens_at_its_second_plays_and_the_transcript_follows(shown: Shown) -> None:
    one = shown.utterances[shown.scored()]
    shown.open(one.start_s + 0.1)
    shown.wait_for_time(one.start_s, one.start_s + 0.2)
    now = shown.page.locator(".row.now")
    eventually(lambda: now.locator(".text").inner_text(), one.text, shown.page)
    eventually(lambda: is_inside(now, shown.page.locator(".rows")), True, shown.page)
    eventually(lambda: now.locator(".text .word").inner_text(), one.words[0].word, shown.page)
    shown.page.get_by_role("button", name="Play", exact=True).click()
    following = next(other for other in shown.utterances if other.start_s > one.end_s)
    shown.wait_for_time(following.start_s + 0.1, following.end_s)
    shown.page.locator(".row.now", has_text=following.text).wait_for()
    shown.page.get_by_role("button", name="Pause", exact=True).click()
    shown.page.wait_for_function(f"{AUDIO}.paused")


def test_without_a_second_the_page_opens_just_before_the_worst_moment(shown: Shown) -> None:
    shown.open()
    worst = shown.page.locator(".moment").inner_text()
    assert worst.startswith("negative moment ")
    moments = shown.page.locator(".player").count()
    assert moments == 1
    shown.wait_for_time(60, DURATION_S)


def test_keys_rows_and_lanes_move_the_sound(shown: Shown) -> None:
    shown.open(20)
    shown.wait_for_time(20, 20.1)
    lane = shown.page.get_by_role("slider", name="Time, with what S2 says")
    lane.focus()
    lane.press("ArrowRight")
    shown.wait_for_time(24.9, 25.1)
    eventually(lambda: lane.get_attribute("aria-valuenow"), "25", shown.page)
    assert (lane.get_attribute("aria-valuetext") or "").startswith("0:25: ")
    lane.press("Home")
    shown.wait_for_time(0, 0.05)
    lane.press("n")
    shown.wait_for_message("Negative moment 1 of ")
    shown.wait_for_time(0.5, DURATION_S)
    lane.press(" ")
    shown.page.get_by_role("button", name="Pause", exact=True).wait_for()
    lane.press(" ")
    shown.page.get_by_role("button", name="Play", exact=True).wait_for()
    row = shown.row(2)
    row.locator(".words").click()
    start_s = shown.utterances[2].start_s
    shown.wait_for_time(start_s - 0.05, start_s + 0.05)
    place = lane.bounding_box()
    shown.page.mouse.click(place["x"] + place["width"] / 2, place["y"] + 10)
    shown.wait_for_time(start_s + 5, DURATION_S)


def test_a_link_to_this_second_opens_there(shown: Shown) -> None:
    shown.open(33.3)
    shown.wait_for_time(33.2, 33.4)
    shown.page.get_by_role("button", name="Copy a link to this second").click()
    shown.wait_for_message("Copied: a link to 0:33")
    link = shown.page.evaluate("navigator.clipboard.readText()")
    assert f"recording={shown.recording_id}" in link
    assert link.endswith("at=33.3")
    shown.page.goto(link)
    shown.page.locator(".player").wait_for()
    shown.wait_for_time(33.2, 33.4)


def test_a_verdict_and_a_correction_are_stored_while_it_plays_on_and_are_taken_back(shown: Shown) -> None:
    index = shown.scored()
    one = shown.utterances[index]
    shown.open(one.start_s)
    shown.page.get_by_role("button", name="Play", exact=True).click()
    row = shown.row(index)
    row.get_by_role("button", name="The emotion is right").click()
    shown.wait_for_message("Saved: verdict.")
    assert not shown.page.evaluate(f"{AUDIO}.paused")
    (said,) = shown.said()
    assert said == {
        "utterance_idx": index, "rater": "local", "verdict": "right", "scorer": one.emotions[0].scorer,
        "label": one.emotions[0].label, "text": None,
    }  # fmt: skip
    row.get_by_text("you: right").wait_for()
    row.get_by_role("button", name="Heard wrong").click()
    form = row.locator("form")
    form.get_by_label("I heard").select_option("contempt")
    form.get_by_label("What was said").fill("=other <b>words</b>")
    form.get_by_role("button", name="Save").click()
    row.get_by_text("you heard: contempt").wait_for()
    eventually(lambda: row.locator(".text").inner_text(), "=other <b>words</b>", shown.page)
    (said,) = shown.said()
    assert (said["verdict"], said["label"], said["text"]) == ("wrong", "contempt", "=other <b>words</b>")
    row.get_by_role("button", name="Heard wrong").click()
    row.get_by_role("button", name="Take back").click()
    row.get_by_text("you heard").wait_for(state="detached")
    eventually(shown.said, [], shown.page)


FOCUSED = AUDIO.replace(".querySelector('audio')", ".activeElement")


def test_the_keyboard_stays_where_it_was_and_a_form_that_says_nothing_new_changes_nothing(shown: Shown) -> None:
    shown.open(at_s=0)
    for group in (".legend button", ".zoom button"):
        button = shown.page.locator(group).first
        button.focus()
        shown.page.keyboard.press("Enter")
        assert shown.page.evaluate(f"{FOCUSED}?.textContent") == button.text_content()
    shown.page.locator(".legend button").first.click()

    index = shown.scored()
    row = shown.row(index)
    row.locator("button.right").focus()
    shown.page.keyboard.press("Enter")
    shown.wait_for_message("Saved: verdict.")
    row.locator("button.right[aria-pressed=true]").wait_for()
    assert shown.page.evaluate(f"{FOCUSED}?.className") == "verdict right"

    row.locator("button.wrong").click()
    row.locator("textarea").fill(f"  {shown.utterances[index].text} ")
    row.locator("form button", has_text="Save").click()
    row.locator("button.wrong").click()
    row.locator("textarea").fill("other words")
    row.locator("form button", has_text="Save").click()
    shown.wait_for_message("Saved: verdict.")
    row.locator(".text", has_text="other words").wait_for()
    (said,) = [one for one in shown.said() if one["utterance_idx"] == index]
    assert (said["verdict"], said["text"]) == ("right", "other words")

    row.locator("button.wrong").click()
    row.locator("form button", has_text="Take back").click()
    shown.wait_for_message("Saved: taking back.")


def test_while_another_job_writes_a_verdict_waits_and_is_not_lost(shown: Shown) -> None:
    index = shown.scored()
    shown.open(shown.utterances[index].start_s)
    with Lake(shown.lake.address).lock():
        shown.row(index).get_by_role("button", name="The emotion is right").click()
        shown.page.get_by_text("The lake cannot be written at the moment").wait_for(timeout=60_000)
        assert shown.said() == []
    shown.page.get_by_role("button", name="Try again").click()
    shown.wait_for_message("Saved: verdict.")
    assert [one["verdict"] for one in shown.said()] == ["right"]
    shown.row(index).get_by_role("button", name="The emotion is right").click()
    shown.row(index).get_by_text("you: right").wait_for(state="detached")


def test_a_speaker_is_named_on_the_page_and_the_name_is_undone(shown: Shown) -> None:
    shown.open(10)
    shown.page.get_by_text("Name, join or part speakers").click()
    shown.page.get_by_label("New name").fill(HOSTILE)
    shown.page.get_by_role("button", name="Save the name").click()
    shown.page.locator(".label.lane .name", has_text=HOSTILE).wait_for(timeout=60_000)
    assert shown.page.locator(".player img").count() == 0
    shown.page.locator(".row .speaker", has_text=HOSTILE).nth(3).wait_for()
    shown.wait_for_time(9.9, 10.1)
    shown.page.get_by_role("tab", name="Undo").click()
    shown.page.get_by_role("button", name="Undo it").click()
    shown.page.locator(".label.lane .name", has_text=HOSTILE).wait_for(state="detached", timeout=60_000)


def test_names_that_others_give_are_shown_without_a_new_visit(shown: Shown) -> None:
    shown.open(10)
    edit_speakers(Lake(shown.lake.address), "call_0.wav", Rename("S2", "Ben"), "tester")
    index = shown.scored()
    shown.row(index).get_by_role("button", name="The emotion is right").click()
    shown.page.locator(".label.lane .name", has_text="Ben").wait_for(timeout=60_000)


def test_an_address_that_grew_too_old_is_replaced_and_the_sound_goes_on(shown: Shown) -> None:
    refused: list[str] = []

    def refuse_the_first_two(route: Any) -> None:
        # That of the page's HTML, and the player's first one.
        address = route.request.url
        if address in refused or len(set(refused)) < 2:
            refused.append(address)
            route.fulfill(status=403, body="this address is too old")
        else:
            route.continue_()

    shown.page.route("**/sound/**", refuse_the_first_two)
    try:
        shown.open(50)
        shown.wait_for_time(49.9, 50.1)
        assert len(set(refused)) == 2
    finally:
        shown.page.unroute("**/sound/**")
        shown.watched.errors = [one for one in shown.watched.errors if "403" not in one]


def test_sound_that_cannot_be_had_for_a_moment_is_tried_again_and_not_converted(shown: Shown) -> None:
    asked: list[str] = []

    def fail(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(status=503, body="the lake did not answer")

    shown.page.route("**/sound/**", fail)
    try:
        shown.open(50)
        shown.wait_for_message("Try again: press play")
        assert not any("as=wav" in one for one in asked)
    finally:
        shown.page.unroute("**/sound/**")
        shown.watched.errors = [one for one in shown.watched.errors if "503" not in one]
    shown.page.get_by_role("button", name="Play", exact=True).click()
    shown.wait_for_time(50.1, DURATION_S)
    assert shown.page.locator(".message").inner_text() == ""


def test_a_file_that_browsers_do_not_play_is_converted(shown: Shown, tmp_path: Path) -> None:
    lake = call_lake(tmp_path, (30.0,), container="au")
    with open_lake(lake.address) as reader:
        recording_id = reader.find_recording("call_0.au")["recording_id"]
    with dashboard_at(lake.address, tmp_path / "cache") as address:
        page = shown.page.context.new_page()
        watched = Watched(page, address)
        page.goto(f"{address}/recording?recording={recording_id}&of=calls&at=12")
        page.locator(".player").wait_for(timeout=60_000)
        page.wait_for_function(f"{AUDIO}.readyState >= 2 && Math.abs({AUDIO}.currentTime - 12) < 0.1")
        assert page.evaluate(f"{AUDIO}.duration") == pytest.approx(30, abs=0.01)
        page.close()
        assert watched.strangers == watched.errors == []


def test_the_page_is_drawn_in_the_dark_and_on_a_narrow_screen(shown: Shown, tmp_path: Path) -> None:
    shown.open(60)
    light = lightness(shown.page, "canvas")
    shown.page.emulate_media(color_scheme="dark")
    shown.page.set_viewport_size({"width": 600, "height": 900})
    try:
        shown.open(60)
        eventually(lambda: lightness(shown.page, "canvas") > light + 20, True, shown.page)
        shown.page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
        for name in ("Play", "Copy a link to this second"):
            shown.page.get_by_role("button", name=name, exact=True).wait_for()
    finally:
        shown.page.emulate_media(color_scheme="light")
        shown.page.set_viewport_size({"width": 1280, "height": 1000})


def test_the_transcript_is_scrolled_to_a_second_far_behind_its_beginning(shown: Shown) -> None:
    shown.open(shown.utterances[-3].start_s + 0.1)
    now = shown.page.locator(".row.now")
    eventually(lambda: is_inside(now, shown.page.locator(".rows")), True, shown.page)


def is_inside(row: Any, rows: Any) -> bool:
    """Whether a row is seen in its list."""
    place, around = row.bounding_box(), rows.bounding_box()
    if place is None or around is None:
        return False
    bottom, last = place["y"] + place["height"], around["y"] + around["height"]
    return around["y"] <= place["y"] and bottom <= last


def lightness(page: Any, selector: str) -> float:
    """The mean of what is drawn on the sound's canvas, 0..255."""
    found: float = page.evaluate(
        """(selector) => {
            const root = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot;
            const canvas = root.querySelector(`.cell.sound ${selector}`);
            const { data } = canvas.getContext('2d').getImageData(0, canvas.height / 2, canvas.width, 2);
            let [sum, number] = [0, 0];
            for (let at = 0; at < data.length; at += 4) {
                if (data[at + 3] > 100) { sum += data[at]; number += 1; }
            }
            return sum / Math.max(number, 1);
        }""",
        selector,
    )
    return found

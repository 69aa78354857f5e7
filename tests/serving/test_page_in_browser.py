"""The page in a real browser, in front of the whole endpoint; what scores is cheap."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from mmer_ray.errors import ErrorCode
from mmer_ray.records import Word
from tests.dashboard.browser import eventually
from tests.serving.call_sounds import CALLS
from tests.serving.cheap_scorers import SCORED, CheapScorers, failed
from tests.serving.endpoint import Endpoint, endpoint

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CALL = CALLS / "call_02_mono.opus"
WAIT_MS = 20_000


@dataclass
class Seen:
    """What a page asked for and complained of."""

    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Endpoint, CheapScorers]]:
    scorers = CheapScorers()
    with endpoint(scorers, tmp_path_factory.mktemp("state"), max_body_bytes=4_000_000, body_timeout_s=5.0) as one:
        yield one, scorers


@pytest.fixture
def scorers(running: tuple[Endpoint, CheapScorers]) -> CheapScorers:
    running[1].__init__()  # type: ignore[misc]
    return running[1]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Browser, running: tuple[Endpoint, CheapScorers], scorers: CheapScorers, seen: Seen) -> Iterator[Page]:
    """The page with a key, opened; at its end it has complained of nothing and asked no other host."""
    opened = opened_page(browser, running[0], seen)
    use_key(opened, running[0].key)
    yield opened
    opened.context.close()
    assert seen.complaints == []
    assert seen.hosts == {urlsplit(running[0].address).netloc}


def opened_page(browser: Browser, one: Endpoint, seen: Seen, scheme: str = "light") -> Page:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1200, "height": 900})  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.on(
        "request", lambda request: seen.hosts.add(urlsplit(request.url).netloc) if "blob:" not in request.url else 0
    )
    page.on("websocket", lambda socket: seen.hosts.add(urlsplit(socket.url).netloc))
    page.on("console", lambda told: seen.complaints.append(told.text) if told.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.goto(f"{one.address}/")
    return page


def use_key(page: Page, key: str) -> None:
    page.get_by_label("Access key").fill(key)
    page.get_by_role("button", name="Use key").click()
    page.get_by_text("A key is set for this tab.").wait_for()


def text_of(page: Page) -> str:
    return page.locator("#result").inner_text()


def test_a_file_is_shown_with_its_speakers_words_and_emotions(
    browser: Browser, running: tuple[Endpoint, CheapScorers], scorers: CheapScorers, scheme: str, tmp_path: Path
) -> None:
    seen = Seen()
    page = opened_page(browser, running[0], seen, scheme)
    page.screenshot(path=tmp_path / f"empty-{scheme}.png")
    use_key(page, running[0].key)
    page.locator("#file").set_input_files(CALL)
    page.get_by_text("good morning").wait_for()
    rows = page.locator("#transcript > li")
    assert rows.count() == 2
    assert rows.nth(0).inner_text().split("\n")[:3] == ["0:00", "Speaker 1", "good morning"]
    assert "happy" in rows.nth(0).inner_text()
    assert "too short to tell" in rows.nth(1).inner_text()
    shown = text_of(page)
    for fact in ("call_02_mono.opus", "2 speakers", "language en", "80 % of the talk", "Interruptions"):
        assert fact in shown
    assert "synthetic speech" in page.locator("#caution").inner_text()
    rows.nth(0).locator("summary").click()
    rows.nth(0).get_by_text("valence +0.50, arousal +0.25").wait_for()
    page.screenshot(path=tmp_path / f"result-{scheme}.png", full_page=True)
    assert seen.complaints == []
    assert seen.hosts == {urlsplit(running[0].address).netloc}
    page.context.close()


def test_a_dropped_file_is_taken_as_a_chosen_one_is(page: Page) -> None:
    sound = page.evaluate_handle(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.opus"));
            return data;
        }""",
        list(CALL.read_bytes()),
    )
    page.dispatch_event("#drop", "dragover", {"dataTransfer": sound})
    assert "over" in (page.locator("#drop").get_attribute("class") or "")
    page.dispatch_event("#drop", "drop", {"dataTransfer": sound})
    page.get_by_text("good morning").wait_for()
    assert page.locator("#title").inner_text() == "dropped.opus"


def test_speech_is_shown_while_it_is_spoken_and_settles_at_the_end(
    page: Page, scorers: CheapScorers, tmp_path: Path
) -> None:
    page.get_by_role("button", name="Start speaking").click()
    page.locator("#transcript > li.provisional").first.wait_for()
    page.wait_for_function("document.getElementById('clock').textContent !== '0:00'")
    page.screenshot(path=tmp_path / "live.png", full_page=True)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Save JSON").wait_for()
    assert page.locator("#transcript > li").count() == 2
    assert page.locator("#transcript > li.provisional").count() == 0
    assert page.locator("#title").inner_text() == "What you said"
    assert page.locator("#player").is_visible()
    # What is played is what was scored: a WAV file of the same length.
    whole = max((asked.sound for asked in scorers.asked if isinstance(asked.sound, bytes)), key=len)
    page.wait_for_function("document.getElementById('player').duration > 0")
    assert page.evaluate("document.getElementById('player').duration") == pytest.approx(
        (len(whole) - 44) / 32_000, abs=0.2
    )


def test_a_second_click_before_the_call_begins_leaves_it_to_be_stopped(page: Page) -> None:
    page.evaluate(
        """() => {
            const devices = navigator.mediaDevices, real = devices.getUserMedia.bind(devices);
            devices.getUserMedia = async (wanted) => {
                await new Promise((allow) => { window.allow = allow; });
                return real(wanted);
            };
        }"""
    )
    page.locator("#speak").click()
    page.wait_for_function("() => Boolean(window.allow)")
    page.locator("#speak").click()
    page.evaluate("window.allow()")
    page.locator("#transcript > li.provisional").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Save JSON").wait_for()


def test_what_was_said_is_text_whatever_it_looks_like(page: Page, scorers: CheapScorers) -> None:
    said = "<img src=x onerror=alert(1)> <b>bold</b> & ![](http://elsewhere.example/x.png)"
    first = replace(
        SCORED.utterances[0], text=said, words=tuple(Word(word, None, None, 0.9) for word in said.split(" "))
    )
    scorers.answer = replace(SCORED, utterances=(first, replace(SCORED.utterances[1], speaker_name="<i>Eve</i>")))
    page.locator("#file").set_input_files(CALL)
    page.locator("#transcript > li").first.wait_for()
    assert said in text_of(page)
    assert "<i>Eve</i>" in text_of(page)
    assert page.locator("#result").locator("img, b, i").count() == 0


def test_a_refusal_is_told_in_the_endpoints_words(page: Page, scorers: CheapScorers, seen: Seen) -> None:
    scorers.answer = failed(ErrorCode.DECODE_ERROR, "none of 3 packets could be decoded")
    page.locator("#file").set_input_files(CALL)
    page.get_by_role("alert").get_by_text("none of 3 packets could be decoded").wait_for()
    assert page.locator("#result").is_hidden()
    # The browser itself notes every answer of 400 and above.
    eventually(lambda: len(seen.complaints), 1, page)
    seen.complaints.clear()
    scorers.answer = SCORED
    page.locator("#file").set_input_files(CALL)
    page.get_by_text("good morning").wait_for()
    assert page.get_by_role("alert").is_hidden()


def test_a_wrong_key_is_told_at_the_key(browser: Browser, running: tuple[Endpoint, CheapScorers]) -> None:
    page = opened_page(browser, running[0], Seen())
    page.get_by_label("Access key").fill("mmer_wrong")
    page.get_by_role("button", name="Use key").click()
    page.get_by_text("none of this endpoint's").wait_for()
    page.get_by_role("button", name="Start speaking").click()
    page.get_by_role("alert").get_by_text("Enter a key above").wait_for()
    assert page.evaluate("Object.keys(localStorage).length + document.cookie.length") == 0
    page.context.close()


def test_cancelling_a_request_ends_its_work(page: Page, scorers: CheapScorers) -> None:
    scorers.delay_s = 60.0
    page.locator("#file").set_input_files(CALL)
    eventually(lambda: scorers.num_running, 1, page)
    page.get_by_role("button", name="Cancel").click()
    page.locator("#status").wait_for(state="hidden")
    eventually(lambda: (scorers.num_cancelled, scorers.num_running), (1, 0), page)


def test_a_long_file_goes_as_a_job_and_is_found_again_after_a_reload(
    page: Page, scorers: CheapScorers, tmp_path: Path
) -> None:
    from tests.serving.call_sounds import demo_call, wav

    long = tmp_path / "long.wav"
    long.write_bytes(wav(demo_call("call_02_mono", num_s=20).repeat(8, axis=0)))
    scorers.delay_s = 3.0
    page.locator("#file").set_input_files(long)
    page.get_by_text("long recording").wait_for()
    page.reload()
    page.get_by_text("long recording").wait_for()
    page.get_by_text("good morning").wait_for()
    assert page.locator("#title").inner_text() == "long.wav"
    assert [asked.is_job for asked in scorers.asked] == [True]


def test_everything_is_reached_by_keyboard(page: Page) -> None:
    page.locator("#file").set_input_files(CALL)
    page.get_by_text("good morning").wait_for()
    page.locator("body").click(position={"x": 2, "y": 2})
    reached = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("(e => e.id || e.getAttribute('aria-label') || e.textContent.trim())(document.activeElement)")
        )
    assert {"file", "speak", "example", "copy", "save", "Play from 0:00", "happy70 %"} <= reached
    for element in page.locator("input").all():
        assert element.evaluate("e => e.labels.length") == 1


def test_an_utterance_is_played_from_its_time(page: Page) -> None:
    page.locator("#file").set_input_files(CALL)
    page.get_by_role("button", name="Play from 0:01").click()
    page.wait_for_function("document.getElementById('player').currentTime >= 1.5")
    page.locator("#transcript > li.now").wait_for()


def test_the_analysis_can_be_saved(page: Page) -> None:
    page.locator("#file").set_input_files(CALL)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save JSON").click()
    assert download.value.suggested_filename == "call_02_mono.opus.json"
    assert json.loads(Path(download.value.path()).read_text())["schema"] == "mmer.analysis/1"


def test_the_example_needs_no_file(page: Page, scorers: CheapScorers) -> None:
    page.get_by_role("button", name="Try an example").click()
    page.get_by_text("good morning").wait_for()
    example = resources.files("mmer_ray") / "demo" / "calls" / "call_03_stereo.opus"
    assert scorers.asked[0].sound == example.read_bytes()


def test_the_reference_shows_every_operation(
    browser: Browser, running: tuple[Endpoint, CheapScorers], scheme: str, tmp_path: Path
) -> None:
    seen = Seen()
    page = opened_page(browser, running[0], seen, scheme)
    page.get_by_role("link", name="API reference").click()
    page.locator("#operations .operation").first.wait_for()
    with running[0].client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    shown = page.locator(".operation > summary > code")
    eventually(lambda: {*paths, "/v1/audio/stream"} - {*shown.all_inner_texts()}, set(), page)
    for operation in page.locator("#operations .operation > summary").all():
        operation.click()
    page.screenshot(path=tmp_path / f"docs-{scheme}.png", full_page=True)
    assert seen.complaints == []
    assert seen.hosts == {urlsplit(running[0].address).netloc}
    page.context.close()

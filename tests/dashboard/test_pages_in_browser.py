"""Every page in a real browser: its figures are the lake's, rows, hits and addresses lead to a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from dashboard.numbers import counted, percent
from mmer_ray.lake.overview import worst_moment
from tests.dashboard.browser import eventually, wait_until_drawn
from tests.dashboard.shown_pages import ERRORS, HITS, PLAYER, RECORDINGS, Shown, sound_of
from tests.dashboard.whole_lake import KEYS_OF_TWO, NIGHTS, OTHER_KEYS, SUPPORT

pytestmark = pytest.mark.xdist_group("pages")
NUM_CALLS = len(NIGHTS)
HEADER_PX, ROW_PX = 35, 38


def heading(shown: Shown) -> str:
    """The page's name at its top."""
    found: str = shown.page.get_by_role("heading", level=1).inner_text()
    return found


@dataclass(frozen=True)
class Case:
    """A page, and a figure of it: what SQL says, as it is written, and what is shown."""

    path: str
    heading: str
    sql: str
    written: Callable[[Any], Any]
    read: Callable[[Shown], Any]
    query: dict[str, str]


def case(path: str, heading: str, sql: str, written: Callable[[Any], Any], read: Any, **query: str) -> Any:
    return pytest.param(Case(path, heading, sql, written, read, query), id=path)


@pytest.mark.parametrize(
    "one",
    [
        case("overview", "Overview", "SELECT count(label) / count(*) AS found FROM serving_utterances",
             percent, lambda shown: shown.tile("Utterances answered")),
        case("recordings", "Recordings", "SELECT count(*) AS found FROM results",
             lambda found: counted(found, "recording"), lambda shown: shown.counted("recording")),
        case("search", "Search", "SELECT count(*) AS found FROM utterances WHERE text ILIKE '%tired%'",
             lambda found: counted(found, "utterance"), lambda shown: shown.counted("utterance"), text="TIRED"),
        case("compare", "Compare two models",
             "SELECT count(*) AS found FROM (FROM emotions SELECT recording_id, utterance_idx GROUP BY ALL "
             "HAVING count(DISTINCT scorer) = 2)", str, lambda shown: shown.tile("Utterances")),
        case("runs", "Runs", "SELECT count(*) AS found FROM recordings WHERE status = 'failed'",
             str, lambda shown: shown.tile("Files that failed")),
        case("models", "Models", "SELECT list(num ORDER BY corpus) AS found FROM "
             "(SELECT corpus, count(*)::VARCHAR AS num FROM utterances GROUP BY corpus)",
             list, lambda shown: [row["Utterances"] for row in shown.table("The model that each corpus follows")]),
        case("method", "Method and limits",
             "SELECT list([corpus, scorer] ORDER BY corpus) AS found FROM active_scorers",
             list, lambda shown: [list(row.values())[:2] for row in shown.table("The emotion model of each corpus")]),
    ],
)  # fmt: skip
def test_a_page_shows_a_figure_that_the_lake_gives(shown: Shown, one: Case) -> None:
    shown.open(one.path, **one.query)

    eventually(lambda: heading(shown), one.heading, shown.page)
    (answer,) = shown.ask(one.sql)
    eventually(lambda: one.read(shown), one.written(answer["found"]), shown.page)
    assert shown.page.locator(ERRORS).count() == 0


def test_the_page_of_a_recording_shows_all_that_was_said(shown: Shown) -> None:
    (one,) = shown.ask(
        "SELECT recording_id, list(text ORDER BY utterance_idx) AS texts FROM utterances WHERE recording_id = "
        "(SELECT recording_id FROM recordings WHERE uri LIKE '%call_2.wav') GROUP BY ALL"
    )
    shown.open("recording", recording=one["recording_id"], of=SUPPORT)

    eventually(lambda: heading(shown), "call_2.wav", shown.page)
    eventually(lambda: shown.page.locator(".row .text").all_inner_texts(), one["texts"], shown.page)
    assert shown.page.locator(ERRORS).count() == 0


def test_nothing_on_a_page_is_a_file_that_goes_with_a_session(shown: Shown) -> None:
    """Streamlit keeps such files at `/media`, and at times not for as long as another window needs them."""
    asked: list[str] = []
    shown.page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    icon = shown.page.locator("link[rel='shortcut icon'], link[rel=icon]").first
    for path in ("", "recordings", "search", "compare", "runs", "models", "method"):
        shown.open(path)
        eventually(lambda: icon.get_attribute("href").partition(";")[0], "data:image/png", shown.page)

    assert [path for path in asked if path.startswith("/media")] == []


def test_an_error_would_have_been_seen(shown: Shown) -> None:
    """What the other tests look for in vain is there where a page refuses."""
    shown.page.goto(f"{shown.watched.address}/?corpus=nobody's")
    shown.page.locator(ERRORS, has_text="Not shown to you.").wait_for()


def test_a_row_of_the_list_opens_its_recording_at_the_worst_moment(shown: Shown) -> None:
    shown.open("recordings")
    eventually(lambda: len(shown.table(RECORDINGS)), NUM_CALLS, shown.page)
    row = shown.table(RECORDINGS)[1]
    worst = worst_moment(shown.reader.conversation(row["Recording"]).utterances)
    assert worst is not None
    # The table is drawn; this part of it lies above the drawing and takes clicks.
    rows = shown.page.get_by_role("region", name=RECORDINGS).locator(".dvn-scroller")
    rows.click(position={"x": 120, "y": HEADER_PX + 1.5 * ROW_PX})

    shown.wait_for_sound_at(worst.start_s)
    eventually(lambda: heading(shown), row["Recording"], shown.page)
    shown.wait_for_address("at", [f"{worst.start_s:g}"])


def test_one_step_back_from_a_recording_is_the_list_as_it_was(shown: Shown) -> None:
    shown.open("recordings", label="angry", order="longest")
    rows = shown.page.get_by_role("region", name=RECORDINGS)
    before = shown.page.url
    rows.locator(".dvn-scroller").click(position={"x": 120, "y": HEADER_PX + 0.5 * ROW_PX})
    shown.page.wait_for_url("**/recording?**")
    wait_until_drawn(shown.page)

    shown.page.go_back()

    shown.page.wait_for_url(before)
    eventually(lambda: heading(shown), "Recordings", shown.page)
    wait_until_drawn(shown.page)
    assert shown.page.url == before


def test_one_step_back_in_the_menu_is_the_page_before_with_its_filters(shown: Shown) -> None:
    shown.open("", label="angry")
    for name in ("Recordings", "Search"):
        shown.page.get_by_role("link", name=name, exact=True).click()
        eventually(lambda name=name: heading(shown), name, shown.page)  # type: ignore[misc]
        shown.wait_for_address("label", ["angry"])

    for path in ("/recordings", "/"):
        shown.page.go_back()
        shown.page.wait_for_url(f"**{path}?label=angry")
        wait_until_drawn(shown.page)


def test_a_hit_of_the_search_opens_its_recording_at_its_second(shown: Shown) -> None:
    first, *_ = shown.ask(
        "SELECT text, start_ms FROM serving_utterances WHERE text ILIKE '%tired%' AND role = 'customer' "
        "ORDER BY day DESC, corpus, recording_id, utterance_idx"
    )
    shown.open("search", text="tired", role="customer")
    hit = shown.page.locator(".hit").first
    eventually(lambda: first["text"] in hit.inner_text(), True, shown.page)
    hit.locator(".open").click()

    shown.wait_for_sound_at(first["start_ms"] / 1000)
    eventually(lambda: shown.page.locator(".row.now .text").inner_text(), first["text"], shown.page)


def test_the_largest_disagreement_is_heard_and_opened(shown: Shown) -> None:
    """The second model of this lake takes anger for sadness: so far apart are the two."""
    rows = shown.ask(
        "SELECT recording_id, start_ms, abs(p_angry - p_sad) AS distance FROM emotions JOIN utterances "
        "USING (corpus, recording_id, utterance_idx) WHERE scorer = $scorer AND corpus = $corpus "
        "ORDER BY distance DESC",
        scorer=KEYS_OF_TWO.scorer,
        corpus=SUPPORT,
    )
    furthest = {(row["recording_id"], row["start_ms"] / 1000) for row in rows if row["distance"] == rows[0]["distance"]}
    shown.open("compare", first=KEYS_OF_TWO.scorer, second=OTHER_KEYS.scorer)
    hit = shown.page.locator(".hit").first
    eventually(lambda: f"distance {rows[0]['distance']:.2f}" in hit.inner_text(), True, shown.page)
    hit.locator(".play").click()
    audio = sound_of(HITS)
    shown.page.wait_for_function(f"!{audio}.paused && {audio}.currentTime > {audio}.src.split('#t=')[1].split(',')[0]")
    hit.locator(".open").click()

    shown.wait_for_recording()
    opened = shown.address["recording"][0], float(shown.address["at"][0])
    assert opened in furthest
    shown.wait_for_sound_at(opened[1])
    shown.page.get_by_role("button", name="Play", exact=True).click()
    shown.page.wait_for_function(f"{sound_of(PLAYER)}.currentTime > {opened[1]} + 0.3")


def test_an_address_brings_a_second_to_another_window(shown: Shown) -> None:
    shown.open("search", text="tired", role="customer")
    shown.page.locator(".hit .open").first.click()
    shown.wait_for_recording()
    second = float(shown.address["at"][0])

    with shown.elsewhere() as other:
        other.page.goto(shown.page.url)
        other.wait_for_sound_at(second)
    assert second > 0

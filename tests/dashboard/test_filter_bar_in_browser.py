"""The filter bar in a real browser: what is chosen changes figures, lists, the address and downloads."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dashboard.numbers import counted, percent
from tests.dashboard.browser import eventually, wait_until_drawn
from tests.dashboard.shown_pages import FOOT, RECORDINGS, Shown
from tests.dashboard.whole_lake import QUOTED, SUPPORT

pytestmark = pytest.mark.xdist_group("filter bar")
MAX_HITS = 20


@dataclass(frozen=True)
class Step:
    """Something to choose in the filter bar, what it means in SQL, and how the address then has it."""

    name: str
    choose: Callable[[Shown], None]
    sql: str
    address: list[str]


OF_PLACES = (
    Step("corpus", lambda shown: shown.choose("Corpora", SUPPORT), f"corpus = '{SUPPORT}'", [SUPPORT]),
    Step(
        "days",
        lambda shown: shown.choose_days("Friday, November 20, 2026", "Saturday, November 21, 2026"),
        "day IN (DATE '2026-11-20', DATE '2026-11-21')",
        ["2026-11-20", "2026-11-21"],
    ),
)
OF_UTTERANCES = (
    Step("abstained", lambda shown: shown.leave_out_unanswered(), "label IS NOT NULL", ["false"]),
    Step("confidence", lambda shown: shown.raise_confidence(4), "confidence >= 0.4", ["0.4"]),
    Step("label", lambda shown: shown.choose("Emotions", "angry"), "label = 'angry'", ["angry"]),
    Step("text", lambda shown: shown.type_words(QUOTED), "instr(lower(text), lower($text)) > 0", [QUOTED]),
)


def all_of(steps: tuple[Step, ...]) -> str:
    return " AND ".join(["true", *(one.sql for one in steps)])


def words(condition: str) -> dict[str, str]:
    """The values of a condition: DuckDB refuses others."""
    return {"text": QUOTED} if "$text" in condition else {}


def of_overview(shown: Shown, places: str, utterances: str) -> Any:
    (held,) = shown.ask(f"SELECT count(*) AS found FROM results WHERE {places}")
    (felt,) = shown.ask(
        "SELECT count(label) / count(*) AS answered, avg(valence) AS valence, "
        "sum(end_ms - start_ms) FILTER (label IN ('angry', 'sad', 'fear', 'disgust', 'contempt')) "
        f"/ sum(end_ms - start_ms) FILTER (label IS NOT NULL) AS negative FROM serving_utterances WHERE {utterances}",
        **words(utterances),
    )
    return str(held["found"]), percent(felt["negative"]), f"{felt['valence']:+.2f}", percent(felt["answered"])


def on_overview(shown: Shown) -> Any:
    return tuple(shown.tile(one) for one in ("Recordings", "Negative speech", "Mean valence", "Utterances answered"))


def of_recordings(shown: Shown, places: str, utterances: str) -> Any:
    """Names, and how many utterances fit where any are chosen."""
    chosen = f"SELECT corpus, recording_id, count(*) AS num FROM serving_utterances WHERE {utterances} GROUP BY ALL"
    rows = shown.ask(
        f"SELECT parse_filename(uri) AS name, num FROM ({chosen}) JOIN recordings USING (corpus, recording_id)",
        **words(utterances),
    )
    return sorted((row["name"], "" if utterances == places else str(row["num"])) for row in rows)


def on_recordings(shown: Shown) -> Any:
    return sorted((row["Recording"], row.get("Matches", "")) for row in shown.table(RECORDINGS))


def of_search(shown: Shown, places: str, utterances: str) -> Any:
    condition = f"role = 'customer' AND {utterances}"
    rows = shown.ask(f"SELECT text FROM serving_utterances WHERE {condition}", **words(utterances))
    return counted(len(rows), "utterance"), sorted(row["text"] for row in rows) if len(rows) <= MAX_HITS else None


def on_search(shown: Shown) -> Any:
    number = shown.counted("utterance")
    return number, sorted(texts_of_hits(shown)) if int(number.split()[0]) <= MAX_HITS else None


def texts_of_hits(shown: Shown) -> list[str]:
    """What the listed utterances say, without who says it."""
    found: list[str] = shown.page.locator(".hit .text").evaluate_all(
        "(all) => all.map((one) => [...one.childNodes].slice(1).map((part) => part.textContent).join('').trim())"
    )
    return found


@pytest.mark.parametrize(
    ("path", "query", "expected", "read"),
    [
        pytest.param("", {}, of_overview, on_overview, id="overview"),
        pytest.param("recordings", {}, of_recordings, on_recordings, id="recordings"),
        pytest.param("search", {"role": "customer"}, of_search, on_search, id="search"),
    ],
)
def test_each_filter_changes_what_is_shown_to_what_the_lake_says(
    shown: Shown, path: str, query: dict[str, str], expected: Callable[..., Any], read: Callable[[Shown], Any]
) -> None:
    shown.open(path, **query)
    steps = (*OF_PLACES, *OF_UTTERANCES)
    before = expected(shown, "true", "true")
    eventually(lambda: read(shown), before, shown.page)
    for number, step in enumerate(steps, 1):
        step.choose(shown)
        found = expected(shown, all_of(steps[: min(number, len(OF_PLACES))]), all_of(steps[:number]))
        assert found != before, f"this lake does not tell whether {step.name} is heeded"
        eventually(lambda: read(shown), found, shown.page)
        shown.wait_for_address(step.name, step.address)
        before = found
    assert {name: shown.address[name] for name in query} == {name: [value] for name, value in query.items()}


def test_an_address_brings_filters_order_and_page_to_another_window(shown: Shown) -> None:
    longest = [
        row["text"]
        for row in shown.ask(
            "SELECT text FROM serving_utterances WHERE corpus = $corpus AND instr(lower(text), 'o') > 0 "
            "ORDER BY end_ms - start_ms DESC, corpus, recording_id, utterance_idx LIMIT 40",
            corpus=SUPPORT,
        )
    ]
    second = longest[MAX_HITS:]
    shown.open("search", text="o")
    shown.choose("Corpora", SUPPORT)
    shown.choose("Order", "longest")
    # Another order begins at the first page.
    eventually(lambda: texts_of_hits(shown), longest[:MAX_HITS], shown.page)
    shown.page.get_by_role("button", name="Page 2").click()
    eventually(lambda: texts_of_hits(shown), second, shown.page)
    shown.wait_for_address("hits", ["2"])
    wait_until_drawn(shown.page)

    with shown.elsewhere() as other:
        other.page.goto(shown.page.url)
        other.page.get_by_text(FOOT).wait_for()
        eventually(lambda: texts_of_hits(other), second, other.page)
        wait_until_drawn(other.page)
        assert other.counted("utterances") == shown.counted("utterance")
        assert other.page.get_by_role("textbox", name="Words said").input_value() == "o"
        assert other.page.get_by_role("button", name="Page 2").get_attribute("aria-current") == "page"


@pytest.mark.parametrize("what", ["Recordings", "Utterances"])
def test_a_download_has_the_rows_that_the_filter_leaves(shown: Shown, what: str, tmp_path: Path) -> None:
    shown.open("recordings", corpus=SUPPORT, text=QUOTED, confidence="0.4")
    rows = shown.ask(
        f"SELECT recording_id, utterance_idx, text, label FROM serving_utterances WHERE {all_of(OF_UTTERANCES[1:2])} "
        f"AND corpus = '{SUPPORT}' AND {OF_UTTERANCES[-1].sql}",
        text=QUOTED,
    )
    with shown.page.expect_download() as download:
        shown.page.get_by_role("link", name=f"{what} as CSV").click()
    download.value.save_as(tmp_path / "found.csv")

    with (tmp_path / "found.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    if what == "Recordings":
        assert sorted(row["recording_id"] for row in found) == sorted({row["recording_id"] for row in rows})
    else:
        columns = list(rows[0])
        assert sorted([row[name] for name in columns] for row in found) == sorted(
            [str(row[name]) for name in columns] for row in rows
        )

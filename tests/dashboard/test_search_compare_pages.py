"""Search and comparison as Streamlit runs them: full, empty, in error, for who may see what."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from dashboard.access import Viewer
from dashboard.compare_view import NUM_DISAGREEMENTS, confusion_in_words
from dashboard.counts_chart import counts_over_time
from dashboard.downloads import Export
from dashboard.felt import Step, over_time
from dashboard.filters import Filters
from dashboard.questions import compare as compare_questions
from dashboard.questions import search as questions
from dashboard.questions.search import Order, Part
from dashboard.session import Dashboard
from mmer_ray.lake.activation import activate
from mmer_ray.lake.comparison import compare, comparison_of
from mmer_ray.lake.queries import open_lake
from tests.dashboard.makers import HOSTILE, SCORER, dashboard_of, make_lake, of_viewers
from tests.dashboard.nights import OTHER_SCORER, add_other_answers
from tests.dashboard.test_pages import figures, opened, said, said_as_markdown

BOTH = ("sales", "support")
NAMES = ("search", "compare")
THIRD_SCORER = "acoustic-0000cafe"


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of call b: `SCORER` says neutral, angry, angry, sad."""
    address = tmp_path_factory.mktemp("compared") / "lake"
    answers: list[tuple[int, str | None, float]] = [
        (0, "neutral", 0.05), (1, "sad", 0.1), (2, "angry", 0.9), (3, None, 0.4),
    ]  # fmt: skip
    add_other_answers(make_lake(address), answers, "b" * 32)
    return address


def hits(dashboard: Dashboard, filters: Filters, part: Part = Part.ANYWHERE, order: Order = Order.OLDEST) -> list[str]:
    """The texts that a search finds."""
    rows = dashboard.ask(questions.hits(filters, BOTH, part, 0.0, order, 50)).to_pylist()
    return [row["text"] for row in rows]


def test_words_are_found_in_any_case_with_the_file_that_holds_them(dashboard: Dashboard) -> None:
    (row,) = dashboard.ask(
        questions.hits(Filters(text="THANK"), BOTH, Part.ANYWHERE, 0.0, Order.NEWEST, 50)
    ).to_pylist()

    assert (row["recording_id"], row["start_ms"], row["role"]) == ("a" * 32, 10_000, "customer")
    assert (row["uri"], row["duration_ms"]) == ("/calls/a.opus", 40_000)


def test_words_emotion_role_and_days_narrow_together(dashboard: Dashboard) -> None:
    assert hits(dashboard, Filters(labels=("angry",))) == [HOSTILE, "=refund me"]
    assert hits(dashboard, Filters(labels=("angry",), text="refund")) == ["=refund me"]
    assert hits(dashboard, Filters(roles=("agent",))) == ["hello there", "hello"]
    assert hits(dashboard, Filters(text="refund", roles=("agent",))) == []


def test_a_quarter_of_the_recording_can_be_chosen(dashboard: Dashboard) -> None:
    assert hits(dashboard, Filters(corpora=("support",), labels=("happy",)), Part.LAST) == ["goodbye"]
    assert hits(dashboard, Filters(corpora=("support",), labels=("happy",)), Part.SECOND) == ["thank you"]


def test_the_order_and_the_part_of_the_list_are_followed(dashboard: Dashboard) -> None:
    assert hits(dashboard, Filters(labels=("happy", "surprise")), order=Order.WORST)[0] == "secret of sales"
    second = questions.hits(Filters(labels=("angry",)), BOTH, Part.ANYWHERE, 0.0, Order.OLDEST, 1, 1)
    assert [row["text"] for row in dashboard.ask(second).to_pylist()] == ["=refund me"]


def test_utterances_can_be_asked_to_be_long(dashboard: Dashboard) -> None:
    asked = questions.by_day(Filters(), BOTH, Part.ANYWHERE, 6.0)
    assert sum(row["num_utterances"] for row in dashboard.ask(asked).to_pylist()) == 7


def test_a_search_says_how_many_fit_and_offers_them(dashboard: Dashboard) -> None:
    page = opened("search", text="o")

    assert not page.exception
    assert "**7 utterances**" in said(page)
    assert "contains(lower(text), lower('o'))" in "\n".join(one.value for one in page.code)


def test_the_files_of_a_search_hold_what_it_lists(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    offered: list[Export] = []
    monkeypatch.setattr("dashboard.search_view.offer", lambda _, exports: offered.extend(exports))
    opened("search", corpus="support", role="customer", where="last quarter", seconds="5")

    asked = offered[0].question(BOTH)
    assert [row["text"] for row in dashboard.ask(asked).to_pylist()] == ["goodbye"]


def test_a_search_for_nothing_says_what_to_do(dashboard: Dashboard) -> None:
    assert "Type words" in opened("search").info[0].value
    assert "Clear one of them" in opened("search", text="never said").info[0].value


def test_what_was_said_is_nowhere_markdown(dashboard: Dashboard) -> None:
    page = opened("search", text="img src")

    assert "**1 utterance**" in said(page)
    assert HOSTILE not in said_as_markdown(page)


def test_two_models_are_compared_as_the_command_line_does(two_models: Path) -> None:
    with dashboard_of(two_models) as dashboard, open_lake(two_models) as reader:
        asked = compare_questions.compared(Filters(), ("support",), SCORER, OTHER_SCORER, NUM_DISAGREEMENTS)
        found = comparison_of(SCORER, OTHER_SCORER, dashboard.ask(asked).to_pylist())

        assert found == compare(reader, SCORER, OTHER_SCORER, limit=NUM_DISAGREEMENTS)
    assert (found.num_utterances, found.num_labelled, found.num_first_only, found.num_agreed) == (4, 3, 1, 2)
    assert (found.disagreements[0].utterance_idx, found.disagreements[0].distance) == (1, pytest.approx(0.4))


def test_the_table_of_labels_is_told_in_shares_of_each_label_with_their_names(two_models: Path) -> None:
    with open_lake(two_models) as reader:
        words = confusion_in_words(compare(reader, SCORER, OTHER_SCORER, limit=1))

    assert words.startswith(f"Labels that {OTHER_SCORER} gave the utterances of each label of {SCORER}. ")
    assert "angry: angry 50.0 %, sad 50.0 %" in words
    assert "neutral: neutral 100.0 %" in words
    assert "sad: given to none" in words


def test_weeks_of_the_search_are_those_of_the_overview() -> None:
    days = [date(2026, 11, 1) + timedelta(day) for day in range(16)]
    rows = [{"day": day, "label": "happy", "num_utterances": 1} for day in days]
    spoken = pa.table({"day": days, "label": ["happy"] * 16, "speech_ms": [1_000] * 16})

    drawn = {one["day"] for one in counts_over_time(rows, Step.WEEK.value)["data"]["values"]}

    assert drawn == {str(one) for one in over_time(spoken, Step.WEEK).column("begins").to_pylist()}
    assert "2026-10-26" in drawn


def test_filters_choose_the_utterances_that_are_compared(two_models: Path) -> None:
    with dashboard_of(two_models) as dashboard:

        def number(filters: Filters) -> int:
            asked = compare_questions.compared(filters, BOTH, SCORER, OTHER_SCORER, 1)
            return sum(row["num"] for row in dashboard.ask(asked).to_pylist())

        assert number(Filters(roles=("customer",))) == 2
        assert number(Filters(text="refund")) == 1
        assert number(Filters(labels=("sad",))) == 1
        assert number(Filters(abstained=False)) == 4


def test_a_comparison_shows_agreement_and_what_shifts(two_models: Path) -> None:
    with dashboard_of(two_models):
        page = opened("compare")

    assert not page.exception
    assert figures(page)["Utterances"] == "4"
    assert figures(page)["Agreement"] == "66.7 %"
    assert figures(page)["Only the first"] == "1"
    # The other one gives 0; the first one -0.1, -0.8, -0.9 and -0.4.
    assert figures(page)["Mean valence"] == "+0.55"
    assert [one.value for one in page.selectbox] == [SCORER, OTHER_SCORER]


def test_what_a_policy_withholds_of_one_model_is_not_told_of_another(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake")
    # An earlier job asked about agents too; the policy came with the second model.
    add_other_answers(lake, [(0, None, None), (1, "sad", 0.1), (2, "angry", 0.9), (3, None, 0.4)], "b" * 32)
    add_other_answers(lake, [(0, "angry", 0.99), (1, "sad", 0.2)], "b" * 32, THIRD_SCORER, 3)
    activate(lake, OTHER_SCORER, "support")

    def told(first: str, second: str) -> tuple[list[int], list[int]]:
        cells = dashboard.ask(compare_questions.compared(Filters(), BOTH, first, second, 50)).to_pylist()
        return [row["num"] for row in cells], [one["utterance_idx"] for row in cells for one in row["furthest"]]

    with dashboard_of(tmp_path / "lake") as dashboard:
        number, told_of = told(SCORER, OTHER_SCORER)
        assert sum(number) == 3
        assert 0 not in told_of
        # Neither of these is the one that withholds.
        assert told(SCORER, THIRD_SCORER) == ([1], [1])
        page = opened("compare", first=SCORER, second=OTHER_SCORER)
        assert figures(page)["Utterances"] == "3"


def test_one_model_alone_says_how_to_get_another(dashboard: Dashboard) -> None:
    page = opened("compare")

    assert "One model has answered about these corpora" in page.info[0].value
    assert f"It is {SCORER}" in [one.value for one in page.text]
    assert "mmer rescore" in said(page)


def test_the_same_model_twice_is_no_comparison(two_models: Path) -> None:
    with dashboard_of(two_models):
        page = opened("compare", second=SCORER)

    assert "two different models" in page.info[0].value


def test_another_corpus_by_address_is_refused_and_its_words_are_not_found(
    two_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.page.name_of_viewer", lambda _: "ben")
    audit = tmp_path / "audit.jsonl"
    with dashboard_of(two_models, of_viewers(Viewer("ben", ("sales",))), audit):
        refused = opened("search", corpus="support", text="refund")
        nothing = opened("search", text="refund")
        found = opened("search", text="secret")
        alone = opened("compare")

    assert refused.error[0].value == "Not shown to you."
    assert json.loads(audit.read_text().splitlines()[0])["corpus"] == "support"
    assert "Clear one of them" in nothing.info[0].value
    assert "**1 utterance**" in said(found)
    assert OTHER_SCORER not in said(alone)

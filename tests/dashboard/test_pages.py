"""Each page full, empty and in error, as Streamlit runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard as package
from dashboard.access import Access, Mode, Viewer
from dashboard.page import sql_key
from dashboard.session import Dashboard
from mmer_ray.errors import LakeError
from tests.dashboard.makers import HOSTILE, dashboard_of, make_lake, of_viewers

PAGES = Path(package.__file__).parent / "pages"
NAMES = ("overview", "recordings", "method")


def opened(name: str, **address: str | list[str]) -> AppTest:
    """A page as it is when somebody opens this address, and has its SQL shown."""
    page = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=240)
    for key, value in address.items():
        page.query_params[key] = value
    page.session_state[sql_key(name)] = True
    return page.run()


def figures(page: AppTest) -> dict[str, str]:
    return {one.label: one.value for one in page.metric}


def said(page: AppTest) -> str:
    """Everything that the page says in words."""
    parts = [page.info, page.warning, page.error, page.text, page.markdown, page.caption, page.title, page.subheader]
    return "\n".join(str(one.value) for part in parts for one in part)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("corpus", ["sales", "no such corpus"])
def test_another_corpus_by_address_is_refused_in_the_same_words_and_logged(
    lake: Path, tmp_path: Path, name: str, corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = tmp_path / "audit.jsonl"
    access = of_viewers(Viewer("anna", ("support",)))
    monkeypatch.setattr("dashboard.page.name_of_viewer", lambda _: "anna")
    with dashboard_of(lake, access, audit):
        assert not opened(name).error
        page = opened(name, corpus=corpus)

    assert page.error[0].value == "Not shown to you."
    assert page.text[0].value == f"You may not see the corpus {corpus!r}, or there is none."
    line = json.loads(audit.read_text())
    assert (line["event"], line["viewer"], line["corpus"]) == ("refused", "anna", corpus)


@pytest.mark.parametrize("name", ["overview", "recordings", "search"])
def test_what_an_address_asks_and_the_lake_has_not_is_said_and_left_out(dashboard: Dashboard, name: str) -> None:
    page = opened(name, label=["angry", "<b>bored</b>"], days=["1999-01-01", "1999-01-02"], confidence="7")
    assert "It is left out" in page.warning[0].value
    assert page.text[0].value.split("\n") == [
        "days=1999-01-01",
        "days=1999-01-02",
        "label=<b>bored</b>",
        "confidence=7",
    ]
    assert "It is left out" not in said(opened(name, label="angry", confidence="0.4"))


def test_a_viewer_of_one_corpus_sees_its_figures_alone(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.page.name_of_viewer", lambda _: "ben")
    with dashboard_of(lake, of_viewers(Viewer("ben", ("sales",)))):
        page, listed = opened("overview"), opened("recordings")

    assert figures(page)["Recordings"] == "1"
    assert "support" not in str([one.value for one in page.dataframe])
    assert listed.dataframe[0].value["Corpus"].to_list() == ["sales"]
    assert all("support" not in one.value for one in (*page.code, *listed.code))


def test_the_overview_counts_what_is_there(dashboard: Dashboard) -> None:
    page = opened("overview")

    assert figures(page) == {
        "Recordings": "4",
        "Audio": "3 min",
        "Speech": "80 s",
        "Negative speech": "40.8 %",
        "Mean valence": "-0.17",
        "Utterances answered": "90.0 %",
    }
    assert "1 of 5 files could not be scored" in page.warning[0].value


def test_the_overview_flags_corpora_without_notice_or_legal_basis(dashboard: Dashboard) -> None:
    page = opened("overview")

    corpora = page.dataframe[-1].value
    assert corpora["Corpus"].to_list() == ["sales", "support"]
    assert set(corpora["Legal basis"]) == {"⚠ not recorded"}
    assert "mmer lake corpus" in said(page)


def test_a_filter_in_the_address_changes_the_figures(dashboard: Dashboard) -> None:
    page = opened("overview", corpus="support", days=["2026-11-02", "2026-11-02"])

    assert figures(page)["Recordings"] == "1"
    assert figures(page)["Negative speech"] == "75.0 %"


def test_as_many_days_before_are_compared(dashboard: Dashboard) -> None:
    page = opened("overview", corpus="support", days=["2026-11-02", "2026-11-02"])

    changes = {one.label: one.delta for one in page.metric}
    assert changes["Negative speech"] == "+75.0 points"
    assert changes["Audio"] == "+175 %"
    # One recording on each of both days: that is no change, and has no arrow.
    assert changes["Recordings"] == ""


def test_a_model_without_a_valence_gives_figures_of_its_classes(tmp_path: Path) -> None:
    make_lake(tmp_path / "lake", has_valence=False)
    with dashboard_of(tmp_path / "lake"):
        page, listed = opened("overview"), opened("recordings")

    assert "Mean confidence" in figures(page)
    assert "Negative speech within recordings" in [one.value for one in page.subheader]
    assert not page.exception
    assert not listed.exception
    assert listed.selectbox[0].value == "most negative speech"
    assert "Worst 30 s" not in listed.dataframe[0].proto.column_order


def test_the_list_of_recordings_begins_with_the_worst(dashboard: Dashboard) -> None:
    table = opened("recordings", corpus="support").dataframe[0].value

    assert table["Recording"].to_list() == ["b.opus", "c.opus", "a.opus"]
    assert table["Opens at"].to_list() == ["1:00", "0:00", "0:10"]


def test_matches_are_shown_where_utterances_are_chosen(dashboard: Dashboard) -> None:
    all_listed, angry = opened("recordings").dataframe[0], opened("recordings", label="angry").dataframe[0]

    assert "Matches" not in all_listed.proto.column_order
    assert "Matches" in angry.proto.column_order
    assert angry.value["Matches"].to_list() == [2]


def test_an_order_in_the_address_orders_the_list(dashboard: Dashboard) -> None:
    table = opened("recordings", order="longest").dataframe[0].value

    assert table["Recording"].to_list() == ["b.opus", "a.opus", "d.opus", "c.opus"]


def test_quotes_and_statements_in_a_filter_are_looked_for_as_they_stand(dashboard: Dashboard) -> None:
    page = opened("recordings", text="'; DROP TABLE calls; --")

    assert page.dataframe[0].value["Recording"].to_list() == ["b.opus"]
    assert not opened("recordings").exception


def test_nothing_of_the_lake_is_shown_as_markdown_or_html(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", corpus=HOSTILE)
    assert lake.address
    with dashboard_of(tmp_path / "lake"):
        pages = [opened(name) for name in NAMES]

    for page in pages:
        assert not page.exception
        assert HOSTILE not in said_as_markdown(page)
    assert HOSTILE in pages[0].dataframe[-1].value["Corpus"].to_list()


def said_as_markdown(page: AppTest) -> str:
    parts = [page.markdown, page.info, page.warning, page.error, page.caption, page.title, page.subheader]
    return "\n".join(str(one.value) for part in parts for one in part)


def test_the_sql_of_a_page_is_shown_with_its_values(dashboard: Dashboard) -> None:
    shown = "\n".join(one.value for one in opened("overview", corpus="support", text="refund").code)

    assert "list_contains(['support'], corpus)" in shown
    assert "contains(lower(text), lower('refund'))" in shown


def test_the_sql_is_sent_to_who_asks_for_it_alone(dashboard: Dashboard) -> None:
    page = AppTest.from_file(str(PAGES / "method.py"), default_timeout=240).run()
    (place,) = page.expander

    assert place.label == "Show the SQL"
    assert not page.code


def test_the_method_says_which_model_is_in_use_and_what_the_law_asks(dashboard: Dashboard) -> None:
    page = opened("method")

    assert "mmer-12345678" in page.dataframe[0].value["scorer"].to_list()
    assert "Art. 5(1)(f)" in said(page)
    assert "ranking of employees" in said(page)
    assert "count utterances" in said(page)


def test_who_signed_in_can_sign_out_also_where_a_page_ends_early(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise LakeError("the bucket is away")

    monkeypatch.setattr("dashboard.page.name_of_viewer", lambda _: "ann")
    pages = []
    for corpora in (("elsewhere",), ("support",)):
        with dashboard_of(lake, Access(Mode.OIDC, {"ann": Viewer("ann", corpora)})) as dashboard:
            pages += [opened("overview"), opened("overview", corpus="sales"), opened("recording", recording="f" * 32)]
            monkeypatch.setattr(dashboard.reader, "table", away)
            pages.append(opened("runs"))

    assert [[one.label for one in page.button if one.label == "Sign out"] for page in pages] == [["Sign out"]] * 8

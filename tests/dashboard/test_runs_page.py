"""The page on runs: the ledger, speed, failures and drift, for who may see what."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.access import Viewer
from dashboard.drift_view import Against, drifts, run_names
from dashboard.filters import Filters
from dashboard.questions.runs import answering_runs, answers
from dashboard.run_charts import gantt
from dashboard.run_facts import clock_format, ends_of, gap_s, is_short, names_of, parts_of_run, speed, stage_seconds
from dashboard.session import Dashboard
from mmer_ray.lake.drift import answers_of, drift_between
from mmer_ray.lake.queries import open_lake
from tests.dashboard.makers import SCORER, dashboard_of, make_lake, of_viewers
from tests.dashboard.nights import FIRST_NIGHT, add_night, run_of
from tests.dashboard.test_pages import figures, opened, said

CALM, UPSET = ["happy"] * 200 + ["sad"] * 200, ["happy"] * 20 + ["sad"] * 380


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nights of 400 utterances, the third of which is sadder, and a run that was killed."""
    address = tmp_path_factory.mktemp("nights") / "lake"
    lake = make_lake(address)
    for night, labels in enumerate((CALM, CALM, UPSET)):
        add_night(lake, night, labels)
    add_night(lake, 3, [], is_over=False)
    return address


def runs_in(page: AppTest) -> list[str]:
    """The runs that the page lists."""
    (listed,) = [one.value for one in page.dataframe if "Status" in one.value]
    found: list[str] = listed["Run"].to_list()
    return found


def test_runs_are_counted_with_their_speed(nights: Path) -> None:
    with dashboard_of(nights):
        page = opened("runs")

    assert not page.exception
    # 401 s in 2 s, each night.
    assert figures(page)["Median speed"] == "200.5\N{MULTIPLICATION SIGN}"
    assert figures(page)["Runs"] == "4"
    assert figures(page)["Files that failed"] == "1"
    assert "was killed" in said(page)


def test_a_ledger_that_does_not_sum_is_told(nights: Path) -> None:
    """The calls of `makers` do not count their silences: of 151 s 75 s are speech."""
    with dashboard_of(nights):
        page = opened("runs", corpus="support", days=["2026-11-01", "2026-11-03"])

    assert "does not sum: 76.0 s are missing" in page.error[0].value


def test_the_ledger_of_one_run_can_be_chosen_by_address(nights: Path) -> None:
    with dashboard_of(nights):
        page = opened("runs", ledger=run_of(1))

    assert "The ledger sums" in said(page)
    assert "planned 6.68 min = scored 6.68 min" in said(page)
    assert "scored 6.68 min = speech 6.67 min + no speech 0.02 min" in said(page)


def test_a_gap_in_a_ledger_is_told(nights: Path) -> None:
    with open_lake(nights) as reader:
        (run,) = reader.rows("SELECT * FROM runs WHERE run_id = $run", {"run": run_of(0)})

    assert gap_s(parts_of_run(run), run["planned_ms"]) == 0.0
    assert gap_s(parts_of_run(run), run["planned_ms"] + 7_000) == 7.0
    assert gap_s(parts_of_run(run | {"speech_ms": 0}), run["planned_ms"]) == 400.0


def test_speed_and_stages_are_per_hour_of_audio(nights: Path) -> None:
    with open_lake(nights) as reader:
        runs = reader.rows("SELECT * FROM runs ORDER BY run_id", {})
    of_nights = {run["run_id"]: run for run in runs}

    assert speed(of_nights[run_of(0)]) == 200.5
    assert stage_seconds(of_nights[run_of(0)]) == pytest.approx(
        {"decode": 0.5 * 3600 / 401, "emotion": 1.5 * 3600 / 401}
    )
    assert speed(of_nights[run_of(3)]) is None
    assert stage_seconds(of_nights[run_of(3)]) == {}


def test_runs_are_named_as_shortly_as_they_differ() -> None:
    second = FIRST_NIGHT.replace(hour=5)

    assert names_of({"a": FIRST_NIGHT}) == {"a": "10 Nov"}
    assert names_of({"a": FIRST_NIGHT, "b": second}) == {"a": "10 Nov 01:00", "b": "10 Nov 05:00"}
    assert names_of({"1-aaaa": second, "1-bbbb": second}) == {
        "1-aaaa": "10 Nov 05:00 aaaa",
        "1-bbbb": "10 Nov 05:00 bbbb",
    }
    assert run_names([run_of(0), run_of(1)]) == {run_of(0): "10 Nov", run_of(1): "11 Nov"}
    assert run_names(["by hand"]) == {"by hand": "by hand"}


def test_an_open_run_lasts_to_its_last_commit() -> None:
    later = FIRST_NIGHT + timedelta(minutes=7)
    runs = [{"run_id": name, "status": status, "started_at": FIRST_NIGHT, "written_at": FIRST_NIGHT}
            for name, status in (("open", "started"), ("over", "finished"))]  # fmt: skip
    commits = [{"run_id": name, "committed_at": later} for name in ("open", "over")]

    assert ends_of(runs, commits) == {"open": later, "over": FIRST_NIGHT}


def test_the_words_at_a_run_tell_the_time_of_its_axis_whatever_the_browser_takes_for_local() -> None:
    run = {
        "run_id": "a", "status": "finished", "started_at": FIRST_NIGHT, "written_at": FIRST_NIGHT + timedelta(hours=1),
        "profile": "calls",
    }  # fmt: skip
    committed = {"run_id": "a", "committed_at": FIRST_NIGHT + timedelta(minutes=3), "num_recordings": 1}
    bars, _, ticks = (layer["data"]["values"] for layer in gantt([run], [committed], {"a": "10 Nov"})["layer"])

    assert bars[0]["began"] == "2026-11-10 01:00:00 UTC"
    assert ticks[0]["when"] == "2026-11-10 01:03:00 UTC"


def test_short_runs_far_apart_are_drawn_from_their_start() -> None:
    apart = [{"run_id": str(day), "status": "finished", "profile": "calls", "started_at": FIRST_NIGHT + timedelta(day),
              "written_at": FIRST_NIGHT + timedelta(day, minutes=3)} for day in range(5)]  # fmt: skip

    assert is_short(apart, ends_of(apart, []))
    assert not is_short(apart[:1], ends_of(apart[:1], []))
    assert "Minutes since" in str(gantt(apart, [], {run["run_id"]: run["run_id"] for run in apart}))


@pytest.mark.parametrize(("hours", "shown"), [(0.1, "20:30:00"), (5, "20:30"), (48, "10 Nov 20:30"), (500, "10 Nov")])
def test_times_on_an_axis_are_of_24_hours_and_as_exact_as_it_is_long(hours: float, shown: str) -> None:
    begins = FIRST_NIGHT.replace(hour=20, minute=30)
    run = {"run_id": "r", "started_at": begins}

    written = clock_format([run], {"r": begins + timedelta(hours=hours)})

    assert f"{begins:{written}}" == shown


def test_failures_are_listed_by_code_with_what_to_do(nights: Path) -> None:
    with dashboard_of(nights):
        page = opened("runs")

    failed = page.dataframe[0].value
    assert failed["Code"].to_list() == ["empty_file"]
    assert "until the file is replaced" in failed["What to do"][0]
    assert page.dataframe[1].value["File"].to_list() == ["broken.wav"]


def test_a_night_that_has_drifted_is_pointed_at(nights: Path) -> None:
    with dashboard_of(nights):
        page = opened("runs", model=SCORER)

    assert "have drifted" in said(page)
    (drifted,) = [one.value for one in page.dataframe if "Verdict" in one.value]
    assert drifted["Verdict"].to_list() == ["large drift"]
    assert drifted["Quantity"].to_list() == ["label"]


def test_drift_on_the_page_is_that_of_the_command_line(nights: Path) -> None:
    runs = [run_of(night) for night in range(3)]
    with dashboard_of(nights) as dashboard, open_lake(nights) as reader:
        found = answers_of(dashboard.ask(answers(Filters(), ("support",), SCORER, runs)))
        by_run = {run: found[run] for run in runs}

        assert drifts(by_run, Against.BEFORE)[runs[2]] == drift_between(reader, runs[1], runs[2])
        assert drifts(by_run, Against.FIRST)[runs[2]] == drift_between(reader, runs[0], runs[2])
    assert drifts(by_run, Against.BEFORE)[runs[1]][0].psi == 0.0


def test_days_choose_the_runs_that_scored_them(nights: Path) -> None:
    with dashboard_of(nights):
        page = opened("runs", days=["2026-11-10", "2026-11-11"])

    assert runs_in(page) == [run_of(2), run_of(1)]


def test_a_lake_without_runs_says_so(dashboard: Dashboard) -> None:
    page = opened("runs")

    assert not page.exception
    assert "No run is recorded" in page.info[0].value
    assert "Drift needs answers of two runs" in said(page)


def test_a_viewer_of_some_corpora_sees_only_runs_of_these_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = make_lake(tmp_path / "lake")
    add_night(lake, 0, CALM, "sales")
    add_night(lake, 1, CALM, "support")
    monkeypatch.setattr("dashboard.page.name_of_viewer", lambda _: "ben")
    with dashboard_of(tmp_path / "lake", of_viewers(Viewer("ben", ("sales",)))):
        page = opened("runs")

    assert runs_in(page) == [run_of(0)]
    assert figures(page)["Files that failed"] == "0"
    assert run_of(1) not in str([one.value for one in page.dataframe])


def test_where_the_lake_moves_on_its_tables_are_others_so_that_no_click_meets_another_row(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake")
    add_night(lake, 0, CALM[:4])

    def tables() -> set[str]:
        found = {one.proto.id for name in ("runs", "recordings") for one in opened(name).dataframe if one.proto.id}
        assert len(found) == 2
        return found

    with dashboard_of(tmp_path / "lake") as dashboard:
        first = tables()
        assert tables() == first
        add_night(lake, 1, CALM[:4])
        dashboard.reader.refresh()
        assert not tables() & first


def test_drift_is_of_the_newest_runs_that_answered_about_the_viewers_corpora_and_days_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = make_lake(tmp_path / "lake")
    for night, (labels, corpus) in enumerate([(CALM, "sales"), (UPSET, "sales"), (CALM, "support"), (CALM, "support")]):
        add_night(lake, night, labels, corpus)
    monkeypatch.setattr("dashboard.drift_view.MAX_RUNS", 2)
    monkeypatch.setattr("dashboard.page.name_of_viewer", lambda _: "ben")
    with dashboard_of(tmp_path / "lake", of_viewers(Viewer("ben", ("sales",)))) as dashboard:
        page = opened("runs", model=SCORER)
        days = Filters(last_day=(FIRST_NIGHT - timedelta(1)).date())
        earlier = dashboard.ask(answering_runs(days, ("sales", "support"), SCORER, 1)).to_pylist()

    assert "have drifted" in said(page)
    asked = "\n".join(one.value for one in page.code)
    assert [run_of(night) in asked for night in range(4)] == [True, True, False, False]
    assert earlier == [{"run_id": run_of(0)}]


def test_a_run_that_scored_two_corpora_of_a_viewer_is_found_by_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = make_lake(tmp_path / "lake")
    add_night(lake, 0, CALM, "sales", also_in="support")
    add_night(lake, 1, CALM, "support", also_in="elsewhere")
    monkeypatch.setattr("dashboard.page.name_of_viewer", lambda _: "ben")
    with dashboard_of(tmp_path / "lake", of_viewers(Viewer("ben", ("sales", "support")))):
        found = [runs_in(opened("runs", corpus=corpus)) for corpus in ("sales", "support")]

    assert found == [[run_of(0)], [run_of(0)]]

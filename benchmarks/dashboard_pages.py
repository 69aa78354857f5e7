"""How soon is each page of the dashboard interactive, cold and warm, and after a change of a filter?

    PYTHONPATH=. python benchmarks/dashboard_pages.py [--utterances 5000000] [--visits 5] [--folder DIR]

Makes the lake of `lake_queries.py` with two models that have answered about every utterance and a run for each night,
compacts it (roll-ups included), and opens all pages of a real `mmer dashboard` in a real Chromium. Seconds are from
navigation until the page is interactive: its last element is there, Streamlit's script has ended, charts and tables are
drawn. Cold: the first visit to a server process that has just said its address. Warm: a new browser context for each
visit, which knows nothing, after one visit. Again: a browser that comes back and has the page's files. Menu: from a
click in the menu of another page. Filter: another emotion is chosen each time (on Runs another corpus), so that no
answer is kept. With `--folder DIR` the lake is made there, or is the one that a run before has left.

Rivals of the same run: the questions that the page asks, put to DuckDB over the same Parquet files without roll-ups and
without kept answers, the time of the server alone; and an empty Streamlit page in the same browser, the least that any
page can take. One recording of an hour has words and sound; the others have neither.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pyarrow as pa

from benchmarks.in_browser import changed_s, chosen_s, empty_streamlit, navigated_s
from benchmarks.lake_queries import CORPORA, FIRST_DAY, NUM_DAYS, SCORER, Year, _scores, _table, _with
from dashboard import front
from dashboard.question import Question
from dashboard.session import LIMITS, Dashboard, Settings, serve_pages_of
from mmer_ray.errors import UsageError
from mmer_ray.lake.batch import Batch, whole
from mmer_ray.lake.commit import append_commit
from mmer_ray.lake.compaction import compact
from mmer_ray.lake.limits import limited
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.serving import add_serving_views
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import connect_to_build
from mmer_ray.tables import CLASSES, DERIVED_TABLES, SCHEMAS
from tests.dashboard.browser import chromium, dashboard_at
from tests.dashboard.lakes import call_lake

OTHER_SCORER = "late_fusion-0badcafe"
RESCORED_NIGHTS = 30
HOUR_S = 3_600.0
COLUMNS = ("valence", "arousal", "dominance", "confidence", *(f"p_{name}" for name in (*CLASSES, "other")))
LAST = "[class*=st-key-sql-of-] summary"
"""The foot of each page."""
ENTRY = "[data-testid=stTopNavLink][href$='{}']"
"""Of the menu, by the path of its page."""
NOT_IN_MENU = ("recording", "method")
"""Reached from a list; and the page that choices begin at."""
CHANGES: Mapping[str, tuple[str, Sequence[str]]] = {
    "overview": ("Emotions", CLASSES),
    "recordings": ("Emotions", CLASSES),
    "search": ("Emotions", CLASSES),
    "compare": ("Emotions", CLASSES),
    "runs": ("Corpora", CORPORA),
}
"""Page -> the filter that is changed, and what is chosen in it, one after the other."""
SCRIPTS = Path(front.__file__).parent / "pages"
VIEWPORT = {"width": 1280, "height": 900}


def make_lake(address: Path, year: Year) -> Lake:
    """A commit for each night, of a run of its own, and one for each month of another model's answers; the first one
    activates the scorer."""
    lake, chance = Lake(address), np.random.default_rng(7)
    lake.create()
    others: list[dict[str, pa.Table]] = []
    for night, tables in enumerate(year.nights()):
        started = datetime.combine(FIRST_DAY, datetime.min.time(), UTC) + timedelta(night + 1, hours=1)
        run_id = f"{started:%Y%m%dT%H%M%S}-{night:06x}"
        if night == 0:
            active = {"corpus": pa.array(list(CORPORA)), "scorer": pa.repeat(SCORER, len(CORPORA))}
            tables["active_scorers"] = _table("active_scorers", active)
        _append(lake, 2 * night + 1, run_id, SCORER, tables)
        _append_run(lake, 10_000 + night, run_id, started, tables)
        others.append(_other_answers(tables, chance))
        if len(others) == RESCORED_NIGHTS or night == NUM_DAYS - 1:
            joined = {name: pa.concat_tables([one[name] for one in others]) for name in others[0]}
            _append(lake, 2 * night + 2, f"{run_id[:-6]}f{night:05x}", OTHER_SCORER, joined)
            others.clear()
    return lake


def _other_answers(tables: Mapping[str, pa.Table], chance: np.random.Generator) -> dict[str, pa.Table]:
    """Another model on the same utterances: it agrees on about every other label."""
    felt, calls = tables["emotions"], tables["calls"]
    labels, other = felt.column("label").to_pylist(), chance.integers(0, len(CLASSES), felt.num_rows)
    agrees = chance.random(felt.num_rows) < 0.5
    said = [labels[at] if agrees[at] else CLASSES[other[at]] for at in range(felt.num_rows)]
    for name in COLUMNS:
        values = np.asarray(felt.column(name)) * chance.uniform(0.6, 1.0, felt.num_rows)
        felt = felt.set_column(felt.schema.get_field_index(name), felt.schema.field(name), _scores(values))
    felt = felt.set_column(felt.schema.get_field_index("label"), felt.schema.field("label"), pa.array(said))
    scorer = {"scorer": OTHER_SCORER}
    return {"emotions": _with(felt, scorer), "calls": _with(calls, scorer)}


def _append(lake: Lake, sequence: int, run_id: str, scorer: str, tables: Mapping[str, pa.Table]) -> None:
    commit_id = f"{run_id}.{sequence:05d}"
    stamp = {"run_id": run_id, "commit_id": commit_id}
    stamped = {name: _with(table, stamp) for name, table in tables.items()}
    append_commit(lake, Batch(sequence, commit_id, whole(stamped)), run_id, scorer)


def _append_run(lake: Lake, sequence: int, run_id: str, started: datetime, tables: Mapping[str, pa.Table]) -> None:
    """A run that was over after an hour."""
    total_ms = int(sum(tables["results"].column("duration_ms").to_pylist()))
    counts = {"num_planned": tables["recordings"].num_rows, "num_scored": tables["recordings"].num_rows}
    row = counts | {
        "run_id": run_id, "status": "finished", "started_at": started, "written_at": started + timedelta(hours=1),
        "profile": "calls", "options": "{}", "wall_s": 3_600.0, "num_utterances": tables["utterances"].num_rows,
        "planned_ms": total_ms, "scored_ms": total_ms, "speech_ms": total_ms // 2, "non_speech_ms": total_ms // 2,
        **dict.fromkeys(("num_copies", "num_failed", "num_unreached", "num_erased"), 0),
        **dict.fromkeys(("quarantined_ms", "unreached_ms", "erased_ms"), 0),
        "stage_s": [("decode", 400.0), ("transcribe", 5_000.0), ("emotion", 1_500.0)],
        "versions": [("mmer_ray", "1.0")],
    }  # fmt: skip
    filled = {field.name: row.get(field.name) for field in SCHEMAS["runs"]}
    lake.append("runs", pa.Table.from_pylist([filled], SCHEMAS["runs"]), sequence, run_id)


def addresses(lake: Lake) -> dict[str, str]:
    """Page -> its address. The search looks for words; the recording is the one with sound."""
    with open_lake(lake.address) as reader:
        one = reader.find_recording("call_0.wav")
    more = {"search": "?text=refund", "recording": f"?recording={one['recording_id']}&of={one['corpus']}"}
    # The Overview is the page of the bare address.
    return {name: f"/{'' if name == 'overview' else name}{more.get(name, '')}" for name in front.PARTS}


class Visits:
    """Visits to the pages of one lake."""

    def __init__(self, browser: Any, lake: Lake, cache: Path) -> None:
        self._browser, self._lake, self._cache = browser, lake, cache

    def cold_s(self, place: str) -> tuple[float, float]:
        """Seconds that a server takes to say its address, and those of the first visit to it."""
        begun = time.perf_counter()
        with dashboard_at(self._lake.address, self._cache) as server:
            started_s = time.perf_counter() - begun
            return started_s, self.visit_s(f"{server}{place}")

    def visit_s(self, address: str, last: str = LAST) -> float:
        """One visit by a browser context that knows nothing."""
        context = self._browser.new_context(viewport=VIEWPORT)
        found = navigated_s(context.new_page(), address, last)
        context.close()
        return found

    def warm_s(self, address: str, number: int, last: str = LAST) -> list[float]:
        """Visits after one that counts for nothing."""
        return [self.visit_s(address, last) for _ in range(number + 1)][1:]

    def again_s(self, address: str, number: int, last: str = LAST) -> list[float]:
        """Visits by one browser context, after one by which it has the page's files."""
        context = self._browser.new_context(viewport=VIEWPORT)
        found = []
        for _ in range(number + 1):
            page = context.new_page()
            found.append(navigated_s(page, address, last))
            page.close()
        context.close()
        return found[1:]

    def chosen_s(self, server: str, place: str, number: int) -> list[float]:
        """Choices of a page in the menu, each from the page about the method; the first counts for nothing."""
        context = self._browser.new_context(viewport=VIEWPORT)
        page = context.new_page()
        navigated_s(page, f"{server}/method", LAST)
        found = []
        for _ in range(number + 1):
            found.append(chosen_s(page, ENTRY.format(urlsplit(place).path)))
            chosen_s(page, ENTRY.format("/method"))
        context.close()
        return found[1:]

    def changes_s(self, address: str, label: str, choices: Sequence[str]) -> list[float]:
        """Changes of a filter, one after the other, on one page: each is added to those before."""
        context = self._browser.new_context(viewport=VIEWPORT)
        page = context.new_page()
        navigated_s(page, address, LAST)
        found = [changed_s(page, label, choice) for choice in choices]
        context.close()
        return found


def questions_of(lake: Lake, places: Mapping[str, str]) -> dict[str, list[Question]]:
    """Page -> what it asks of the lake, as the page itself says when it is run."""
    from streamlit.testing.v1 import AppTest

    found: dict[str, list[Question]] = {}
    dashboard = Dashboard(Settings(str(lake.address)))
    ask = dashboard.ask
    serve_pages_of(dashboard)
    try:
        for name, place in places.items():
            asked: dict[Question, None] = {}
            dashboard.ask = lambda one, asked=asked: (asked.setdefault(one), ask(one))[1]  # type: ignore[method-assign]
            page = AppTest.from_file(str(SCRIPTS / f"{name}.py"), default_timeout=600)
            for key, values in parse_qs(urlsplit(place).query).items():
                page.query_params[key] = values
            page.run()
            assert not page.exception, page.exception
            found[name] = list(asked)
    finally:
        serve_pages_of(None)
        dashboard.close()
    return found


def without_rollups_s(lake: Lake, asked: Mapping[str, Sequence[Question]]) -> Iterator[tuple[str, float]]:
    """Seconds of each page's questions where nothing is stored for dashboards; a question takes `LIMITS.timeout_s` at
    most, and then counts as that."""
    with connect_to_build(lake) as connection:
        add_serving_views(connection, dict.fromkeys(DERIVED_TABLES, ()))
        for name, questions in asked.items():
            begun = time.perf_counter()
            for one in questions:
                try:
                    limited(connection.cursor(), one.sql, one.bound(), LIMITS)
                except UsageError as exc:
                    print(f"  without roll-ups, {name}: {exc}", flush=True)
            yield name, time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=5_000_000)
    parser.add_argument("--visits", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="Make the lake there, or take the one that is there.")
    parser.add_argument("--no-rival", action="store_true", help="Leave out DuckDB without roll-ups.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake = _lake((options.folder or folder) / "lake", options.utterances)
        places = addresses(lake)
        with chromium() as browser:
            rows = measured(Visits(browser, lake, folder / "cache"), lake, folder, places, options.visits)
        rivals = {} if options.no_rival else dict(without_rollups_s(lake, questions_of(lake, places)))
    heads = "".join(f"{name:>8}{'(least..most)':>16}" for name in ("warm", "again", "menu", "filter"))
    print(f"{'page':16}{'cold':>8}{heads}{'no roll-ups':>13}")
    for page, (cold, *several) in rows.items():
        rival = f"{rivals[page]:>13.1f}" if page in rivals else ""
        print(f"{page:16}{_one(cold)}{''.join(map(_several, several))}{rival}")


def _lake(address: Path, num_utterances: int) -> Lake:
    if address.exists():
        return Lake(address)
    begun = time.perf_counter()
    lake = make_lake(address, Year(num_utterances))
    made_s = time.perf_counter() - begun
    call_lake(address.parent, (HOUR_S,))
    done = compact(lake)
    print(
        f"{num_utterances:,} utterances, {os.cpu_count()} cores; lake made in {made_s:.0f} s, "
        f"{done.num_files:,} files joined in {time.perf_counter() - begun - made_s:.0f} s",
        flush=True,
    )
    return lake


Row = tuple[float | None, list[float], list[float], list[float], list[float]]


def measured(visits: Visits, lake: Lake, folder: Path, places: Mapping[str, str], number: int) -> dict[str, Row]:
    """Page -> cold seconds, warm ones, those of who comes back, of choices in the menu, and of changes."""
    colds, starts = {}, []
    for name, place in places.items():
        started_s, colds[name] = visits.cold_s(place)
        starts.append(started_s)
    print(f"a server says its address after {statistics.median(starts):.1f} s (median)", flush=True)
    rows: dict[str, Row] = {}
    with empty_streamlit(folder) as server:
        empty = visits.warm_s(server, number, "h1"), visits.again_s(server, number, "h1")
        rows["empty Streamlit"] = (None, *empty, [], [])
    with dashboard_at(lake.address, folder / "cache") as server:
        for name, place in places.items():
            warm = visits.warm_s(f"{server}{place}", number)
            label, choices = CHANGES.get(name, ("", ()))
            changes = visits.changes_s(f"{server}{place}", label, choices[:number]) if choices else []
            chosen = [] if name in NOT_IN_MENU else visits.chosen_s(server, place, number)
            rows[name] = (colds[name], warm, visits.again_s(f"{server}{place}", number), chosen, changes)
            print(f"  {name}: {statistics.median(warm):.2f} s", flush=True)
    return rows


def _one(seconds: float | None) -> str:
    return f"{'' if seconds is None else f'{seconds:.2f}':>8}"


def _several(seconds: Sequence[float]) -> str:
    if not seconds:
        return f"{'':24}"
    return f"{statistics.median(seconds):>8.2f}{f'({min(seconds):.2f}..{max(seconds):.2f})':>16}"


if __name__ == "__main__":
    main()

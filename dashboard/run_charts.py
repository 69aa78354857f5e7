"""Pictures of runs: the ledger, when they ran, how fast, where the seconds went, how far answers have drifted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dashboard.charts import LEGEND, LINE_COLOUR, Spec, ink
from dashboard.run_facts import STATUSES, Part, clock_format, ends_of, is_short, speed, stage_seconds, status_of
from mmer_ray.tables import Row
from mmer_ray.training.evaluation.drift import LARGE, MODERATE, Drift

PART_COLOURS = {
    "scored": "#0072B2",
    "failed": "#D55E00",
    "erased": "#999999",
    "not reached": "#E69F00",
    "speech": "#56B4E9",
    "no speech": "#B8C4CC",
}
STATUS_COLOURS = dict(zip(STATUSES.values(), ("#0072B2", "#E69F00", "#D55E00", "#999999"), strict=True))
STAGE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
RUN_HEIGHT, LEDGER_HEIGHT, HEIGHT = 22, 58, 320
MANY_BARS = 6
MANY_MS = 4 * 3_600_000
"""From here on audio is counted in hours."""


def ledger(parts: Sequence[Part]) -> Spec:
    """Two bars, planned and scored, each of its parts; one scale, so that the second is as long as the part above."""
    found = [one for one in parts if one.milliseconds]
    names = [name for name in PART_COLOURS if any(one.name == name for one in found)]
    sums = {whole: sum(one.milliseconds for one in found if one.whole == whole) for whole in ("planned", "scored")}
    unit, per = ("Hours of audio", 3_600_000) if max(sums.values()) > MANY_MS else ("Minutes of audio", 60_000)
    values = [
        {
            "whole": one.whole,
            "part": one.name,
            "order": names.index(one.name),
            "amount": one.milliseconds / per,
            "share": one.milliseconds / sums[one.whole],
        }
        for one in found
    ]
    amount = {"field": "amount", "type": "quantitative", "title": unit}
    down = {"field": "whole", "type": "nominal", "title": None, "sort": ["planned", "scored"]}
    return {
        "data": {"values": values},
        "height": {"step": LEDGER_HEIGHT},
        "mark": {"type": "bar", "height": 0.62 * LEDGER_HEIGHT},
        "encoding": {
            "y": down | {"axis": {"labelFontSize": 14}},
            "x": amount | {"axis": {"tickCount": 6, "format": ",~f"}},
            "color": _colours("part", names, [PART_COLOURS[name] for name in names]),
            "order": {"field": "order", "type": "quantitative"},
            "tooltip": [
                {"field": "part", "title": "Part"},
                amount | {"format": ",.2f"},
                {"field": "share", "title": "Share", "format": ".1%"},
            ],
        },
    }


def gantt(runs: Sequence[Row], commits: Sequence[Row], names: Mapping[str, str]) -> Spec:
    """A bar per run from its start to its end, a tick for each commit; a run without an end is its start alone. By the
    clock or, where runs are too short to be seen so, by minutes since each run's start. `names`: run id -> name."""
    ends = ends_of(runs, commits)
    by_clock = not is_short(runs, ends)
    bars, ticks = _times(runs, commits, names, ends, by_clock=by_clock)
    found = [status for status in STATUSES.values() if any(status_of(run) == status for run in runs)]
    colour = _colours("status", found, [STATUS_COLOURS[one] for one in found])
    down = {"field": "run", "type": "nominal", "title": None, "sort": [names[run["run_id"]] for run in runs]}
    axis = {"tickCount": 8, "format": clock_format(runs, ends), "labelOverlap": True}
    across = {"type": "temporal", "scale": {"type": "utc"}, "title": "UTC", "axis": axis}
    if not by_clock:
        across = {"type": "quantitative", "title": "Minutes since the start of the run", "axis": {"tickCount": 8}}
    place = {"y": down, "x": {"field": "from", **across}, "color": colour, "tooltip": _RUN_TOOLTIP}
    bar = {"type": "bar", "height": 0.6 * RUN_HEIGHT, "cornerRadius": 2}
    start = {"type": "point", "filled": True, "shape": "triangle-right", "size": 60, "opacity": 1}
    tick = {"type": "tick", "thickness": 2, "size": 0.6 * RUN_HEIGHT, "color": "#FFFFFF"}
    of_commit = {"y": down, "x": {"field": "at", **across}, "tooltip": _COMMIT_TOOLTIP}
    return {
        "height": {"step": RUN_HEIGHT},
        "layer": [
            {"data": {"values": bars}, "mark": bar, "encoding": {**place, "x2": {"field": "to"}}},
            {"data": {"values": bars}, "mark": start, "encoding": place},
            {"data": {"values": ticks}, "mark": tick, "encoding": of_commit},
        ],
    }


def _times(
    runs: Sequence[Row],
    commits: Sequence[Row],
    names: Mapping[str, str],
    ends: Mapping[str, datetime],
    *,
    by_clock: bool,
) -> tuple[list[Spec], list[Spec]]:
    """The bars of runs and the ticks of their commits, by the clock or in minutes since each run's start."""
    started = {run["run_id"]: run["started_at"] for run in runs}

    def at(run_id: str, when: datetime) -> str | float:
        return when.isoformat() if by_clock else (when - started[run_id]).total_seconds() / 60

    bars = [
        {
            "run": names[run["run_id"]],
            "from": at(run["run_id"], run["started_at"]),
            "to": at(run["run_id"], ends[run["run_id"]]),
            "began": _written(run["started_at"]),
            "status": status_of(run),
            "profile": run["profile"] or "",
            "minutes": (ends[run["run_id"]] - run["started_at"]).total_seconds() / 60,
        }
        for run in runs
    ]
    ticks = [
        {
            "run": names[row["run_id"]],
            "at": at(row["run_id"], row["committed_at"]),
            "when": _written(row["committed_at"]),
            "recordings": row["num_recordings"],
        }
        for row in commits
        if row["committed_at"] <= ends[row["run_id"]]
    ]
    return bars, ticks


_RUN_TOOLTIP = [
    {"field": "began", "title": "Began"},
    {"field": "profile", "title": "Profile"},
    {"field": "status", "title": "Status"},
    {"field": "minutes", "title": "Minutes", "format": ",.1f"},
]
_COMMIT_TOOLTIP = [
    {"field": "when", "title": "Committed"},
    {"field": "recordings", "title": "Files"},
]


def _written(when: datetime) -> str:
    """As the axis has it: a tooltip would turn a time into that of the browser's place."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def speeds(runs: Sequence[Row], names: Mapping[str, str]) -> Spec:
    """Hours of audio per hour on the clock, run after run, the oldest first."""
    values = [{"run": names[run["run_id"]], "speed": speed(run)} for run in reversed(runs)]
    title = "Hours of audio per hour"
    return {
        "data": {"values": values},
        "height": HEIGHT,
        "mark": {"type": "bar", "color": LINE_COLOUR, "width": _width(runs)},
        "encoding": {
            "x": _across([names[run["run_id"]] for run in reversed(runs)]),
            "y": {"field": "speed", "type": "quantitative", "title": title, "axis": {"tickCount": 5}},
            "tooltip": [{"field": "run", "title": "Run"}, {"field": "speed", "title": title, "format": ",.1f"}],
        },
    }


def stages(runs: Sequence[Row], names: Mapping[str, str]) -> Spec:
    """Seconds in each stage per hour of audio, run after run, the oldest first."""
    totals: Counter[str] = Counter()
    for run in runs:
        totals.update(stage_seconds(run))
    order = [name for name, _ in totals.most_common()]
    values = [
        {"run": names[run["run_id"]], "stage": stage, "seconds": seconds, "order": order.index(stage)}
        for run in reversed(runs)
        for stage, seconds in stage_seconds(run).items()
    ]
    colours = [STAGE_COLOURS[min(place, len(STAGE_COLOURS) - 1)] for place in range(len(order))]
    title = "Seconds per hour of audio"
    return {
        "data": {"values": values},
        "height": HEIGHT,
        "mark": {"type": "bar", "width": _width(runs)},
        "encoding": {
            "x": _across([names[run["run_id"]] for run in reversed(runs)]),
            "y": {"field": "seconds", "type": "quantitative", "title": title, "axis": {"tickCount": 5}},
            "color": _colours("stage", order, colours),
            "order": {"field": "order", "type": "quantitative"},
            "tooltip": [
                {"field": "run", "title": "Run"},
                {"field": "stage", "title": "Stage"},
                {"field": "seconds", "title": title, "format": ",.1f"},
            ],
        },
    }


def drift(found: Mapping[str, Sequence[Drift]], order: Sequence[str]) -> Spec:
    """The population stability index of each quantity, run after run. `found`: run, as `order` names it -> its drift.

    Two lines mark from where a drift is moderate and large; a run with too few answers is hollow."""
    values = [
        {
            "run": run,
            "quantity": one.quantity,
            "psi": one.psi,
            "verdict": one.verdict,
            "by_chance": one.by_chance,
            "is_judged": one.verdict != "too few",
        }
        for run, some in found.items()
        for one in some
    ]
    quantities = list(dict.fromkeys(one.quantity for some in found.values() for one in some))
    colour = _colours("quantity", quantities, STAGE_COLOURS[: len(quantities)])
    colour["legend"] = {**LEGEND, "symbolType": "circle", "symbolFillColor": "transparent"}
    up = {"field": "psi", "type": "quantitative", "title": "Population stability index"}
    place = {"x": _across(order), "y": up, "color": colour}
    hollow = {"test": "!datum.is_judged", "value": "transparent"}
    fill = {**colour, "condition": hollow, "legend": None}
    tooltip = [
        {"field": "run", "title": "Run"},
        {"field": "quantity", "title": "Quantity"},
        {"field": "psi", "title": "PSI", "format": ".3f"},
        {"field": "by_chance", "title": "95 % of chance below", "format": ".3f"},
        {"field": "verdict", "title": "Verdict"},
    ]
    line, point = {"type": "line", "strokeWidth": 2}, {"type": "point", "size": 80, "opacity": 1}
    return {
        "height": HEIGHT,
        "layer": [
            {"data": {"values": values}, "mark": line, "encoding": place},
            {"data": {"values": values}, "mark": point, "encoding": {**place, "fill": fill, "tooltip": tooltip}},
            *_thresholds(),
        ],
    }


def _thresholds() -> list[Spec]:
    """From where a drift is called so."""
    levels = [{"level": MODERATE, "words": "moderate drift"}, {"level": LARGE, "words": "large drift"}]
    place = {"y": {"field": "level", "type": "quantitative"}}
    words = {"type": "text", "align": "left", "x": 6, "dy": -7, "color": ink()}
    return [
        {
            "data": {"values": levels},
            "mark": {"type": "rule", "strokeDash": [5, 4], "color": "#8A8A8A"},
            "encoding": place,
        },
        {"data": {"values": levels}, "mark": words, "encoding": {**place, "text": {"field": "words"}}},
    ]


def _width(runs: Sequence[Row]) -> Spec | int:
    """Of a bar: a few of them need not fill the chart."""
    return {"band": 0.6} if len(runs) >= MANY_BARS else 48


def _across(order: Sequence[str]) -> Spec:
    axis = {"labelAngle": 0, "labelOverlap": True, "labelLimit": 140}
    return {"field": "run", "type": "nominal", "title": None, "sort": list(order), "axis": axis}


def _colours(field: str, names: Sequence[str], colours: Sequence[str]) -> dict[str, Any]:
    scale = {"domain": list(names), "range": list(colours)}
    return {"field": field, "type": "nominal", "scale": scale, "legend": dict(LEGEND)}

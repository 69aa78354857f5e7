"""The charts, as Vega-Lite: every colour has its label beside it, every chart its content in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import streamlit as st

from dashboard.palette import NO_ANSWER, colour_of, in_order

Spec = dict[str, Any]

HEIGHT = 300
ROLE_HEIGHT = 34
LINE_COLOUR = "#2B8CC4"
"""Seen on white and on black."""
LEGEND: Spec = {
    "title": None, "orient": "top", "symbolType": "square", "symbolSize": 140, "labelFontSize": 13, "labelLimit": 300,
    "padding": 0, "offset": 10,
}  # fmt: skip
"""Close above the chart, in its own words."""
WRITTEN = {"day": "%d %b %Y", "week": "week of %d %b %Y", "month": "%b %Y"}
INKS = {"light": "#4A5058", "dark": "#D5D8DC"}
"""Of words: Streamlit's own are too pale on white, and no colour has a contrast of 4.5 in both themes."""
UNITS = {"day": "yearmonthdate", "week": "yearmonthdate", "month": "yearmonth"}
QUARTERS = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th"}


def ink() -> str:
    """The colour of words in a chart."""
    return INKS["dark" if st.context.theme.type == "dark" else "light"]


def show(spec: Spec, in_words: str) -> None:
    """Show a chart as wide as its place."""
    words = {"labelColor": ink(), "titleColor": ink()}
    # Streamlit moves the first and the last label of an axis away from their marks.
    spec = spec | {"config": {"axis": {**words, "labelFlush": False}, "legend": words}}
    st.vega_lite_chart(spec=spec, width="stretch", alt=in_words)


def seconds_by_label(rows: pa.Table) -> dict[str, float]:
    """Label -> seconds, in the order in which labels stack; rows have `label` and `speech_ms`."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for row in rows.select(["label", "speech_ms"]).to_pylist():
        seconds[row["label"] or NO_ANSWER] += row["speech_ms"] / 1000
    return {label: seconds[label] for label in in_order(list(seconds))}


def mix_over_time(rows: pa.Table, step: str) -> Spec:
    """Stacked shares of speech; rows of `felt.over_time`."""
    values, labels = _shares(rows, "begins")
    begins = {"field": "begins", "type": "ordinal", "timeUnit": f"utc{UNITS[step]}", "title": None}
    few = len({one["begins"] for one in values}) <= 3
    return {
        "data": {"values": values},
        "height": HEIGHT,
        "mark": {"type": "bar", **({"width": 60} if few else {})},
        "encoding": {
            "x": begins | {"axis": {"labelOverlap": True, "labelAngle": 0, "format": WRITTEN[step].split("of ")[-1]}},
            "y": _share_axis(),
            **_stacked(labels),
            "tooltip": [begins | {"title": "When", "format": WRITTEN[step]}, *_TOOLTIP],
        },
    }


def by_role(rows: pa.Table) -> Spec:
    """One bar per role; rows of `felt.by_role`."""
    values, labels = _shares(rows, "role")
    return {
        "data": {"values": values},
        "height": {"step": ROLE_HEIGHT},
        "mark": {"type": "bar", "height": 0.75 * ROLE_HEIGHT},
        "encoding": {
            "y": {"field": "role", "type": "nominal", "title": None, "axis": {"labelFontSize": 13}},
            "x": _share_axis(),
            **_stacked(labels),
            "tooltip": [{"field": "role", "title": "Role"}, *_TOOLTIP],
        },
    }


def by_quarter(points: Sequence[tuple[int, float | None]], title: str, *, is_share: bool) -> Spec:
    """A line over the quarters of recordings."""
    written = ".1%" if is_share else "+.3f"
    return {
        "data": {"values": [{"quarter": QUARTERS[quarter], "value": value} for quarter, value in points]},
        "height": HEIGHT,
        "mark": {"type": "line", "color": LINE_COLOUR, "strokeWidth": 3, "point": {"size": 90, "color": LINE_COLOUR}},
        "encoding": {
            "x": {
                "field": "quarter",
                "type": "ordinal",
                "title": "Quarter of the recording",
                "sort": list(QUARTERS.values()),
                "axis": {"labelAngle": 0},
            },
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": title,
                "scale": {"zero": is_share, "nice": True},
                "axis": {"format": ".0%" if is_share else "+.2f", "tickCount": 5},
            },
            "tooltip": [{"field": "value", "type": "quantitative", "title": title, "format": written}],
        },
    }


_TOOLTIP = [
    {"field": "label", "title": "Emotion"},
    {"field": "share", "type": "quantitative", "title": "Share", "format": ".1%"},
    {"field": "minutes", "type": "quantitative", "title": "Minutes", "format": ",.1f"},
]


def _share_axis() -> Spec:
    return {
        "field": "minutes",
        "type": "quantitative",
        "stack": "normalize",
        "title": "Share of speech",
        "axis": {"format": ".0%", "tickCount": 5},
    }


def _stacked(labels: Sequence[str]) -> Spec:
    return {
        "color": {
            "field": "label",
            "type": "nominal",
            "scale": {"domain": list(labels), "range": [colour_of(one) for one in labels]},
            "legend": dict(LEGEND),
        },
        "order": {"field": "order", "type": "quantitative"},
    }


def _shares(rows: pa.Table, by: str) -> tuple[list[Spec], list[str]]:
    """The rows with each label's share of what shares `by`, and the labels in their order."""
    found = rows.to_pylist()
    totals: defaultdict[Any, int] = defaultdict(int)
    for row in found:
        totals[row[by]] += row["speech_ms"]
    labels = in_order(sorted({row["label"] or NO_ANSWER for row in found}))
    return [
        {
            by: str(row[by]),
            "label": row["label"] or NO_ANSWER,
            "order": labels.index(row["label"] or NO_ANSWER),
            "minutes": row["speech_ms"] / 60_000,
            "share": row["speech_ms"] / (totals[row[by]] or 1),
        }
        for row in found
    ], labels

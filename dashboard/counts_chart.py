"""How many utterances there are over time, stacked by emotion."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from dashboard.charts import UNITS, WRITTEN, Spec
from dashboard.palette import NO_ANSWER, colour_of, in_order
from mmer_ray.tables import Row

HEIGHT = 170
FEW_BARS = 8


def counts_over_time(rows: Sequence[Row], step: str) -> Spec:
    """Stacked numbers; rows have `day`, `label` (null: no answer) and `num_utterances`. `step`: day, week or month."""
    labels = in_order(sorted({row["label"] or NO_ANSWER for row in rows}))
    few = len({_begins(row["day"], step) for row in rows}) <= FEW_BARS
    values = [
        {
            "day": str(_begins(row["day"], step)),
            "label": row["label"] or NO_ANSWER,
            "order": labels.index(row["label"] or NO_ANSWER),
            "number": row["num_utterances"],
        }
        for row in rows
    ]
    day = {"field": "day", "type": "ordinal", "timeUnit": f"utc{UNITS[step]}", "title": None}
    number = {"field": "number", "type": "quantitative", "aggregate": "sum", "title": "Utterances"}
    return {
        "data": {"values": values},
        "height": HEIGHT,
        "mark": {"type": "bar", **({"width": {"band": 0.5}} if few else {})},
        "encoding": {
            "x": day | {"axis": {"labelOverlap": True, "labelAngle": 0, "format": WRITTEN[step].split("of ")[-1]}},
            "y": number | {"axis": {"tickCount": 4, "format": ",d", "tickMinStep": 1}},
            "color": {
                "field": "label",
                "type": "nominal",
                "scale": {"domain": labels, "range": [colour_of(one) for one in labels]},
                "legend": {"title": None, "orient": "right", "symbolType": "square", "labelFontSize": 13},
            },
            "order": {"field": "order", "type": "quantitative"},
            "tooltip": [
                day | {"title": "When", "format": WRITTEN[step]},
                {"field": "label", "title": "Emotion"},
                number,
            ],
        },
    }


def _begins(day: date, step: str) -> date:
    """The Monday of its week, as `felt.over_time` has it: Vega's own weeks begin on Sunday. Other steps are Vega's."""
    return day - timedelta(days=day.weekday()) if step == "week" else day

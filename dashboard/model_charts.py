"""Pictures of models: how good each is, how well it knows each class, whether its probabilities are what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboard.charts import LEGEND, LINE_COLOUR, Spec
from dashboard.palette import colour_of, in_order
from mmer_ray.training.evaluation.result import Measure, ReliabilityBin

ROW_HEIGHT, SIDE = 34, 340
ACTIVE, OTHER = "active", "registered"


def forest(models: Sequence[tuple[str, Measure, bool]], title: str, floor: float | None = None) -> Spec:
    """A dot and its interval for each (name, measure, is the active one); `floor` is what a gate asks for."""
    values = [
        {"model": name, "value": one.value, "low": one.low, "high": one.high, "state": ACTIVE if active else OTHER}
        for name, one, active in models
    ]
    down = {"field": "model", "type": "nominal", "title": None, "sort": [name for name, _, _ in models]}
    colour = {
        "field": "state",
        "type": "nominal",
        "scale": {"domain": [ACTIVE, OTHER], "range": ["#D55E00", LINE_COLOUR]},
        "legend": {**LEGEND, "symbolType": "circle"},
    }
    scale = {"zero": False, "nice": True, "padding": 12}
    across = {"type": "quantitative", "title": title, "scale": scale, "axis": {"tickCount": 6, "format": ".2f"}}
    line = {
        "data": {"values": [{"floor": floor}]},
        "mark": {"type": "rule", "strokeDash": [5, 4], "color": "#8A8A8A"},
        "encoding": {"x": {"field": "floor", **across}, "tooltip": [{"field": "floor", "title": "Floor of the gate"}]},
    }
    return {
        "height": {"step": ROW_HEIGHT},
        "layer": [
            *([] if floor is None else [line]),
            *_dots(values, down, across, {"color": colour}, "Model", "model"),
        ],
    }


def recalls(found: Mapping[str, Measure]) -> Spec:
    """A dot and its interval for each class, in its colour."""
    labels = in_order(sorted(found))
    figures = [(label, found[label]) for label in labels]
    values = [{"label": label, "value": one.value, "low": one.low, "high": one.high} for label, one in figures]
    down = {"field": "label", "type": "nominal", "title": None, "sort": labels, "axis": {"labelFontSize": 13}}
    colour = {
        "field": "label",
        "type": "nominal",
        "scale": {"domain": labels, "range": [colour_of(one) for one in labels]},
        "legend": None,
    }
    across = {"type": "quantitative", "title": "Recall", "scale": {"domain": [0, 1]}, "axis": {"format": ".0%"}}
    layers = _dots(values, down, across, {"color": colour}, "Class", "label")
    return {"height": {"step": ROW_HEIGHT + 8}, "layer": layers}


def _dots(values: list[Spec], down: Spec, across: Spec, colour: Spec, title: str, name: str) -> list[Spec]:
    tooltip = [
        {"field": name, "title": title},
        {"field": "value", "title": "Value", "format": ".3f"},
        {"field": "low", "title": "Low", "format": ".3f"},
        {"field": "high", "title": "High", "format": ".3f"},
    ]
    return [
        {
            "data": {"values": [one for one in values if one["low"] is not None]},
            "mark": {"type": "rule", "strokeWidth": 3},
            "encoding": {"y": down, "x": {"field": "low", **across}, "x2": {"field": "high"}, **colour},
        },
        {
            "data": {"values": values},
            "mark": {"type": "point", "filled": True, "size": 130, "opacity": 1},
            "encoding": {"y": down, "x": {"field": "value", **across}, **colour, "tooltip": tooltip},
        },
    ]


def reliability(bins: Sequence[ReliabilityBin]) -> Spec:
    """Share of right answers by confidence: on the line a model is as often right as it says. Larger dots hold more
    answers."""
    values = [{"confidence": one.confidence, "accuracy": one.accuracy, "answers": one.num_answers} for one in bins]
    unit = {"type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"format": ".0%", "tickCount": 5}}
    across = {"field": "confidence", "title": "Confidence", **unit}
    up = {"field": "accuracy", "title": "Share that is right", **unit}
    size = {
        "field": "answers",
        "type": "quantitative",
        "scale": {"range": [40, 700], "zero": True},
        "legend": {"title": "Answers", "orient": "right", "format": ",d", "tickCount": 4},
    }
    tooltip = [
        {"field": "confidence", "title": "Mean confidence", "format": ".1%"},
        {"field": "accuracy", "title": "Right", "format": ".1%"},
        {"field": "answers", "title": "Answers", "format": ",d"},
    ]
    return {
        "height": SIDE,
        "layer": [
            {
                "data": {"values": [{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}]},
                "mark": {"type": "line", "strokeDash": [5, 4], "color": "#8A8A8A"},
                "encoding": {"x": across, "y": up},
            },
            {
                "data": {"values": values},
                "mark": {"type": "line", "color": LINE_COLOUR, "strokeWidth": 2},
                "encoding": {"x": across, "y": up},
            },
            {
                "data": {"values": values},
                "mark": {"type": "point", "filled": True, "color": LINE_COLOUR, "opacity": 1},
                "encoding": {"x": across, "y": up, "size": size, "tooltip": tooltip},
            },
        ],
    }

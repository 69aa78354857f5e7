"""How often two models give each label: two dots a label, and the line between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboard.charts import LEGEND, Spec
from dashboard.palette import in_order

ROW_HEIGHT = 44
FIRST_COLOUR, SECOND_COLOUR = "#E69F00", "#0072B2"


def label_shift(first: Mapping[str, float], second: Mapping[str, float], names: tuple[str, str]) -> Spec:
    """Label -> share, of each model; `names` are those of the models."""
    labels = in_order(sorted({*first, *second}))
    down = {"field": "label", "type": "nominal", "title": None, "sort": labels, "axis": {"labelFontSize": 13}}
    dots = [
        {"label": label, "model": name, "share": shares.get(label, 0.0)}
        for name, shares in zip(names, (first, second), strict=True)
        for label in labels
    ]
    lines = [{"label": one, "from": first.get(one, 0.0), "to": second.get(one, 0.0)} for one in labels]
    return {"height": {"step": ROW_HEIGHT}, "layer": [_lines(lines, down), _dots(dots, down, names)]}


def _lines(values: Sequence[Spec], down: Spec) -> Spec:
    """From the share of the first model to that of the second."""
    axis = {"format": ".0%", "tickCount": 5}
    return {
        "data": {"values": values},
        "mark": {"type": "rule", "strokeWidth": 3, "color": "#8A8A8A"},
        "encoding": {
            "y": down,
            "x": {"field": "from", "type": "quantitative", "title": "Share of utterances", "axis": axis},
            "x2": {"field": "to"},
        },
    }


def _dots(values: Sequence[Spec], down: Spec, names: tuple[str, str]) -> Spec:
    """One for each label and model, told apart by shape too."""
    legend = {name: one for name, one in LEGEND.items() if name != "symbolType"} | {"columns": 1}
    model = {"field": "model", "type": "nominal", "legend": legend}
    return {
        "data": {"values": values},
        "mark": {"type": "point", "filled": True, "size": 170, "opacity": 1},
        "encoding": {
            "y": down,
            "x": {"field": "share", "type": "quantitative"},
            "color": model | {"scale": {"domain": list(names), "range": [FIRST_COLOUR, SECOND_COLOUR]}},
            "shape": model | {"scale": {"domain": list(names), "range": ["circle", "diamond"]}},
            "tooltip": [
                {"field": "label", "title": "Emotion"},
                {"field": "model", "title": "Model"},
                {"field": "share", "title": "Share", "format": ".1%"},
            ],
        },
    }

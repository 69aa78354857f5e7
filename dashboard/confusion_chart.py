"""A table of counts as a picture: rows of one answer, columns of another, shaded by the share of the row."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.charts import Spec

CELL = 52
TITLE_PX = 260
LIGHT, DARK = "#D6E6F2", "#0B4F7D"
"""Of a share of 0 and of 1: text on each has a contrast above 7."""
WHITE, BLACK = "#FFFFFF", "#000000"
WHITE_FROM = 0.71
"""White text on darker cells, black on the others: so each has a contrast of 4.5 (WCAG 2.2, 1.4.3)."""


def confusion(
    rows: Sequence[str], columns: Sequence[str], counts: Sequence[Sequence[int]], row_title: str, column_title: str
) -> Spec:
    """`counts` has shape (num_rows, num_columns). The titles may be names from a lake: a tooltip shows what stands
    under a title `image` as a picture, from wherever it says, so that none of them is taken as it is."""
    values = [
        {"row": row, "column": column, "number": number, "share": number / (sum(line) or 1)}
        for row, line in zip(rows, counts, strict=True)
        for column, number in zip(columns, line, strict=True)
    ]
    across = {"field": "column", "type": "nominal", "title": column_title, "sort": list(columns)}
    # A longer title would take the place of the chart.
    axis = {"labelFontSize": 13, "domain": False, "titleLimit": TITLE_PX}
    down = {"field": "row", "type": "nominal", "title": row_title, "sort": list(rows)}
    return {
        "data": {"values": values},
        "height": {"step": CELL},
        "encoding": {
            "x": across | {"axis": {**axis, "orient": "top", "labelAngle": 0}},
            "y": down | {"axis": axis},
            "tooltip": [
                {"field": "row", "title": f"{row_title} (row)"},
                {"field": "column", "title": f"{column_title} (column)"},
                {"field": "number", "title": "Number", "format": ",d"},
                {"field": "share", "title": "Share of the row", "format": ".1%"},
            ],
        },
        "layer": _LAYERS,
    }


_INK = {"condition": {"test": f"datum.share >= {WHITE_FROM}", "value": WHITE}, "value": BLACK}
_LAYERS = [
    {
        "mark": {"type": "rect", "cornerRadius": 3},
        "encoding": {
            "color": {
                "field": "share",
                "type": "quantitative",
                "scale": {"domain": [0, 1], "range": [LIGHT, DARK], "interpolate": "rgb"},
                "legend": None,
            }
        },
    },
    {
        "transform": [{"filter": "datum.number > 0"}],
        "mark": {"type": "text", "fontSize": 13, "dy": -7, "fontWeight": "bold"},
        "encoding": {"text": {"field": "share", "format": ".0%"}, "color": _INK},
    },
    {
        "mark": {"type": "text", "fontSize": 11, "dy": 9},
        "encoding": {"text": {"field": "number", "format": ",d"}, "color": _INK},
    },
]
"""The shade of a cell, its share, its number."""

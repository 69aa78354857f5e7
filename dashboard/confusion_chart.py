"""A table of counts as a picture: rows of one answer, columns of another, shaded by the share of the row."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.charts import Spec

CELL = 52
LIGHT, DARK = "#D6E6F2", "#0B4F7D"
"""Of a share of 0 and of 1: text on each has a contrast above 7."""
WHITE, BLACK = "#FFFFFF", "#000000"
WHITE_FROM = 0.71
"""White text on darker cells, black on the others: so each has a contrast of 4.5 (WCAG 2.2, 1.4.3)."""


def confusion(
    rows: Sequence[str], columns: Sequence[str], counts: Sequence[Sequence[int]], row_title: str, column_title: str
) -> Spec:
    """`counts` has shape (num_rows, num_columns)."""
    values = [
        {"row": row, "column": column, "number": number, "share": number / (sum(line) or 1)}
        for row, line in zip(rows, counts, strict=True)
        for column, number in zip(columns, line, strict=True)
    ]
    across = {"field": "column", "type": "nominal", "title": column_title, "sort": list(columns)}
    down = {"field": "row", "type": "nominal", "title": row_title, "sort": list(rows)}
    return {
        "data": {"values": values},
        "height": {"step": CELL},
        "encoding": {
            "x": across | {"axis": {"orient": "top", "labelAngle": 0, "labelFontSize": 13, "domain": False}},
            "y": down | {"axis": {"labelFontSize": 13, "domain": False}},
            "tooltip": [
                {"field": "row", "title": row_title},
                {"field": "column", "title": column_title},
                {"field": "number", "title": "Number", "format": ",d"},
                {"field": "share", "title": "Share of the row", "format": ".1%"},
            ],
        },
        "layer": [
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
        ],
    }


_INK = {"condition": {"test": f"datum.share >= {WHITE_FROM}", "value": WHITE}, "value": BLACK}

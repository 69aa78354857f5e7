"""Words on charts can be read: a contrast of 4.5 at least (WCAG 2.2, success criterion 1.4.3)."""

from __future__ import annotations

import pytest

from dashboard.charts import INKS
from dashboard.confusion_chart import BLACK, DARK, LIGHT, WHITE, WHITE_FROM

ENOUGH = 4.5
BACKGROUNDS = {"light": "#FFFFFF", "dark": "#1A1917"}


def levels(colour: str) -> list[float]:
    """Red, green and blue, 0..1."""
    return [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]


def luminance(colour: list[float]) -> float:
    """Relative luminance, 0..1."""
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour]
    return sum(share * one for share, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: list[float], other: list[float]) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_of_contrast_is_that_of_the_standard() -> None:
    assert contrast(levels("#000000"), levels("#FFFFFF")) == pytest.approx(21)
    assert contrast(levels("#777777"), levels("#FFFFFF")) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", BACKGROUNDS)
def test_words_of_a_chart_stand_out_from_the_page(theme: str) -> None:
    assert contrast(levels(INKS[theme]), levels(BACKGROUNDS[theme])) >= ENOUGH


@pytest.mark.parametrize("percent", range(101))
def test_figures_in_a_cell_stand_out_from_it(percent: int) -> None:
    share = percent / 100
    cell = [light + (dark - light) * share for light, dark in zip(levels(LIGHT), levels(DARK), strict=True)]
    assert contrast(levels(WHITE if share >= WHITE_FROM else BLACK), cell) >= ENOUGH

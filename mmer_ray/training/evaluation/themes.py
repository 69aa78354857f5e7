"""Colours of the pictures, for light and dark pages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Colours, hexadecimal."""

    name: str
    page: str
    ink: str
    quiet: str
    """Of axes, grids and lines to compare with."""
    data: str
    shades: tuple[str, str]
    """Of a share of 0 and of 1."""


LIGHT = Theme("light", "#ffffff", "#1f2328", "#8c959f", "#0b5cad", ("#f3f6fa", "#0b4a8f"))
DARK = Theme("dark", "#0d1117", "#e6edf3", "#7d8590", "#6cb6ff", ("#161b22", "#8cc4ff"))
THEMES = (LIGHT, DARK)

"""Models: those that answer here, the registry, and what their reports say."""

from __future__ import annotations

from dashboard.models_view import show_models
from dashboard.page import open_page

with open_page("models", "Models") as page:
    show_models(page)

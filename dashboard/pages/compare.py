"""Compare: two emotion models on the same utterances."""

from __future__ import annotations

from dashboard.compare_view import show_comparison
from dashboard.filter_bar import filter_bar
from dashboard.page import open_page

with open_page("compare", "Compare two models") as page:
    show_comparison(page, filter_bar(page))

"""Overview: how much there is, how it was felt over time, and what is missing."""

from __future__ import annotations

from dashboard.filter_bar import filter_bar
from dashboard.overview_view import show_overview
from dashboard.page import open_page

with open_page("overview", "Overview") as page:
    show_overview(page, filter_bar(page))

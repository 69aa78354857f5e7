"""Search: utterances by words, emotion, role and time, each heard here or opened in its recording."""

from __future__ import annotations

from dashboard.filter_bar import filter_bar
from dashboard.page import open_page
from dashboard.search_view import show_search

with open_page("search", "Search") as page:
    show_search(page, filter_bar(page))

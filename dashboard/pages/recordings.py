"""Recordings: those that fit the filters, ranked; a row opens its recording at the worst moment."""

from __future__ import annotations

from dashboard.filter_bar import filter_bar
from dashboard.page import open_page
from dashboard.recordings_view import show_recordings

with open_page("recordings", "Recordings") as page:
    show_recordings(page, filter_bar(page))

"""Runs: the ledger, speed, failures and drift."""

from __future__ import annotations

from dashboard.filter_bar import filter_bar
from dashboard.page import open_page
from dashboard.runs_view import show_runs

with open_page("runs", "Runs") as page:
    show_runs(page, filter_bar(page))

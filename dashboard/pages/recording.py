"""One recording: heard, read, judged."""

from __future__ import annotations

from dashboard.page import open_page
from dashboard.recording_view import show_recording

with open_page("recording") as page:
    show_recording(page)

"""What other people's libraries would report home, turned off. No torch."""

from __future__ import annotations

import os

SETTINGS = {
    "PYANNOTE_METRICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Environment variable -> value. The libraries read them when they are imported."""


def silence_telemetry() -> None:
    """Turn reports off, for this process and its children; to be called before a library that sends them is imported.

    What a user has set stays.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)

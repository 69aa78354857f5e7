"""Which classes a corpus is read with."""

from __future__ import annotations

from typing import Literal

Classes = Literal["four", "own"]
"""`four`: neutral, happy, sad and angry, as most published figures; what has another label is left out. `own`: those of
the corpus."""

FOUR = ("neutral", "happy", "sad", "angry")

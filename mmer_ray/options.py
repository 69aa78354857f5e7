"""The base of every table of a profile, and the form of values that more than one has."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

LANGUAGE_CODE = "^[a-z]{2,3}$"
"""Of a language, ISO 639-1 or 639-3."""


class Options(BaseModel):
    """Frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

"""The names of the runners. A file of its own: the command line needs them before anything slow is imported."""

from __future__ import annotations

from enum import StrEnum


class Runner(StrEnum):
    """Where the stages run."""

    AUTO = "auto"
    """In process while that ends sooner than a cluster's start pays off, else on Ray."""
    INPROCESS = "inprocess"
    RAY = "ray"

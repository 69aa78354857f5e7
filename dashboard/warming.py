"""What is done before a server says its address, so that its first visitor does not wait for it."""

from __future__ import annotations

import gc
import logging
from importlib import import_module
from typing import TYPE_CHECKING

from dashboard.filters import Filters
from dashboard.questions import corpora as known
from dashboard.questions import overview, recordings
from dashboard.questions.method import models, newest_commit
from mmer_ray.errors import MmerError

if TYPE_CHECKING:
    from dashboard.session import Dashboard

_log = logging.getLogger(__name__)

IMPORTED = (
    "pandas",
    # For the agreement of two models: a second of imports.
    "sklearn.metrics",
    "dashboard.overview_view",
    "dashboard.recordings_view",
    "dashboard.recording_view",
    "dashboard.search_view",
    "dashboard.compare_view",
    "dashboard.runs_view",
    "dashboard.models_view",
)
"""What pages import when they are first run."""


def warm_up(dashboard: Dashboard) -> None:
    """Import what pages need, and ask what the first ones ask where nothing is filtered and every corpus may be seen:
    others find the lake's files opened at least."""
    for name in IMPORTED:
        import_module(name)
    try:
        _ask(dashboard)
    except MmerError as exc:
        # The pages say it to who opens them.
        _log.warning("%s: %s", type(exc).__name__, exc)
    # What is there now stays: to look for garbage in it again and again would stop all pages for a tenth of a second.
    gc.collect()
    gc.freeze()


def _ask(dashboard: Dashboard) -> None:
    corpora = tuple(row["corpus"] for row in dashboard.ask(known.all_corpora()).to_pylist())
    everything = (Filters(), corpora)
    for question in (
        newest_commit(),
        models(corpora),
        known.choices(corpora),
        known.facts(corpora),
        overview.held(*everything),
        overview.felt(*everything),
        overview.valence_by_quarter(*everything),
        overview.without_answer(*everything),
        overview.failures(*everything),
        overview.by_corpus(*everything),
        recordings.has_valence(corpora),
        recordings.how_many(*everything),
    ):
        dashboard.ask(question)

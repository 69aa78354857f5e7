"""Ending work of the event loop."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

CANCEL_S = 10.0
"""Work that has not ended so long after it was cancelled is left behind."""

_log = logging.getLogger(__name__)


async def end_tasks(*tasks: asyncio.Future[Any]) -> None:
    """Cancel what still runs and wait until it has ended, also where this task is being cancelled itself."""
    for task in tasks:
        task.cancel()
    if tasks:
        _, running = await asyncio.wait(tasks, timeout=CANCEL_S)
        if running:
            _log.error("work that was cancelled goes on after %g s", CANCEL_S)
    for task in tasks:
        if task.done() and not task.cancelled():
            # Asked for, so that nobody logs that it was never asked.
            task.exception()

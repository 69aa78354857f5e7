"""`/healthz`: this process answers. `/readyz`: a request that is sent now would be scored."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from mmer_ray.serving.api_errors import no_room
from mmer_ray.serving.exchange import Models
from mmer_ray.serving.interface import Scorers, ScorersUnavailableError

MAX_DISK_USED = 0.9
"""With less than a tenth free, jobs and answers could not be kept."""
ASKING_S = 2.0
"""Models or a disk that do not answer within this time are not ready."""


def health_router(service: Models) -> APIRouter:
    """`GET /healthz` and `GET /readyz`; no key is needed, and nothing is told that a stranger may not know."""
    router = APIRouter(tags=["state"])
    disk = Disk(Path(service.options.state))

    @router.get("/healthz", summary="Whether this process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="Whether a request would be scored now; 503 with the reason if not")
    async def readyz() -> dict[str, Any]:
        reason = await unready(service, disk)
        if reason is not None:
            raise no_room("not_ready", reason, service.options.retry_after_s)
        return {"status": "ready"}

    return router


async def unready(service: Models, disk: Disk) -> str | None:
    """Why a request would not be scored now; None where it would be."""
    if service.admission.draining:
        return "the endpoint is stopping"
    no_models, no_room_left = await asyncio.gather(_models_missing(service.scorers), disk.full())
    return no_models or no_room_left


async def _models_missing(scorers: Scorers) -> str | None:
    try:
        async with asyncio.timeout(ASKING_S):
            await scorers.served()
    except (ScorersUnavailableError, TimeoutError):
        return "no model is ready"
    return None


class Disk:
    """The disk of a folder. It is asked once at a time and in a thread of its own, so that a disk that hangs holds up
    nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, "disk")
        self._asking: asyncio.Future[float] | None = None

    async def full(self) -> str | None:
        """Why nothing can be kept on it; None where there is room."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().run_in_executor(self._thread, disk_used, self._folder)
        # Once it has answered, others may begin to ask anew before it is this one's turn.
        asking = self._asking
        await asyncio.wait({asking}, timeout=ASKING_S)
        if not asking.done() or asking.exception() is not None:
            return "the disk of `serve.state` does not answer"
        used = asking.result()
        return f"the disk of `serve.state` is {used:.0%} full" if used > MAX_DISK_USED else None


def disk_used(folder: Path) -> float:
    """Which part of the disk is used that a folder lies on, or will, 0 to 1. Raises `OSError`."""
    folder = folder.absolute()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    usage = shutil.disk_usage(there)
    return usage.used / max(usage.used + usage.free, 1)

"""Jobs: long audio that nobody waits for. They lie in a table and a folder of sounds, and outlive the gateway.

A job's id is a digest of the sound, what is asked of it, what answers, and the access key: sent again, it is the same
job. With other models or settings it is another one, though the analysis by the earlier ones is kept still.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.access import Caller
from mmer_ray.serving.api_errors import ApiError, no_room
from mmer_ray.serving.digests import digest_of, sound_digest
from mmer_ray.serving.ended import OnEnd
from mmer_ray.serving.interface import Asked, Scorers
from mmer_ray.serving.job_runner import JobRunner
from mmer_ray.serving.job_table import Job, JobTable, NewJob
from mmer_ray.serving.state_database import StateDatabase
from mmer_ray.serving.stored_asked import packed

SOUNDS = "sounds"
FOLDER_MODE = 0o700
ID_CHARS = 32
TIDY_S = 60.0
LEFT_S = 3_600.0
"""A sound that belongs to no job is removed after this time: it may be of a form that is still arriving."""

_log = logging.getLogger(__name__)

Analyse = Callable[[Asked], Awaitable[dict[str, Any]]]
"""Scores one clip; gives the analysis document. Raises `ApiError` for one that cannot be scored, and what
`Scorers.score` raises."""


class Jobs:
    """The jobs of an endpoint. `start` and `stop` belong to the event loop that the routes run on."""

    def __init__(
        self,
        state: Path,
        database: StateDatabase,
        options: ServeOptions,
        scorers: Scorers,
        analyse: Analyse,
        on_end: Iterable[OnEnd] = (),
        *,
        answers: bytes,
    ) -> None:
        """`answers`: what the answers hang on beside the sound and what is asked, as `answers_digest`."""
        self.table = JobTable(database, options)
        self.folder = state / SOUNDS
        """Where the sounds of jobs lie; forms of jobs are received into it."""
        self._options, self._answers = options, answers
        self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._runner = JobRunner(self.table, self.folder, options, scorers, analyse, tuple(on_end))
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to work on what waits, also what a gateway that died had begun."""
        self._tasks = [asyncio.create_task(self._runner.run()), asyncio.create_task(self._keep_tidy())]

    async def stop(self) -> None:
        """Work on nothing more. What runs is queued again, as if it had not begun."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def submit(self, caller: Caller, asked: Asked) -> Job:
        """Queue a job, or find the one that asks the same. A sound that is a file is moved away or removed.

        Raises `ApiError` as `JobTable.submit` does, and 503 where the disk is full.
        """
        name = f"{secrets.token_hex(16)}.sound"
        try:
            new = await asyncio.to_thread(self._kept, caller, asked, name)
        except OSError as exc:
            _log.error("a job's sound cannot be kept: %s", type(exc).__name__)
            await self.remove(name)
            raise no_room("no_space", "the sound cannot be kept at the moment", self._options.retry_after_s) from exc
        is_used = False
        try:
            job, is_used = await self.table.submit(caller, new)
        finally:
            if not is_used:
                await self.remove(name)
        self._runner.wake()
        return job

    async def cancel(self, caller: Caller, job_id: str) -> Job | None:
        """End a job that waits or runs; None where this caller has none of this id."""
        found = await self.table.cancel(caller.key_id, job_id)
        if found is None:
            return None
        job, sound = found
        await self.remove(sound)
        return job

    async def delete(self, caller: Caller, job_id: str) -> bool:
        """Forget a job with all that came out; False where this caller has none of this id."""
        was_there, sound = await self.table.delete(caller.key_id, job_id)
        await self.remove(sound)
        return was_there

    async def remove(self, sound: str | None) -> None:
        """Remove a sound that no job needs."""
        if sound is not None:
            await asyncio.to_thread((self.folder / sound).unlink, missing_ok=True)

    async def tidy(self) -> None:
        """Forget what is old, and sounds that belong to nothing."""
        needed = await self.table.tidy()
        await asyncio.to_thread(self._remove_left, frozenset(needed))

    async def _keep_tidy(self) -> None:
        while True:
            try:
                await self.tidy()
            except (ApiError, OSError) as exc:
                _log.error("old jobs cannot be removed: %s", type(exc).__name__)
            await asyncio.sleep(TIDY_S)

    def _kept(self, caller: Caller, asked: Asked, name: str) -> NewJob:
        """Bring the sound to its place."""
        path, wishes = self.folder / name, packed(asked)
        digest = digest_of(caller.key_id.encode(), wishes, sound_digest(asked.sound), self._answers)
        job_id = "job_" + digest[:ID_CHARS]
        if isinstance(asked.sound, Path):
            shutil.move(asked.sound, path)
        else:
            path.write_bytes(asked.sound)
        return NewJob(job_id, wishes, name, path.stat().st_size)

    def _remove_left(self, needed: frozenset[str]) -> None:
        for file in self.folder.iterdir():
            # Forms that arrive and jobs that end remove theirs meanwhile.
            with suppress(FileNotFoundError):
                if file.name not in needed and time.time() - file.stat().st_mtime > LEFT_S:
                    file.unlink()

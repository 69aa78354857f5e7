"""What the endpoint's routes share: options, models, limits, keys, and what is kept in `serve.state`."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from mmer_ray.profiles import Profile
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.admission import Admission
from mmer_ray.serving.analysis import document
from mmer_ray.serving.audio_url import AudioUrls
from mmer_ray.serving.audit import Audit
from mmer_ray.serving.digests import answers_digest
from mmer_ray.serving.ended import OnEnd
from mmer_ray.serving.exchange import refusal_of, served_by
from mmer_ray.serving.idempotency import Idempotency
from mmer_ray.serving.interface import Asked, Scorers, Served
from mmer_ray.serving.jobs import Jobs
from mmer_ray.serving.key_file import KeyFile, key_file_path
from mmer_ray.serving.metrics import Metrics
from mmer_ray.serving.state_database import StateDatabase


@dataclass(frozen=True)
class Service:
    """One gateway; a context manager. An app that is built on it closes it when its server stops."""

    profile: Profile
    options: ServeOptions
    scorers: Scorers
    admission: Admission
    keys: KeyFile | None
    """None: everybody may ask."""
    audit: Audit
    metrics: Metrics
    state: StateDatabase
    idempotency: Idempotency
    audio_urls: AudioUrls
    jobs: Jobs
    opened_s: int
    """Seconds since 1970 at which it was opened."""
    _exit: ExitStack

    @classmethod
    def open(cls, profile: Profile, scorers: Scorers, *, insecure: bool = False) -> Service:
        """Open what lies in `serve.state`; the folder is made. `insecure`: no keys are asked for.

        Raises `PreflightError` where something there is damaged, `OSError` where the folder cannot be written.
        """
        options = profile.serve
        folder = Path(options.state)
        with ExitStack() as exit_stack:
            state = StateDatabase(folder)
            exit_stack.callback(state.close)
            audit = Audit(folder)
            exit_stack.callback(audit.close)
            metrics, admission = Metrics(), Admission(options)
            metrics.watch(admission)
            analyse = partial(_analysis, scorers, options)
            on_end: tuple[OnEnd, ...] = (audit, metrics.count)
            return cls(
                profile=profile,
                options=options,
                scorers=scorers,
                admission=admission,
                keys=None if insecure else KeyFile(key_file_path(options)),
                audit=audit,
                metrics=metrics,
                state=state,
                idempotency=Idempotency(state, options),
                audio_urls=AudioUrls(options),
                opened_s=int(time.time()),
                jobs=Jobs(folder, state, options, scorers, analyse, on_end, answers=answers_digest(profile)),
                _exit=exit_stack.pop_all(),
            )

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def on_end(self) -> tuple[OnEnd, ...]:
        """Those who are told of a request that is over."""
        return (self.audit, self.metrics.count)

    async def served(self) -> Served:
        """What answers. Raises `ApiError` 503 until something does."""
        return await served_by(self)

    def close(self) -> None:
        """Write what waits and close the files; a second time does nothing."""
        self._exit.close()


async def _analysis(scorers: Scorers, options: ServeOptions, asked: Asked) -> dict[str, Any]:
    """The analysis of a job's sound. Raises `ApiError` for one that cannot be scored, and as `Scorers.score`."""
    # First: hours of work would be thrown away if nobody said so in the end.
    served = await scorers.served()
    scored = await scorers.score(asked)
    if scored.failure is not None:
        raise refusal_of(scored.failure, options.retry_after_s)
    return await asyncio.to_thread(document, scored, served)

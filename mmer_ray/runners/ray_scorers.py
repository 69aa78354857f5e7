"""The models in Ray Serve's replicas, as the endpoint asks them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException

from mmer_ray.errors import UsageError
from mmer_ray.records import ScoredRecording
from mmer_ray.serving.interface import Asked, ScorersUnavailableError, Served

READY_S = 2.0
"""Longest wait for a replica to say what it serves."""
DIED = "the replica that held this clip ended before it answered; send it again"
NONE_READY = "no replica of the models is ready"


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that the models do not take: `UsageError` on its way from a replica.

    Of an exception Ray passes on the text with its own around it, and Serve logs it as a fault of the replica.
    """

    message: str


class RayScorers:
    """`Scorers` over the handle of a deployment with the methods `score` and `served`."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def served(self) -> Served:
        """What answers. Raises `ScorersUnavailableError` unless a replica says so within seconds."""
        try:
            async with asyncio.timeout(READY_S):
                served: Served = await _answer_of(self._handle.served.remote())
        except TimeoutError:
            raise ScorersUnavailableError(NONE_READY) from None
        return served

    async def score(self, asked: Asked) -> ScoredRecording:
        """As `Scorers.score`. While no replica is ready it waits for one."""
        answer: ScoredRecording | Refused = await _answer_of(self._handle.score.remote(asked))
        if isinstance(answer, Refused):
            raise UsageError(answer.message)
        return answer


async def _answer_of(response: Any) -> Any:
    """What a replica answers. Whoever is cancelled here cancels the replica's work."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Not we were cancelled but the call: its replica is being stopped.
        raise ScorersUnavailableError(DIED) from None
    except RayTaskError:
        # A bug in the replica, to be seen as one.
        raise
    except (RayError, RayServeException) as error:
        raise ScorersUnavailableError(f"{DIED} ({type(error).__name__})") from error

"""The models in the process of the HTTP side: for tests, benchmarks and hosts without a cluster."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from mmer_ray.records import ScoredRecording
from mmer_ray.serving.interface import Asked, Served
from mmer_ray.serving.scorer import OnlineScorer


class LocalScorers:
    """`Scorers` over one `OnlineScorer`, in threads; a context manager. Closing it leaves the scorer open."""

    def __init__(self, scorer: OnlineScorer, threads: int) -> None:
        """`threads`: most clips at a time. Each waits in a thread; the scorer's own threads do the work."""
        self._scorer = scorer
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="clip")

    def __enter__(self) -> LocalScorers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the clips that are being scored."""
        self._threads.shutdown(cancel_futures=True)

    async def served(self) -> Served:
        """As `Scorers.served`."""
        return self._scorer.served()

    async def score(self, asked: Asked) -> ScoredRecording:
        """As `Scorers.score`."""
        cancelled = threading.Event()
        waiting = asyncio.get_running_loop().run_in_executor(self._threads, self._scorer.score, asked, cancelled)
        try:
            return await waiting
        finally:
            # Of no consequence where the answer is there.
            cancelled.set()

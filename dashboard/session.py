"""What all pages of one server share: the lake's reader, answers that are kept, who may look, the audit log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore, Lock

import pyarrow as pa

from dashboard.access import LOCAL, Access
from dashboard.audit import Audit
from dashboard.conversations import Conversations
from dashboard.question import Question
from dashboard.tokens import Tokens
from mmer_ray.errors import MmerError
from mmer_ray.lake.limits import Answer, MemoryLimitError, QueryLimits, Take
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.store import Lake

LIMITS = QueryLimits(max_rows=1_000_000, timeout_s=60.0)
"""Of one question; the memory is that of all that are answered at a time."""
REFRESH_S = 5.0
"""So often at most it is looked whether anything was committed."""
KEPT_BYTES = 256_000_000
TURN_S = 120.0
"""So long at most does a large question wait for those before it."""
MAX_EXPORTS = 4
"""So many files are written or wait for their turn: each of them keeps a thread."""


class BusyError(MmerError):
    """Others ask so much that a question's turn did not come."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `mmer dashboard` was told."""

    lake: str
    access: Access = LOCAL
    audit_log: Path | None = None
    limits: QueryLimits = LIMITS


class Dashboard:
    """One server's lake. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        """Raises `LakeError` where there is no lake, `PreflightError` where its store or the audit log cannot be
        used."""
        self.settings, self.access = settings, settings.access
        self.audit, self.tokens = Audit(settings.audit_log), Tokens()
        lake = Lake(settings.lake, to_read=True)
        lake.require_existing()
        self.reader = LakeReader(lake, settings.limits, REFRESH_S)
        self.conversations = Conversations(self.reader)
        self._answers, self._turn = Answers(), Lock()
        self._exports = BoundedSemaphore(MAX_EXPORTS)
        self._closing = ExitStack()
        self._closing.callback(self.reader.close)

    def at_close(self, end: Callable[[], None]) -> None:
        """Let `close` do this too, before the lake's files go."""
        self._closing.callback(end)

    def close(self) -> None:
        """End what belongs to the server and let the lake's files go."""
        self._closing.close()

    def ask(self, question: Question) -> pa.Table:
        """The answer, kept as long as the lake does not change. Raises as `LakeReader.table` does, and `BusyError`."""
        if question.is_large:
            return self._ask_in_turn(question)
        try:
            return self._ask_now(question)
        except MemoryLimitError:
            # A large one beside it may have taken the room.
            return self._ask_in_turn(question)

    def _ask_in_turn(self, question: Question) -> pa.Table:
        """Large questions, two of which may find too little memory: one after the other. Who has waited finds the
        answer kept where somebody before asked the same."""
        kept = self._answers.find(self.reader.version(), question)
        if kept is not None:
            return kept
        with self._in_turn():
            return self._ask_now(question)

    def export(self, question: Question, take: Take[Answer]) -> Answer:
        """What `take` makes of the rows, as `LakeReader.stream`: in turn with large questions, and kept nowhere."""
        if not self._exports.acquire(blocking=False):
            raise BusyError("others are having files written; try again in a minute")
        try:
            with self._in_turn():
                return self.reader.stream(question.sql, question.bound(), take)
        finally:
            self._exports.release()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=TURN_S):
            raise BusyError(f"others asked so much that this did not get its turn within {TURN_S:g} s; try again")
        try:
            yield
        finally:
            self._turn.release()

    def _ask_now(self, question: Question) -> pa.Table:
        version = self.reader.version()
        kept = self._answers.find(version, question)
        if kept is None:
            kept = self.reader.table(question.sql, question.bound())
            self._answers.keep(version, question, kept)
        return kept


class Answers:
    """Answers to questions about one moment of a lake, the least used forgotten first."""

    def __init__(self, max_bytes: int = KEPT_BYTES) -> None:
        self._max_bytes, self._num_bytes = max_bytes, 0
        self._version: str | None = None
        self._kept: OrderedDict[Question, pa.Table] = OrderedDict()
        self._changing = Lock()

    def find(self, version: str, question: Question) -> pa.Table | None:
        """The answer as of this version of the lake. What was kept of another is forgotten: rows that were erased
        since are not to stay in memory."""
        with self._changing:
            if version != self._version:
                self._kept.clear()
                self._version, self._num_bytes = version, 0
            found = self._kept.get(question)
            if found is not None:
                self._kept.move_to_end(question)
            return found

    def keep(self, version: str, question: Question, answer: pa.Table) -> None:
        """Keep it, unless the lake has changed meanwhile or it would fill half of the room."""
        with self._changing:
            if version != self._version or question in self._kept or answer.nbytes > self._max_bytes // 2:
                return
            self._kept[question] = answer
            self._num_bytes += answer.nbytes
            while self._num_bytes > self._max_bytes:
                _, gone = self._kept.popitem(last=False)
                self._num_bytes -= gone.nbytes


_served: list[Dashboard] = []
"""The one that this process serves. Streamlit runs pages as scripts, to which nothing can be handed."""


def serve_pages_of(dashboard: Dashboard | None) -> None:
    """Let pages of this process show this lake from now on; None: no lake."""
    _served[:] = [] if dashboard is None else [dashboard]


def served() -> Dashboard:
    """The lake that this process serves."""
    assert _served, "server.py says which lake is served before any page runs"
    return _served[0]

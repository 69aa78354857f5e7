"""Conversations that were looked at last, shared by all who look: a recording of an hour takes a second to put together
and some megabytes to hold."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from mmer_ray.lake.conversation import Conversation
from mmer_ray.lake.queries import LakeReader
from mmer_ray.tables import Row

MAX_KEPT = 16


class Conversations:
    """Reads them from one lake, and keeps a few as long as the lake does not change. Safe to share between threads."""

    def __init__(self, reader: LakeReader, max_kept: int = MAX_KEPT) -> None:
        self._reader, self._max_kept = reader, max_kept
        self._version: str | None = None
        self._kept: OrderedDict[tuple[str, str], Conversation] = OrderedDict()
        self._changing = Lock()

    def of(self, row: Row) -> Conversation:
        """The conversation of a row of `recordings`. What was kept of an earlier state of the lake is forgotten: what
        was erased since is not to stay in memory. Raises as `LakeReader.conversation` does."""
        place, version = (row["corpus"], row["recording_id"]), self._reader.version()
        with self._changing:
            if version != self._version:
                self._kept.clear()
                self._version = version
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
        found = self._reader.conversation(row)
        with self._changing:
            if version == self._version == self._reader.version():
                self._kept[place] = found
                while len(self._kept) > self._max_kept:
                    self._kept.popitem(last=False)
        return found

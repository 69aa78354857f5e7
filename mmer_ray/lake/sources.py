"""Finding a planned file by its (corpus, uri), without an object per file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Sources:
    """The files of a plan by (corpus, uri): 16 bytes each, for plans of a million."""

    def __init__(self, listed: pa.Table) -> None:
        self._listed = listed
        hashes = np.empty(listed.num_rows, dtype=np.int64)
        at = 0
        for batch in listed.select(["corpus", "uri"]).to_batches():
            pairs = zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)
            hashes[at : at + batch.num_rows] = [hash(pair) for pair in pairs]
            at += batch.num_rows
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def positions(self, corpora: Sequence[str], uris: Sequence[str]) -> npt.NDArray[np.int64]:
        """Row of each file in the plan's table, shape (num_files,). A file that was not planned is our bug."""
        return np.array([self._position(*pair) for pair in zip(corpora, uris, strict=True)], dtype=np.int64)

    def _position(self, corpus: str, uri: str) -> int:
        wanted = hash((corpus, uri))
        at = int(np.searchsorted(self._hashes, wanted))
        while at < len(self._hashes) and self._hashes[at] == wanted:
            row = int(self._order[at])
            if self._listed["uri"][row].as_py() == uri and self._listed["corpus"][row].as_py() == corpus:
                return row
            at += 1
        raise AssertionError(f"{corpus}: {uri} is not in the plan")

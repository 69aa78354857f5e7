"""What a listing of sources is: Arrow batches with one row per recording, made while the sources are walked.

A listing may have millions of rows, so nothing here holds more than one batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from mmer_ray.records import Recording
from mmer_ray.tables import LISTED

MAX_BATCH_ROWS = 65_536


class ListedFile(NamedTuple):
    """One file or object as its store describes it."""

    uri: str
    root: str
    size_bytes: int = 0
    modified: str = ""
    """As `Recording.modified`; empty where the file could not be asked, which is said when it is opened."""
    day: int = 0
    """Days since 1970-01-01."""
    expected_ms: int | None = None
    """About how long it lasts, where that is not to be read from its header."""


class LeftOut:
    """Counts what is not tried as a recording, by reason, with the first example of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, reason: str, name: str) -> None:
        """Count one name under a file ending or a reason in parentheses."""
        self.counts[reason] += 1
        self.examples.setdefault(reason, name)


class SourceListing:
    """The recordings of a job's sources, listed while they are asked for."""

    def __init__(self, list_batches: Callable[[LeftOut], Iterator[pa.RecordBatch]]) -> None:
        self._list_batches = list_batches
        self._left_out = LeftOut()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Batches of schema `LISTED` with at most `MAX_BATCH_ROWS` rows. Each call lists the sources anew.

        Raises `SourceError` for a manifest or an address that cannot be read, `PreflightError` for a store that does
        not answer. A uri that the sources name twice comes twice.
        """
        self._left_out = LeftOut()
        return self._list_batches(self._left_out)

    @property
    def left_out(self) -> Mapping[str, int]:
        """File ending, or reason in parentheses -> names that were not tried. Complete once `batches` is exhausted."""
        return dict(sorted(self._left_out.counts.items()))

    @property
    def left_out_examples(self) -> Mapping[str, str]:
        """The first name that was left out for each key of `left_out`."""
        return dict(self._left_out.examples)


def listed_batch(
    files: Sequence[ListedFile], corpus: str | Sequence[str], metadata: pa.MapArray[Any, Any] | None = None
) -> pa.RecordBatch:
    """The batch of these files; `corpus` is that of all files or has one name per file."""
    uris, roots, sizes, marks, days, expected = zip(*files, strict=True)
    num_rows = len(files)
    corpora = [corpus] * num_rows if isinstance(corpus, str) else corpus
    if metadata is None:
        metadata = pa.array([[]] * num_rows, LISTED.field("metadata").type)
    columns = [
        pa.array(corpora, pa.string()),
        pa.array(uris, pa.string()),
        pa.array(roots, pa.string()),
        pa.array(sizes, pa.int64()),
        pa.array(marks, pa.string()),
        pa.array(days, pa.int32()).cast(pa.date32()),
        pa.array(expected, pa.int32()),
        metadata,
    ]
    return pa.RecordBatch.from_arrays(columns, schema=LISTED)


def recordings_of(listed: pa.RecordBatch | pa.Table) -> Iterator[Recording]:
    """The rows of a batch or table with the columns of `LISTED`, and `attempt` where it has one, in its order."""
    columns = (listed.column(name).to_pylist() for name in LISTED.names)
    has_attempts = "attempt" in listed.schema.names
    attempts: list[Any] = listed.column("attempt").to_pylist() if has_attempts else [1] * listed.num_rows
    for (corpus, uri, root, size_bytes, modified, day, expected_ms, metadata), attempt in zip(
        zip(*columns, strict=True), attempts, strict=True
    ):
        yield Recording(
            uri=uri,
            corpus=corpus,
            root=root,
            size_bytes=size_bytes,
            modified=modified,
            day=day.isoformat(),
            expected_s=None if expected_ms is None else expected_ms / 1000,
            metadata=dict(metadata or ()),
            attempt=attempt,
        )

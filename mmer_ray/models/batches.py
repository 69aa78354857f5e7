"""Batches of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

LIKE_LENGTH = 0.9
"""Clips of one emotion batch are no shorter than this share of its longest: beyond it, padding costs more than a new
batch."""


def length_buckets(lengths: Sequence[float], limit: float, min_share: float = 0.0) -> Iterator[list[int]]:
    """Cut items of these lengths, longest first, into batches of at most `limit` padded length, or one item.

    Yields indices. No item of a batch is shorter than `min_share` of its longest: beyond a point, padding costs more
    than a new batch.
    """
    bucket: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if bucket:
            longest = lengths[bucket[0]]
            if (len(bucket) + 1) * longest > limit or lengths[index] < min_share * longest:
                yield bucket
                bucket = []
        bucket.append(index)
    if bucket:
        yield bucket

"""Sets of seconds: union, intersection and length of stretches of time."""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[float, float]
"""Start and end in seconds, start before end."""


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Join what touches or overlaps: sorted, apart."""
    joined: list[Interval] = []
    for start_s, end_s in sorted(interval for interval in intervals if interval[1] > interval[0]):
        if joined and start_s <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
        else:
            joined.append((start_s, end_s))
    return joined


def intersection(left: list[Interval], right: list[Interval]) -> list[Interval]:
    """Keep what lies in both; each side sorted and apart, as `union` gives it."""
    common: list[Interval] = []
    i = j = 0
    while i < len(left) and j < len(right):
        start_s, end_s = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start_s < end_s:
            common.append((start_s, end_s))
        if left[i][1] <= right[j][1]:
            i += 1
        else:
            j += 1
    return common


def gaps(within: list[Interval], taken: list[Interval]) -> list[Interval]:
    """Keep the parts of `within` that nothing in `taken` covers; each side sorted and apart."""
    left: list[Interval] = []
    for start_s, end_s in within:
        at_s = start_s
        for taken_start_s, taken_end_s in taken:
            if taken_end_s <= at_s:
                continue
            if taken_start_s >= end_s:
                break
            if taken_start_s > at_s:
                left.append((at_s, taken_start_s))
            at_s = taken_end_s
        if at_s < end_s:
            left.append((at_s, end_s))
    return left


def seconds(intervals: Iterable[Interval]) -> float:
    """Sum of lengths."""
    return sum(end_s - start_s for start_s, end_s in intervals)

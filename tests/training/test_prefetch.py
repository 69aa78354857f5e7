"""Batches prepared in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from mmer_ray.training.prefetch import prefetch


def test_items_come_in_order_and_end() -> None:
    assert list(prefetch(iter(range(20)), depth=2)) == list(range(20))


def test_an_error_of_the_thread_comes_out() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise KeyError("sound")

    items = prefetch(failing())
    assert next(items) == 1
    with pytest.raises(KeyError, match="sound"):
        next(items)


def test_the_thread_ends_when_nobody_wants_more() -> None:
    items = prefetch(count(), depth=1)
    next(items)
    (thread,) = [one for one in threading.enumerate() if one.name == "prefetch"]
    items.close()
    thread.join(timeout=10)
    assert not thread.is_alive()

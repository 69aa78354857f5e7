"""Seeds that follow from numbers: what is drawn for a step depends on nothing that was drawn before."""

from __future__ import annotations

import numpy as np


def key_of(*numbers: int) -> int:
    """A seed of 63 bits, the same in every process.

    >>> key_of(0, 1) == key_of(0, 1) != key_of(1, 0)
    True
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)

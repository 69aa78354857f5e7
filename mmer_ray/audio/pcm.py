"""Between the integers that windows hold and the floats that models read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmer_ray.records import Samples

INT16_SCALE = 2**15


def to_float(samples: Samples) -> NDArray[np.float32]:
    """Scale int16 samples to float32 in -1..1; shape (num_samples,), in and out."""
    return samples.astype(np.float32) / np.float32(INT16_SCALE)

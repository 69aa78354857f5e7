"""The drill for crash isolation; `decoder_child.py` says how it is called."""

from __future__ import annotations

import os
import signal
from fnmatch import fnmatchcase

import numpy as np

FAULTS_VARIABLE = "MMER_FAULTS"
CHUNK_BYTES = 16 << 20


def play_faults(uri: str) -> None:
    """Do what `MMER_FAULTS` plans for a recording; without the variable, nothing."""
    for plan in filter(None, os.environ.get(FAULTS_VARIABLE, "").split(",")):
        kind, _, pattern = plan.partition("=")
        if fnmatchcase(uri, pattern):
            _FAULTS[kind.strip()]()


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _compute_without_end() -> None:
    while True:
        pass


def _take_memory() -> None:
    taken = []
    while True:
        # Pages are asked for and not touched: the limit is met, the machine is not strained.
        taken.append(np.empty(CHUNK_BYTES, dtype=np.uint8))


_FAULTS = {"crash": _crash, "hang": _compute_without_end, "memory": _take_memory}

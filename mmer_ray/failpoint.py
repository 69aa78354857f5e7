"""Named points at which a test can end the process as a power cut would.

`MMER_FAILPOINT=after_append_words` ends it there the first time; `after_append_words:2` the second time.
"""

from __future__ import annotations

import os
from collections import Counter

VARIABLE = "MMER_FAILPOINT"
EXIT_STATUS = 137
"""That of a process killed by signal 9."""

_passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """End the process here if the environment asks for it: nothing is flushed, no handler runs."""
    wanted, _, nth = os.environ.get(VARIABLE, "").partition(":")
    if wanted != name:
        return
    _passed[name] += 1
    if _passed[name] == int(nth or 1):
        os._exit(EXIT_STATUS)

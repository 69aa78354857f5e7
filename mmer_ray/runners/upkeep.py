"""What a finished job does for its lake: small files are joined before there are many."""

from __future__ import annotations

from mmer_ray.lake.compaction import compact_if_due
from mmer_ray.lake.store import Lake


def compact_after_job(lake: Lake, max_files: int) -> tuple[str, ...]:
    """Compact a lake in which small files have piled up; `max_files` 0: never. The caller holds the lake's lock.

    Returns a warning where that failed: the job is committed, and does not fail for it.
    """
    if not max_files:
        return ()
    try:
        compact_if_due(lake, max_files)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return (f"the lake's small files could not be joined: {reason}; `mmer lake compact --lake {lake.address}`",)
    return ()

"""The corpus that `--corpus` names."""

from __future__ import annotations

from mmer_ray.errors import UsageError


def require_corpus(lake: str, corpus: str | None) -> None:
    """Raise `UsageError` for a corpus that the lake has not: a slip of the pen would else change nothing, and look like
    success. None names no corpus."""
    if corpus is None:
        return
    from mmer_ray.lake.corpus_facts import KNOWN
    from mmer_ray.lake.queries import open_lake

    with open_lake(lake) as reader:
        known = [row["corpus"] for row in reader.rows(KNOWN, {})]
    if corpus not in known:
        raise UsageError(f"--corpus {corpus}: {lake} has no such corpus; it has: {', '.join(known) or 'none'}")

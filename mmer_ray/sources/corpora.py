"""The names of corpora. A corpus names a folder of the lake."""

from __future__ import annotations

MAX_CORPUS_BYTES = 80
"""In a folder's name each byte may take three; file systems allow 255."""
NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
"""How such a folder says that it has no name."""


def is_corpus(name: str) -> bool:
    """Whether a corpus may be called that.

    >>> is_corpus("calls"), is_corpus(""), is_corpus(81 * "x")
    (True, False, False)
    """
    try:
        return name != NULL_FOLDER and 0 < len(name.encode()) <= MAX_CORPUS_BYTES
    except UnicodeEncodeError:
        return False

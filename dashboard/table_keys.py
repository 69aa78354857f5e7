"""Keys of tables in which a row can be chosen.

A browser tells the place of the row that was clicked. Where the lake has moved on since the table was drawn another row
may stand there. So a table of other rows has another key: Streamlit draws it anew, and what was chosen in the one
before is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b


def table_key(name: str, rows: Iterable[object]) -> str:
    """The key of a table with these rows in this order; each is told by what `repr` gives of it."""
    digest = blake2b(digest_size=8)
    for row in rows:
        digest.update(repr(row).encode() + b"\0")
    return f"{name}-{digest.hexdigest()}"

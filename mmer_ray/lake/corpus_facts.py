"""On what ground a corpus was recorded, and whether its people were told: stated by hand, shown with every overview."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from mmer_ray.errors import UsageError
from mmer_ray.lake.commit import SingleCommit
from mmer_ray.lake.store import Lake
from mmer_ray.lake.views import connect
from mmer_ray.tables import SCHEMAS

if TYPE_CHECKING:
    from mmer_ray.lake.queries import LakeReader

MAX_CHARS = 500
KNOWN = "SELECT DISTINCT corpus FROM internal.current ORDER BY corpus"
"""The corpora of a lake."""
STATED = """
    SELECT corpus, legal_basis, notice_given FROM (SELECT DISTINCT corpus FROM recordings)
    LEFT JOIN corpus_facts USING (corpus) ORDER BY corpus
"""


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """What is known of one corpus."""

    corpus: str
    legal_basis: str | None
    """In the words of whoever stated it; None: nobody did."""
    notice_given: bool | None
    """Whether those who are scored were told (EU AI Act, Art. 50(3)); None: nobody said."""

    @property
    def missing(self) -> tuple[str, ...]:
        """What still has to be stated, or is not as it must be."""
        found = [] if self.legal_basis else ["legal_basis"]
        return (*found, *([] if self.notice_given else ["notice_given"]))


def state(
    lake: Lake, corpus: str, *, legal_basis: str | None = None, notice_given: bool | None = None, author: str = ""
) -> None:
    """State one or both facts of a corpus; the other one stays as it was.

    Raises `UsageError` for a corpus that the lake does not have and where nothing is stated, `LakeError` where there is
    no lake or another job writes it.
    """
    basis = legal_basis.strip() if legal_basis is not None else None
    if basis is None and notice_given is None:
        raise UsageError("nothing is stated: give --legal-basis, --notice-given or --no-notice-given")
    if basis is not None and not 0 < len(basis) <= MAX_CHARS:
        raise UsageError(f"--legal-basis takes 1 to {MAX_CHARS} characters, not {len(basis)}")
    lake.require_existing()
    with lake.lock():
        with connect(lake) as connection:
            known = [name for (name,) in connection.execute(KNOWN).fetchall()]
        if corpus not in known:
            raise UsageError(f"{lake.address} has no corpus {corpus!r}; it has: {', '.join(known) or 'none'}")
        lake.create()
        row = {
            "corpus": corpus,
            "legal_basis": basis,
            "notice_given": notice_given,
            "stated_by": author,
            "stated_at": datetime.now(UTC),
        }
        table = pa.Table.from_pylist([row], schema=SCHEMAS["corpus_facts"])
        SingleCommit.begin(lake).write(lake, {"corpus_facts": table})


def corpus_facts(reader: LakeReader) -> list[CorpusFacts]:
    """What is stated of each corpus, by name; also of those of which nothing is."""
    return [CorpusFacts(**row) for row in reader.rows(STATED, {})]

"""Which recordings of a lake are meant: by name, by a condition, by corpus."""

from __future__ import annotations

from dataclasses import dataclass

from mmer_ray.errors import UsageError
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.values import values_of
from mmer_ray.tables import Row

CHOSEN_COLUMNS = (
    *("corpus", "recording_id", "month", "day", "uri", "modified", "status", "error_code"),
    *("duration_ms", "channels", "sample_rate_hz"),
)
"""What is kept of each: a few hundred bytes, so that a million fit in memory."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a user asked for. Names and conditions together mean what meets both."""

    names: tuple[str, ...] = ()
    where: str | None = None
    """A condition on the columns of `recordings`, as SQL."""
    corpus: str | None = None


def choose(reader: LakeReader, choice: Choice) -> list[Row]:
    """One row of `recordings` for each audio of each corpus that is meant, by recording_id: `CHOSEN_COLUMNS`. Files
    that failed are among them.

    Raises `UsageError` for nothing to choose by, for a condition that DuckDB refuses and where nothing is meant;
    `SourceError` for a name that fits no recording or several.
    """
    if not choice.names and choice.where is None and choice.corpus is None:
        raise UsageError("name recordings, or choose them with --where SQL or --corpus NAME")
    ids = [str(reader.find_recording(name)["recording_id"]) for name in choice.names]
    named = "recording_id IN (SELECT unnest($ids))" if choice.names else "$ids IS NOT NULL"
    of_corpus = "corpus = $corpus" if choice.corpus is not None else "$corpus IS NULL"
    # The condition is the user's own, in a statement that can only read; a line comment in it ends with its line.
    query = f"""
        SELECT {", ".join(CHOSEN_COLUMNS)} FROM recordings
        WHERE {named} AND {of_corpus} AND (
            {choice.where or "true"}
        )
        QUALIFY row_number() OVER (PARTITION BY corpus, recording_id ORDER BY is_copy, uri) = 1
        ORDER BY recording_id, corpus
    """  # noqa: S608
    rows = _rows(reader, query, {"ids": ids, "corpus": choice.corpus})
    if not rows:
        raise UsageError(f"no recording of {reader.address} is meant; `mmer query` on recordings lists them")
    return rows


def _rows(reader: LakeReader, query: str, parameters: dict[str, object]) -> list[Row]:
    found = reader.sql(query, parameters)
    columns = [values_of(column) for column in found.columns]
    return [dict(zip(found.column_names, row, strict=True)) for row in zip(*columns, strict=True)]

"""What the log of a table says: its data files, its columns and its properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from mmer_ray.lake.store_errors import reading
from mmer_ray.tables import SCHEMAS

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from mmer_ray.lake.store import Lake


def additions(table: DeltaTable, place: str) -> pa.Table:
    """What the log says of each data file of the newest version, a row per file. Raises `LakeError`, naming `place`."""
    with reading(place):
        return pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all()


def paths_of(actions: pa.Table) -> list[str]:
    """Paths below the table's folder: file_uris() percent-encodes the folder's own name, which is then no path."""
    return [unquote(str(path)) for path in actions.column("path").to_pylist()]


def logged_files(lake: Lake, name: str) -> dict[str, int]:
    """Path below the table's folder -> bytes, of the data files of the newest version, whether they are there or not.

    Raises `LakeError` where table or log is damaged or gone.
    """
    table = lake.opened(name)
    if table is None:
        return {}
    actions = additions(table, f"{lake.address}/{name}")
    sizes: list[int] = actions.column("size_bytes").to_pylist()  # type: ignore[assignment]
    return dict(zip(paths_of(actions), sizes, strict=True))


def schema_of(table: DeltaTable) -> pa.Schema:
    """The columns of a table as it is stored."""
    columns: Any = table.schema().to_arrow()
    return pa.schema(columns)


def missing_columns(name: str, table: DeltaTable) -> list[pa.Field[pa.DataType]]:
    """Columns of today that a table does not have yet."""
    there = {field.name for field in table.schema().fields}
    return [field for field in SCHEMAS[name] if field.name not in there]


def property_of(lake: Lake, name: str, key: str) -> str | None:
    """A property of a table, None where it has none. Raises `LakeError` where the table is damaged or gone."""
    table = lake.opened(name)
    return None if table is None else table.metadata().configuration.get(key)

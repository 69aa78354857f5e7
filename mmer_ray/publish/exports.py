"""Many conversations as one folder, in any format."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from mmer_ray.errors import UsageError
from mmer_ray.export.formats import FILE_ENDINGS, FOLDER_FORMATS, ROW_FORMATS, export, open_folder
from mmer_ray.lake.conversation import Conversation
from mmer_ray.lake.queries import LakeReader
from mmer_ray.publish.conversations import conversations, exported
from mmer_ray.publish.staging import staged_folder
from mmer_ray.publish.tables import write_tables
from mmer_ray.tables import Row

MAX_NAME_BYTES = 150
"""Of a file's own name: with an id and an ending it still is a name that file systems take (255 bytes)."""


def export_many(reader: LakeReader, rows: Sequence[Row], fmt: str, folder: Path) -> int:
    """Write the conversations of rows of `choose` into a new folder, which appears whole; returns how many there are.

    Failed recordings have none and are passed over (the format `parquet` has their rows), as are those whose
    utterances have reached their age. Raises `UsageError` where all have failed, and where the folder is taken or
    cannot be written.
    """
    num_scored = sum(1 for row in rows if row["status"] == "scored")
    if not num_scored and fmt not in ROW_FORMATS:
        raise UsageError(f"{rows[0]['uri']} failed ({rows[0]['error_code']}), so there is no conversation to export")
    with staged_folder(folder) as draft:
        if fmt in ROW_FORMATS:
            write_tables(reader, rows, draft)
            return num_scored
        told = (one for one in conversations(reader, rows) if "utterances" not in one.gone)
        if fmt in FOLDER_FORMATS:
            with open_folder(fmt, draft) as writer:
                return sum(1 for _ in map(writer.add, map(exported, told)))
        return sum(1 for _ in map(partial(_write_file, draft, fmt), told))


def _write_file(folder: Path, fmt: str, one: Conversation) -> None:
    row = one.recording
    path = folder / file_name(row, FILE_ENDINGS[fmt])
    path.parent.mkdir(exist_ok=True)
    text = export(row["uri"], one.utterances, fmt, one.turns or None, row["duration_ms"] / 1000)
    path.write_text(text, encoding="utf-8")


def file_name(row: Row, ending: str) -> str:
    """`CORPUS/NAME-ID.ENDING`: two recordings never share one.

    >>> file_name({"corpus": "calls", "uri": "/data/a.b.wav", "recording_id": "12ab"}, "srt")
    'calls/a.b-12ab.srt'
    """
    name = PurePosixPath(row["uri"]).stem.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return f"{corpus_folder(row['corpus'])}/{name}-{row['recording_id']}.{ending}"


def corpus_folder(corpus: str) -> str:
    """The name of a corpus as that of a folder.

    >>> corpus_folder("calls/2026"), corpus_folder("..")
    ('calls%2F2026', '%2E.')
    """
    name = quote(corpus, safe=" ")
    return f"%2E{name[1:]}" if name.startswith(".") else name

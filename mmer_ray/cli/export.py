"""`mmer export`: conversations as files for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmer_ray.cli.last_lake import lake_to_read
from mmer_ray.cli.options import CorpusChoice, LakeToRead, Output, RecordingNames, Where
from mmer_ray.cli.output import count, enumerated, note, print_raw
from mmer_ray.errors import UsageError

if TYPE_CHECKING:
    from mmer_ray.lake.queries import LakeReader
    from mmer_ray.publish.choice import Choice


class ExportFormat(StrEnum):
    """`mmer_ray.export.formats.FORMATS`, for the help page."""

    SRT = "srt"
    VTT = "vtt"
    TXT = "txt"
    RTTM = "rttm"
    CTM = "ctm"
    TEXTGRID = "textgrid"
    WHISPERX = "whisperx"
    JSON = "json"
    AUDFORMAT = "audformat"
    HF = "hf"
    LHOTSE = "lhotse"
    PARQUET = "parquet"


Format = Annotated[
    ExportFormat,
    typer.Option(
        "--format",
        "-f",
        help="Subtitles, text, turns, words, tiers, or everything; audformat, hf (Hugging Face datasets), lhotse and "
        "parquet (the lake's own rows) are folders and need --output.",
    ),
]


def export(
    fmt: Format,
    recordings: RecordingNames = None,
    lake: LakeToRead = None,
    where: Where = None,
    corpus: CorpusChoice = None,
    output: Output = None,
) -> None:
    """Write a conversation, or all that are chosen, as SubRip, WebVTT, text, RTTM, CTM, Praat TextGrid, WhisperX JSON,
    JSON, audformat, a Hugging Face dataset, lhotse manifests or Parquet tables."""
    from mmer_ray.export.formats import FILE_ENDINGS
    from mmer_ray.lake.limits import MANY_ROWS
    from mmer_ray.lake.queries import open_lake
    from mmer_ray.publish.choice import Choice

    names = tuple(recordings or ())
    is_one_file = fmt.value in FILE_ENDINGS and len(names) == 1 and where is None and corpus is None
    if not is_one_file and output is None:
        raise UsageError(f"--format {fmt.value} of these writes a folder of files; name it with --output DIR")
    with open_lake(lake_to_read(lake), MANY_ROWS) as reader:
        if is_one_file:
            _export_one(reader, names[0], fmt.value, output)
        else:
            assert output is not None, "checked above"
            _export_many(reader, Choice(names, where, corpus), fmt.value, output)


def _export_one(reader: LakeReader, recording: str, fmt: str, output: Path | None) -> None:
    from mmer_ray.export.formats import export as exported

    conversation = reader.conversation(recording)
    row = conversation.recording
    if row["status"] != "scored":
        raise UsageError(f"{row['uri']} failed ({row['error_code']}), so there is no conversation to export")
    if "utterances" in conversation.gone:
        raise UsageError(f"what was said in {row['uri']} had reached its age: nothing is left to export")
    if conversation.gone:
        note(f"the {enumerated(conversation.gone)} of {row['uri']} had reached their age and were removed")
    # Rows of schema version 1 have no turns.
    turns = conversation.turns or None
    text = exported(row["uri"], conversation.utterances, fmt, turns, row["duration_ms"] / 1000)
    if output is None:
        print_raw(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"--output {output} cannot be written: {exc.strerror}") from exc
    note(f"wrote {output}")


def _export_many(reader: LakeReader, choice: Choice, fmt: str, output: Path) -> None:
    from mmer_ray.publish.choice import choose
    from mmer_ray.publish.exports import export_many

    rows = choose(reader, choice)
    num_scored = export_many(reader, rows, fmt, output)
    note(f"wrote {count(num_scored, 'conversation')} to {output}")
    if num_failed := len(rows) - num_scored:
        note(f"{count(num_failed, 'recording')} failed and {'has' if num_failed == 1 else 'have'} none")

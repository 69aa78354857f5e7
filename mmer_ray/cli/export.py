"""`mmer export`: one conversation as a file for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmer_ray.cli.last_lake import lake_to_read
from mmer_ray.cli.options import LakeToRead, Output, RecordingName
from mmer_ray.cli.output import note, print_raw
from mmer_ray.errors import UsageError


class ExportFormat(StrEnum):
    """`mmer_ray.export.formats.FORMATS`, for the help page."""

    SRT = "srt"
    VTT = "vtt"
    RTTM = "rttm"
    CTM = "ctm"
    TEXTGRID = "textgrid"
    WHISPERX = "whisperx"
    JSON = "json"
    AUDFORMAT = "audformat"


Format = Annotated[
    ExportFormat,
    typer.Option("--format", "-f", help="Subtitles, turns, words, tiers, or everything; audformat needs --output."),
]


def export(recording: RecordingName, fmt: Format, lake: LakeToRead = None, output: Output = None) -> None:
    """Write a conversation as SubRip, WebVTT, RTTM, CTM, Praat TextGrid, WhisperX JSON, JSON or audformat tables."""
    from mmer_ray.export.formats import FOLDER_FORMATS, export_folder
    from mmer_ray.export.formats import export as exported
    from mmer_ray.lake.queries import open_lake

    if fmt.value in FOLDER_FORMATS and output is None:
        raise UsageError(f"--format {fmt.value} writes a folder of files; name it with --output DIR")
    with open_lake(lake_to_read(lake)) as reader:
        conversation = reader.conversation(recording)
    row = conversation.recording
    if row["status"] != "scored":
        raise UsageError(f"{row['uri']} failed ({row['error_code']}), so there is no conversation to export")
    if "utterances" in conversation.gone:
        raise UsageError(f"what was said in {row['uri']} had reached its age: nothing is left to export")
    if conversation.gone:
        note(f"the {' and '.join(conversation.gone)} of {row['uri']} had reached their age and were removed")
    if fmt.value in FOLDER_FORMATS:
        assert output is not None, "checked above"
        files = export_folder(row["uri"], conversation.utterances, fmt.value)
        _write({output / name: text for name, text in files.items()}, output, is_folder=True)
        return
    # Rows of schema version 1 have no turns.
    turns = conversation.turns or None
    text = exported(row["uri"], conversation.utterances, fmt.value, turns, row["duration_ms"] / 1000)
    if output is None:
        print_raw(text)
    else:
        _write({output: text}, output)


def _write(files: dict[Path, str], output: Path, *, is_folder: bool = False) -> None:
    try:
        if is_folder:
            output.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"--output {output} cannot be written: {exc.strerror}") from exc
    note(f"wrote {output}")

"""`mmer export`: one conversation as a file for other programs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from mmer_ray.cli.options import Lake, Output, RecordingName
from mmer_ray.cli.output import note, print_raw
from mmer_ray.errors import UsageError


class ExportFormat(StrEnum):
    """`mmer_ray.export.FORMATS`, for the help page."""

    SRT = "srt"
    VTT = "vtt"
    RTTM = "rttm"
    JSON = "json"


Format = Annotated[ExportFormat, typer.Option("--format", "-f", help="Subtitles, speaker turns, or everything.")]


def export(recording: RecordingName, lake: Lake, fmt: Format, output: Output = None) -> None:
    """Write a conversation as SubRip, WebVTT, RTTM or JSON."""
    from mmer_ray.export import export as exported
    from mmer_ray.lake.queries import open_lake

    with open_lake(lake) as reader:
        conversation = reader.conversation(recording)
    row = conversation.recording
    if row["status"] != "scored":
        raise UsageError(f"{row['uri']} failed ({row['error_code']}), so there is no conversation to export")
    # Rows of schema version 1 have no turns.
    text = exported(row["uri"], conversation.utterances, fmt.value, conversation.turns or None)
    if output is None:
        print_raw(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"--output {output} cannot be written: {exc.strerror}") from exc
    note(f"wrote {output}")

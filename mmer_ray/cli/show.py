"""`mmer show`: one conversation to read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmer_ray.cli.caution import caution_in_lake, show_caution
from mmer_ray.cli.options import Json, Lake, RecordingName
from mmer_ray.cli.output import print_json, say
from mmer_ray.errors import UsageError

if TYPE_CHECKING:
    from mmer_ray.lake.conversation import Conversation

From = Annotated[str, typer.Option("--from", metavar="TIME", help="Begin there: seconds, M:SS or H:MM:SS.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="End there.", show_default=False)]


def show(recording: RecordingName, lake: Lake, begin: From = "0", end: To = None, json: Json = False) -> None:
    """Show a conversation: who spoke when, what was said and with which emotion."""
    from_s, to_s = seconds_of(begin), float("inf") if end is None else seconds_of(end)
    from mmer_ray.cli.conversation_view import show_header, show_talk
    from mmer_ray.lake.queries import open_lake

    with open_lake(lake) as reader:
        conversation = reader.conversation(recording)
        caution = caution_in_lake(reader, conversation)
    talk = [one for one in conversation.utterances if one.end_s > from_s and one.start_s < to_s]
    if json:
        turns = [one for one in conversation.turns if one.end_s > from_s and one.start_s < to_s]
        shown = {"utterances": _rows(talk), "turns": _rows(turns), "caution": caution}
        print_json(conversation_document(conversation) | shown)
        return
    show_header(conversation)
    show_caution(caution)
    if conversation.recording["status"] == "scored":
        say("")
        show_talk(talk, conversation)


def conversation_document(conversation: Conversation) -> dict[str, Any]:
    """`mmer.show/1`: the recording's row, the measures, the utterances with words and emotions, the turns."""
    from dataclasses import asdict

    measures = conversation.measures
    return {
        "schema": "mmer.show/1",
        "recording": conversation.recording,
        "scorer": conversation.scorer,
        "measures": None if measures is None else asdict(measures),
        "utterances": _rows(conversation.utterances),
        "turns": _rows(conversation.turns),
    }


def _rows(some: Any) -> list[dict[str, Any]]:
    from mmer_ray.export.conversation_json import as_rows

    return as_rows(some)


def seconds_of(text: str) -> float:
    """A time as typed: `75`, `75.5`, `1:15` or `0:01:15`. Raises `UsageError`.

    >>> seconds_of("1:01:15")
    3675.0
    """
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", text):
        raise UsageError(f"{text!r} is not a time; write seconds, M:SS or H:MM:SS")
    total_s = 0.0
    for part in text.split(":"):
        total_s = total_s * 60 + float(part)
    return total_s

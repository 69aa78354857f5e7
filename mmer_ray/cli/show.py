"""`mmer show`: conversations to read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmer_ray.cli.caution import caution_in_lake, show_caution
from mmer_ray.cli.last_lake import lake_to_read
from mmer_ray.cli.options import Json, LakeToRead
from mmer_ray.cli.output import count, print_json, say
from mmer_ray.errors import UsageError

if TYPE_CHECKING:
    from mmer_ray.lake.conversation import Conversation
    from mmer_ray.lake.queries import LakeReader

MAX_UTTERANCES = 100
"""Shown where no recording is named: about two screens. The first conversation is shown to its end."""

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[RECORDING]",
        help="A recording's id, its uri, or the end of its uri. Left out: what the newest run has scored.",
        show_default=False,
    ),
]
From = Annotated[str, typer.Option("--from", metavar="TIME", help="Begin there: seconds, M:SS or H:MM:SS.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="End there.", show_default=False)]


def show(
    recording: Name = None, lake: LakeToRead = None, begin: From = "0", end: To = None, json: Json = False
) -> None:
    """Show conversations: who spoke when, what was said and with which emotion."""
    from_s, to_s = seconds_of(begin), float("inf") if end is None else seconds_of(end)
    if recording is None and (from_s > 0 or end is not None):
        raise UsageError("--from and --to are times of one recording: name it")
    from mmer_ray.lake.queries import open_lake

    with open_lake(lake_to_read(lake)) as reader:
        if recording is None:
            _show_last(reader, json)
        else:
            _show_one(reader, reader.conversation(recording), from_s, to_s, json)


def _show_one(reader: LakeReader, conversation: Conversation, from_s: float, to_s: float, json: bool) -> None:
    from mmer_ray.cli.conversation_view import show_header, show_talk

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


def _show_last(reader: LakeReader, json: bool) -> None:
    """What the newest run has scored: as many conversations as fit, and how many there are besides."""
    from mmer_ray.cli.conversation_view import show_header, show_talk

    rows, num_all = reader.last_scored(MAX_UTTERANCES)
    if not rows:
        raise UsageError(f"nothing in {reader.address} is scored yet; `mmer status` says what is there")
    shown = list(_first_conversations(reader, rows))
    caution = caution_in_lake(reader, shown[0])
    if json:
        documents = [conversation_document(one) for one in shown]
        more = {"num_more": num_all - len(shown), "caution": caution}
        print_json({"schema": "mmer.show_last/1", "conversations": documents, **more})
        return
    for conversation in shown:
        show_header(conversation)
        say("")
        show_talk(conversation.utterances, conversation)
        say("")
    if num_all > len(shown):
        say(f"{count(num_all - len(shown), 'more recording')} of that run: mmer show RECORDING, by file name or id")
    show_caution(caution)


def _first_conversations(reader: LakeReader, rows: list[dict[str, Any]]) -> Iterator[Conversation]:
    num_utterances = 0
    for row in rows:
        conversation = reader.conversation(row)
        num_utterances += max(1, len(conversation.utterances))
        if num_utterances > MAX_UTTERANCES and row is not rows[0]:
            return
        yield conversation


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
        "gone": list(conversation.gone),
        "num_erased_speakers": conversation.num_erased_speakers,
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

"""`mmer redact`: copies of conversations, without what must not be published."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmer_ray.cli.exits import ExitCode
from mmer_ray.cli.last_lake import lake_to_read
from mmer_ray.cli.options import CorpusChoice, Json, LakeToRead, RecordingNames, Where
from mmer_ray.cli.output import count, note, print_json, say
from mmer_ray.cli.streams import reserved_stdout
from mmer_ray.errors import UsageError

if TYPE_CHECKING:
    from mmer_ray.publish.redaction import Outcome


class CoverName(StrEnum):
    """`mmer_ray.audio.cover.Cover`, for the help page."""

    TONE = "tone"
    SILENCE = "silence"


Into = Annotated[
    Path, typer.Option("--into", metavar="FOLDER", help="A new folder for the copies, one folder per recording.")
]
Rules = Annotated[
    str | None,
    typer.Option("--rules", metavar="RULE,..", help="numbers, email, phone, card.", show_default=False),
]
Words = Annotated[
    Path | None,
    typer.Option("--words", metavar="FILE", help="Words to take out, one a line.", show_default=False),
]
Function = Annotated[
    str | None,
    typer.Option(
        "--function",
        metavar="module:name",
        help="A function of yours: text of an utterance -> list of (start, end, KIND).",
        show_default=False,
    ),
]
Audio = Annotated[
    bool, typer.Option("--audio", help="Publish the sound too: covered, then transcribed again to verify it.")
]
CoverOption = Annotated[CoverName, typer.Option("--cover", help="What is heard in place of what is taken out.")]
Formats = Annotated[
    str,
    typer.Option("--format", "-f", metavar="FORMAT,..", help="As of `mmer export`: json, srt, vtt, txt, parquet, .."),
]


def redact(
    into: Into,
    recordings: RecordingNames = None,
    lake: LakeToRead = None,
    where: Where = None,
    corpus: CorpusChoice = None,
    rules: Rules = None,
    words: Words = None,
    function: Function = None,
    audio: Audio = False,
    cover: CoverOption = CoverName.TONE,
    formats: Formats = "json",
    json: Json = False,
) -> None:
    """Publish copies of conversations without numbers, e-mail addresses, words of yours. Refuses what it cannot verify;
    the lake stays as it is."""
    from mmer_ray.audio.cover import Cover
    from mmer_ray.lake.limits import MANY_ROWS
    from mmer_ray.lake.queries import open_lake
    from mmer_ray.publish.choice import Choice, choose
    from mmer_ray.publish.redaction import FORMATS, Redaction, redact_many
    from mmer_ray.redact.rules import rule_set

    wanted = _listed(formats)
    if unknown := [name for name in wanted if name not in FORMATS]:
        raise UsageError(f"--format {','.join(unknown)}: unknown; valid: {', '.join(FORMATS)}")
    redaction = Redaction(rule_set(_listed(rules), words, function), wanted, audio, Cover(cover.value))
    address = lake_to_read(lake)
    with open_lake(address, MANY_ROWS) as reader, reserved_stdout():
        rows = choose(reader, Choice(tuple(recordings or ()), where, corpus))
        outcome = redact_many(reader, rows, redaction, into)
    _show(outcome, address, into, json)
    if outcome.refused:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _show(outcome: Outcome, lake: str, into: Path, json: bool) -> None:
    if json:
        from dataclasses import asdict

        print_json({"schema": "mmer.redact/1", "lake": lake, "folder": str(into), **asdict(outcome)})
        return
    say(f"{count(len(outcome.published), 'recording')} published in {into}")
    for one in outcome.refused:
        note(f"refused: {one.uri} ({one.recording_id}): {one.reason}: {one.message}")


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(name for part in (text or "").split(",") if (name := part.strip()))

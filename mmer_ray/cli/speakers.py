"""`mmer speakers`: who speaks in a recording, and what people know better than the models."""

from __future__ import annotations

import getpass
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mmer_ray.cli.last_lake import lake_to_read
from mmer_ray.cli.options import Json, Lake, LakeToRead, RecordingName
from mmer_ray.cli.output import clock, count, print_json, print_table, say, span
from mmer_ray.errors import UsageError

if TYPE_CHECKING:
    from mmer_ray.lake.edited_speakers import SpeakerEdit
    from mmer_ray.lake.heard_speakers import Merge, RecordingSpeakers, Rename, Split, Undo

LIST = "list"
MAX_RANGE = 1_000_000
"""No recording has more utterances."""


class _ListsByDefault(TyperGroup):
    """`mmer speakers RECORDING` is `mmer speakers list RECORDING`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [LIST, *args]
        rest: list[str] = super().parse_args(ctx, args)
        return rest


speakers = typer.Typer(
    cls=_ListsByDefault,
    help="The speakers of a recording: `mmer speakers RECORDING` lists them; name, join and part them.",
    no_args_is_help=True,
)

Speaker = Annotated[str, typer.Argument(metavar="SPEAKER", help="Its id, such as S1, or the name that it was given.")]
Author = Annotated[
    str | None, typer.Option("--author", metavar="NAME", help="Who edits. Left out: this user.", show_default=False)
]


@speakers.command(LIST)
def list_speakers(
    recording: RecordingName,
    lake: LakeToRead = None,
    utterances: Annotated[bool, typer.Option("--utterances", help="Number the utterances too, for `split`.")] = False,
    json: Json = False,
) -> None:
    """Who speaks, for how long, and the edits that were made."""
    from mmer_ray.lake.speaker_edits import speakers_of
    from mmer_ray.lake.store import Lake as LakeStore

    address = lake_to_read(lake)
    found = speakers_of(LakeStore(address, to_read=True), recording)
    said = _utterances(address, found) if utterances else None
    if json:
        more = {} if said is None else {"utterances": said}
        print_json({"schema": "mmer.speakers/1", "lake": address, **_document(found), **more})
        return
    _show(found)
    if said is not None:
        rows = [
            (one["utterance_idx"], clock(one["start_ms"] / 1000), one["speaker_name"] or one["speaker"], one["text"])
            for one in said
        ]
        print_table(("number", "time", "speaker", "text"), rows)


@speakers.command()
def rename(
    recording: RecordingName,
    speaker: Speaker,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the speaker is called from now on.")],
    lake: Lake,
    author: Author = None,
    json: Json = False,
) -> None:
    """Give a speaker a name. Tables keep the id and have the name beside it; `show` and `export` write the name."""
    from mmer_ray.lake.heard_speakers import Rename

    _edit(lake, recording, Rename(speaker, name), author, json)


@speakers.command()
def merge(
    recording: RecordingName,
    speaker: Speaker,
    into: Annotated[str, typer.Argument(metavar="INTO", help="The speaker that stays.")],
    lake: Lake,
    author: Author = None,
    json: Json = False,
) -> None:
    """Two speakers are one: what SPEAKER says, INTO says."""
    from mmer_ray.lake.heard_speakers import Merge

    _edit(lake, recording, Merge(speaker, into), author, json)


@speakers.command()
def split(
    recording: RecordingName,
    speaker: Speaker,
    utterances: Annotated[
        str, typer.Option("--utterances", metavar="3,5-9", help="Numbers, as `list --utterances` gives them.")
    ],
    lake: Lake,
    into: Annotated[
        str | None, typer.Option("--into", metavar="ID", help="A new id; left out: the next free.", show_default=False)
    ] = None,
    author: Author = None,
    json: Json = False,
) -> None:
    """One speaker is two: these utterances, and the turns that they cover most of, are a new speaker's."""
    from mmer_ray.lake.heard_speakers import Split

    _edit(lake, recording, Split(speaker, numbers_of(utterances), into), author, json)


@speakers.command()
def undo(
    recording: RecordingName,
    lake: Lake,
    edit_id: Annotated[
        str | None, typer.Argument(metavar="[EDIT]", help="The edit's id; left out: the last one.", show_default=False)
    ] = None,
    author: Author = None,
    json: Json = False,
) -> None:
    """Take an edit back. Nothing is deleted: that it was made and taken back stays in `speaker_edits`."""
    from mmer_ray.lake.heard_speakers import Undo

    _edit(lake, recording, Undo(edit_id), author, json)


def _edit(lake: str, recording: str, wanted: Rename | Merge | Split | Undo, author: str | None, json: bool) -> None:
    from mmer_ray.lake.speaker_edits import edit_speakers
    from mmer_ray.lake.store import Lake as LakeStore

    done = edit_speakers(LakeStore(lake), recording, wanted, author or _this_user())
    if json:
        print_json({"schema": "mmer.speaker_edit/1", "lake": lake, "edit": asdict(done.edit), **_document(done.after)})
        return
    say(f"{done.edit.edit_id}: {done.edit}")
    _show(done.after)


def _this_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as exc:
        raise UsageError("this user has no name; say who edits with --author NAME") from exc


def _document(found: RecordingSpeakers) -> dict[str, Any]:
    from mmer_ray.lake.edited_speakers import in_force

    counting = {edit.edit_id for edit in in_force(found.edits)}
    edits = [{**asdict(edit), "counts": edit.edit_id in counting} for edit in found.edits]
    return {**asdict(found), "edits": edits}


def _show(found: RecordingSpeakers) -> None:
    say(f"{found.uri}: {count(len(found.speakers), 'speaker')}")
    rows = [(one.speaker, one.name, span(one.talk_s), one.num_utterances) for one in found.speakers]
    print_table(("speaker", "name", "talk", "utterances"), rows)
    if found.edits:
        print_table(("edit", "what", "by", "at", ""), [_edit_row(edit, found) for edit in found.edits])


def _edit_row(edit: SpeakerEdit, found: RecordingSpeakers) -> tuple[object, ...]:
    from mmer_ray.lake.edited_speakers import in_force

    is_undone = edit.action != "undo" and edit not in in_force(found.edits)
    at = "" if edit.edited_at is None else f"{edit.edited_at:%Y-%m-%d %H:%M} UTC"
    return edit.edit_id, str(edit), edit.author, at, "taken back" if is_undone else ""


def _utterances(address: str, found: RecordingSpeakers) -> list[dict[str, Any]]:
    from mmer_ray.lake.queries import open_lake

    query = """
        SELECT DISTINCT utterance_idx, start_ms, end_ms, speaker, speaker_name, text FROM utterances
        WHERE recording_id = $recording AND heard_key = $heard ORDER BY utterance_idx
    """
    with open_lake(address) as reader:
        return reader.rows(query, {"recording": found.recording_id, "heard": found.heard_key})


def numbers_of(text: str) -> tuple[int, ...]:
    """Numbers and ranges, both ends in them. Raises `UsageError`.

    >>> numbers_of("3,5-7")
    (3, 5, 6, 7)
    """
    numbers: list[int] = []
    for part in text.replace(" ", "").split(","):
        found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first or last - first > MAX_RANGE:
            raise UsageError(f"--utterances {text!r} is no list of numbers; write it as 3,5-9")
        numbers.extend(range(first, last + 1))
    return tuple(numbers)

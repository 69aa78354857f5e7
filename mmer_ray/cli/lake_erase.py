"""`mmer lake erase`: recordings, or one speaker of them, removed for good."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmer_ray.cli.options import Json, Lake
from mmer_ray.cli.output import count, print_json, say
from mmer_ray.errors import UsageError

if TYPE_CHECKING:
    from mmer_ray.lake.erasure import Erased

Recordings = Annotated[
    list[str] | None,
    typer.Option(
        "--recording",
        metavar="ID_OR_NAME",
        help="An id, a uri, or the end of a uri; may be repeated.",
        show_default=False,
    ),
]
Where = Annotated[
    str | None,
    typer.Option(metavar="SQL", help="Those for whose row in `recordings` this condition holds.", show_default=False),
]
SpeakerName = Annotated[
    str | None,
    typer.Option("--speaker", metavar="NAME", help="Only what this speaker of them said.", show_default=False),
]
Reason = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Kept with the erasure: name nobody in it.", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go; nothing is written.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def erase(
    lake: Lake,
    recording: Recordings = None,
    where: Where = None,
    speaker: SpeakerName = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Erase recordings for good: every file with the same audio, in every corpus, table and older version.

    They are not scored again; `mmer score --erased` does. The audio files themselves stay where they are.
    """
    if not recording and where is None:
        raise UsageError("name what to erase: --recording ID_OR_NAME or --where SQL (with --speaker NAME too)")
    from mmer_ray.lake.erasure import erase_recordings, erase_speaker, find_recordings
    from mmer_ray.lake.store import Lake as LakeStore

    store = LakeStore(lake)
    ids = find_recordings(store, recording or (), where)

    def done(dry_run: bool) -> Erased:
        if speaker is None:
            return erase_recordings(store, ids, reason, dry_run=dry_run)
        return erase_speaker(store, ids, speaker, reason, dry_run=dry_run)

    if not dry_run and not yes:
        _confirm(done(dry_run=True))
    show_removed(done(dry_run), lake, "mmer.erase/1", json, dry_run)


def _confirm(found: Erased) -> None:
    """Ask whether it shall go. Raises `UsageError` where nobody can be asked, `typer.Abort` for a no."""
    if not found.num_rows:
        return
    told = f"{count(found.num_recordings, 'recording')}, {count(sum(found.num_rows.values()), 'row')}"
    if not sys.stdin.isatty():
        raise UsageError(f"this removes {told} for good: give --yes, or --dry-run to see what")
    typer.confirm(f"Remove {told} for good?", abort=True, err=True)


def removed_document(found: Erased, lake: str, schema: str, dry_run: bool) -> dict[str, Any]:
    """What went, or would go, as one document."""
    return {
        "schema": schema,
        "lake": lake,
        "dry_run": dry_run,
        "num_recordings": found.num_recordings,
        "num_files": found.num_files,
        "num_rows": dict(found.num_rows),
        "commit_id": found.commit_id,
    }


def show_removed(found: Erased, lake: str, schema: str, json: bool, dry_run: bool) -> None:
    """Print what went, or would go."""
    if json:
        print_json(removed_document(found, lake, schema, dry_run))
        return
    if not found.num_rows:
        say("nothing to remove")
        return
    verb = "would be removed" if dry_run else "removed"
    say(f"{verb}: {count(found.num_recordings, 'recording')}, {count(found.num_files, 'file')}", style="bold")
    for name, number in found.num_rows.items():
        say(f"  {number:>9,} {name}")

"""`mmer lake vacuum`: what nobody reads any more is deleted."""

from __future__ import annotations

from typing import Annotated

import typer

from mmer_ray.cli.lake_compact import DryRun
from mmer_ray.cli.options import Json, Lake
from mmer_ray.cli.output import count, print_json, say

KeepHours = Annotated[
    int,
    typer.Option(min=0, help="Keep what a query that began in the last so many hours may still read. 0: nothing."),
]


def vacuum(lake: Lake, keep_hours: KeepHours = 24, dry_run: DryRun = False, json: Json = False) -> None:
    """Delete files that no table needs: those from before a compaction, and those that a killed job left.

    Rows of unfinished commits leave their tables. Finished rows stay, all of them.
    """
    from mmer_ray.lake.store import Lake as LakeStore
    from mmer_ray.lake.vacuum import vacuum as vacuum_lake

    done = vacuum_lake(LakeStore(lake), keep_hours, dry_run=dry_run)
    num_torn = sum(part.num_torn for part in done.torn)
    if json:
        numbers = {"num_files": done.num_files, "num_bytes": done.num_bytes, "num_unfinished": num_torn}
        print_json({
            "schema": "mmer.vacuum/1", "lake": lake, "keep_hours": keep_hours, "dry_run": dry_run,
            **numbers, "files": dict(done.files),
        })  # fmt: skip
        return
    would = "would be " if dry_run else ""
    say(f"{count(done.num_files, 'file')} ({done.num_bytes / 1e6:.1f} MB) {would}deleted")
    if num_torn:
        say(f"{count(num_torn, 'file')} of unfinished commits {would}taken out of the tables; deleted once that old")

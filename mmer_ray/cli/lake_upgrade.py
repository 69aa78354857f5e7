"""`mmer lake upgrade`: a lake of an earlier version, brought to this one."""

from __future__ import annotations

from typing import Annotated

import typer

from mmer_ray.cli.options import Json, Lake
from mmer_ray.cli.output import count, print_json, say

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def upgrade(lake: Lake, dry_run: DryRun = False, json: Json = False) -> None:
    """Bring a lake of an earlier version to this one, and record a digest of every file that has none.

    Rows stay as they are. The next `mmer score` does the first part too.
    """
    from mmer_ray.lake.store import Lake as LakeStore
    from mmer_ray.lake.upgrade import plan_upgrade
    from mmer_ray.lake.upgrade import upgrade as upgrade_lake

    store = LakeStore(lake)
    done = plan_upgrade(store) if dry_run else upgrade_lake(store)
    if json:
        from dataclasses import asdict

        print_json({"schema": "mmer.lake.upgrade/1", "lake": lake, "dry_run": dry_run, **asdict(done)})
        return
    if not done.is_needed:
        say(f"nothing to do: schema version {done.to_version}, every file has a digest")
        return
    would = "would be" if dry_run else "were"
    if done.from_version != done.to_version:
        say(f"schema version {done.from_version}, {'would become' if dry_run else 'now'} {done.to_version}")
    if done.tables:
        say(f"tables that {would} made: {', '.join(done.tables)}")
    for table, columns in done.columns.items():
        say(f"columns that {would} added to {table}: {', '.join(columns)}")
    if done.num_damaged_records:
        say(f"{count(done.num_damaged_records, 'damaged record')} of digests {would} made anew")
    say(f"{count(done.num_files, 'file')} {would} given a digest")

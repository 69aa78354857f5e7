"""`mmer lake verify`: whether a lake is as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmer_ray.cli.exits import ExitCode
from mmer_ray.cli.last_lake import lake_to_read
from mmer_ray.cli.options import Json, LakeToRead
from mmer_ray.cli.output import count, note, print_json, say

if TYPE_CHECKING:
    from mmer_ray.lake.finding import Finding
    from mmer_ray.lake.verification import Verification

Quick = Annotated[bool, typer.Option("--quick", help="Do not read the bytes of files, compare lengths and rows alone.")]


def verify(lake: LakeToRead = None, quick: Quick = False, json: Json = False) -> None:
    """Compare a lake with what was written: the bytes of every file, counts, keys and ledgers. Changes nothing.

    Ends with 4 where the lake is damaged. Notes are no damage.
    """
    from mmer_ray.lake.lock import is_locked
    from mmer_ray.lake.store import Lake
    from mmer_ray.lake.verification import Verification

    address = lake_to_read(lake)
    store = Lake(address, to_read=True)
    if store.is_local and is_locked(Path(store.address)):
        note("a job is writing this lake: what it has not finished may be among the findings")
    verification = Verification(store, quick=quick)
    if json:
        found = list(verification.findings())
        print_json(_document(verification, found, address, quick=quick))
    else:
        for finding in verification.findings():
            _show(finding)
        _show_sum(verification, quick=quick)
    if not verification.is_whole:
        raise typer.Exit(ExitCode.PREFLIGHT)


def _show(finding: Finding) -> None:
    kind, style = ("damaged", "red") if finding.is_damage else ("note   ", "")
    say(f"{kind}  {finding.place}: {finding.what}; {finding.remedy}", style=style)


def _show_sum(verification: Verification, *, quick: bool) -> None:
    counts = verification.counts
    megabytes = f"{counts.num_bytes / 1e6:,.1f} MB"
    looked = f"{count(counts.num_files, 'file')} ({megabytes}), {count(verification.num_commits, 'commit')}"
    how = "bytes not read" if quick else f"{count(counts.num_read, 'digest')} compared"
    if verification.is_whole:
        say(f"the lake is whole: {looked}, {how}", style="bold")
    else:
        say(f"the lake is damaged: {count(verification.num_damages, 'finding')} in {looked}, {how}", style="red")


def _document(verification: Verification, found: list[Finding], lake: str, *, quick: bool) -> dict[str, Any]:
    """`mmer.lake.verify/1`."""
    from dataclasses import asdict

    return {
        "schema": "mmer.lake.verify/1",
        "lake": lake,
        "is_whole": verification.is_whole,
        "quick": quick,
        "num_commits": verification.num_commits,
        **asdict(verification.counts),
        "findings": [asdict(finding) for finding in found],
    }

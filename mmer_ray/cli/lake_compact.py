"""`mmer lake compact`: small files joined, dashboards' tables rebuilt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmer_ray.cli.named_corpus import require_corpus
from mmer_ray.cli.options import Json, Lake
from mmer_ray.cli.output import count, print_json, print_table, say

if TYPE_CHECKING:
    from mmer_ray.lake.compaction import Compacted

OneCorpus = Annotated[
    str | None, typer.Option(help="Only this corpus; without it, the whole lake.", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


def compact(lake: Lake, corpus: OneCorpus = None, dry_run: DryRun = False, json: Json = False) -> None:
    """Join small files: of each month of a corpus one sorted file a table. Queries are faster and find the same rows.

    Rows that later ones took the place of are kept: the history stays. Rows of unfinished commits go. The files of
    before stay until `mmer lake vacuum`.
    """
    from mmer_ray.lake.compaction import compact as compact_lake
    from mmer_ray.lake.store import Lake as LakeStore

    require_corpus(lake, corpus)
    done = compact_lake(LakeStore(lake), corpus, dry_run=dry_run)
    if json:
        print_json(_document(done, lake, dry_run))
        return
    if not done.parts and not done.rebuilt:
        say("nothing to do: every partition is one file")
        return
    tables = sorted({part.table for part in done.parts})
    rows = [
        (
            table,
            sum(part.table == table for part in done.parts),
            sum(len(p.files) for p in done.parts if p.table == table),
        )
        for table in tables
    ]
    would = "would be " if dry_run else ""
    if rows:
        print_table(("table", "partitions", "files"), rows)
    say(
        f"{count(done.num_files, 'file')} {would}joined to {len(done.parts):,}; "
        f"tables of dashboards {would}rebuilt for {count(len(done.rebuilt), 'month')} of a corpus"
    )


def _document(done: Compacted, lake: str, dry_run: bool) -> dict[str, Any]:
    return {
        "schema": "mmer.compact/1",
        "lake": lake,
        "dry_run": dry_run,
        "num_files": done.num_files,
        "partitions": [
            {
                "table": part.table,
                "corpus": part.corpus,
                "month": part.month,
                "num_files": len(part.files),
                "num_unfinished": part.num_torn,
                "num_bytes": sum(file.num_bytes for file in part.files),
            }
            for part in done.parts
        ],
        "rebuilt": [{"corpus": corpus, "month": month} for corpus, month in done.rebuilt],
    }

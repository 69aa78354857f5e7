"""`mmer lake retain`: what has reached its age is removed for good."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmer_ray.cli.lake_erase import DryRun, show_removed
from mmer_ray.cli.named_corpus import require_corpus
from mmer_ray.cli.options import Json, Lake
from mmer_ray.errors import UsageError

if TYPE_CHECKING:
    from mmer_ray.lake.retention import Policy

PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        metavar="FILE.toml",
        help='Ages per table: [default] and [corpus.NAME] with lines such as words = "90d".',
        show_default=False,
    ),
]
OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="DAYS", help="One age, such as 365d.", show_default=False)
]
OnlyCorpus = Annotated[
    str | None, typer.Option("--corpus", help="With --older-than: only this corpus.", show_default=False)
]
Tables = Annotated[
    list[str] | None,
    typer.Option("--table", help="With --older-than: only this table; may be repeated.", show_default=False),
]


def retain(
    lake: Lake,
    policy: PolicyFile = None,
    older_than: OlderThan = None,
    corpus: OnlyCorpus = None,
    table: Tables = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Remove rows older than an age, by the day of their recording: out of every table, older version and log.

    What has gone is not scored again; `mmer score --erased` does. The audio files themselves stay where they are.
    """
    rules = _policy(policy, older_than, corpus, table)
    from mmer_ray.lake.retention import retain as retain_rows
    from mmer_ray.lake.store import Lake as LakeStore

    require_corpus(lake, corpus)
    show_removed(retain_rows(LakeStore(lake), rules, dry_run=dry_run), lake, "mmer.retain/1", json, dry_run)


def _policy(file: Path | None, older_than: str | None, corpus: str | None, tables: list[str] | None) -> Policy:
    if (file is None) == (older_than is None):
        raise UsageError("give one of --policy FILE.toml and --older-than DAYS")
    from mmer_ray.lake.retention import Policy, age_in_days, read_policy, require_table

    if file is not None:
        if corpus is not None or tables:
            raise UsageError("--corpus and --table go with --older-than; a policy names corpora and tables itself")
        return read_policy(file)
    for name in tables or ():
        require_table(name, f"--table {name}")
    ages = dict.fromkeys(tables or ("recordings",), age_in_days(older_than, "--older-than"))
    return Policy(default=ages) if corpus is None else Policy(corpora={corpus: ages})

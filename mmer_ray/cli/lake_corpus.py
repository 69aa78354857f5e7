"""`mmer lake corpus`: the legal basis of a corpus, and whether its people were told."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from mmer_ray.cli.options import Json, Lake
from mmer_ray.cli.output import print_json, print_table, say
from mmer_ray.errors import UsageError

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[CORPUS]",
        help="The corpus that is stated about, or shown; left out: all are shown.",
        show_default=False,
    ),
]
LegalBasis = Annotated[
    str | None, typer.Option(metavar="TEXT", help="On what ground people are recorded and scored.", show_default=False)
]
NoticeGiven = Annotated[
    bool | None,
    typer.Option(
        "--notice-given/--no-notice-given",
        help="Whether they were told that their emotions are scored.",
        show_default=False,
    ),
]
Author = Annotated[str | None, typer.Option(help="Who states it; left out: your user name.", show_default=False)]


def corpus(
    lake: Lake,
    name: Name = None,
    legal_basis: LegalBasis = None,
    notice_given: NoticeGiven = None,
    author: Author = None,
    json: Json = False,
) -> None:
    """State the legal basis of a corpus and whether notice was given; without a corpus, show what is stated."""
    from mmer_ray.lake.corpus_facts import corpus_facts, state
    from mmer_ray.lake.queries import open_lake
    from mmer_ray.lake.store import Lake as LakeStore

    is_stated = legal_basis is not None or notice_given is not None
    if name is None and (is_stated or author is not None):
        raise UsageError("name the corpus that this is said of: `mmer lake corpus NAME --legal-basis TEXT`")
    if name is not None and is_stated:
        who = author or getpass.getuser()
        state(LakeStore(lake), name, legal_basis=legal_basis, notice_given=notice_given, author=who)
    with open_lake(lake) as reader:
        every = corpus_facts(reader)
    found = [one for one in every if name in (None, one.corpus)]
    if name is not None and not found:
        raise UsageError(f"{lake} has no corpus {name!r}; it has: {', '.join(one.corpus for one in every) or 'none'}")
    if json:
        rows = [
            {"corpus": one.corpus, "legal_basis": one.legal_basis, "notice_given": one.notice_given} for one in found
        ]
        print_json({"schema": "mmer.corpus_facts/1", "lake": lake, "corpora": rows})
        return
    if not found:
        say(f"{lake} has no corpus yet")
        return
    told = {True: "given", False: "not given", None: "not stated"}
    print_table(
        ("corpus", "legal basis", "notice"),
        [(one.corpus, one.legal_basis or "not stated", told[one.notice_given]) for one in found],
    )

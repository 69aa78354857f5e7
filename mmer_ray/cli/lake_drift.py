"""`mmer lake drift`: whether an emotion model's answers have drifted between two runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from mmer_ray.cli.last_lake import lake_to_read
from mmer_ray.cli.options import Json, LakeToRead, ScopeCorpus
from mmer_ray.cli.output import print_json, print_table, say

Before = Annotated[str, typer.Argument(metavar="RUN", help="The run_id of the earlier run.")]
After = Annotated[str, typer.Argument(metavar="RUN", help="That of the later one.")]
Scorer = Annotated[
    str | None, typer.Option(metavar="SCORER", help="Whose answers, where several models are.", show_default=False)
]


def drift(
    before: Before,
    after: After,
    lake: LakeToRead = None,
    scorer: Scorer = None,
    corpus: ScopeCorpus = None,
    json: Json = False,
) -> None:
    """Compare what a model answered in two runs by the population stability index; few answers get no verdict."""
    from mmer_ray.lake.drift import drift_between
    from mmer_ray.lake.queries import open_lake
    from mmer_ray.training.evaluation.drift import MIN_ANSWERS

    with open_lake(lake_to_read(lake)) as reader:
        found = drift_between(reader, before, after, scorer, corpus)
    if json:
        rows = [asdict(one) for one in found]
        print_json({"schema": "mmer.drift/1", "before": before, "after": after, "quantities": rows})
        return
    shown = [
        (one.quantity, one.num_before, one.num_after, f"{one.psi:.3f}", f"{one.by_chance:.3f}", one.verdict)
        for one in found
    ]
    print_table(("quantity", "before", "after", "PSI", "95 % of chance below", "verdict"), shown)
    if any(one.verdict == "too few" for one in found):
        say(f"too few: {MIN_ANSWERS} answers of each run are needed")

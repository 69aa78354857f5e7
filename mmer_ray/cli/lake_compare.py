"""`mmer lake compare`: two emotion models on the same utterances."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmer_ray.cli.last_lake import lake_to_read
from mmer_ray.cli.options import Json, LakeToRead, ScopeCorpus
from mmer_ray.cli.output import count, print_json, print_table, say

if TYPE_CHECKING:
    from mmer_ray.lake.comparison import Comparison

First = Annotated[str, typer.Argument(metavar="A", help="An emotion model that has answered in the lake.")]
Second = Annotated[str, typer.Argument(metavar="B", help="Another one.")]
Shown = Annotated[int, typer.Option("--limit", min=0, help="So many of the largest disagreements are shown.")]


def compare(
    first: First,
    second: Second,
    lake: LakeToRead = None,
    corpus: ScopeCorpus = None,
    limit: Shown = 10,
    json: Json = False,
) -> None:
    """Compare two emotion models: agreement, confusion, shift of labels and dimensions, largest disagreements."""
    from mmer_ray.lake.comparison import compare as compare_scorers
    from mmer_ray.lake.queries import open_lake

    with open_lake(lake_to_read(lake)) as reader:
        found = compare_scorers(reader, first, second, corpus, limit)
    if json:
        print_json({"schema": "mmer.compare/1", **asdict(found), "agreement": found.agreement})
    else:
        _show(found)


def _show(found: Comparison) -> None:
    say(f"A = {found.first}, B = {found.second}: {count(found.num_utterances, 'utterance')} that both were asked about")
    given = f"labelled by both {found.num_labelled}, by A alone {found.num_first_only}"
    say(f"{given}, by B alone {found.num_second_only}")
    if found.agreement is not None:
        kappa = "not defined" if found.kappa is None else f"{found.kappa:.3f}"
        say(f"agreement {found.agreement:.1%}, Cohen's kappa {kappa}", style="bold")
        _show_labels(found)
    for name, shift in found.shifts.items():
        say(f"{name}: B lies {shift.mean:+.3f} from A on average, over {count(shift.num_utterances, 'utterance')}")
    if found.mean_distance is not None:
        say(f"mean distance of probabilities (total variation) {found.mean_distance:.3f}")
    if found.disagreements:
        print_table(("distance", "A", "B", "at", "recording", "text"), [_row(one) for one in found.disagreements])


def _show_labels(found: Comparison) -> None:
    counts = [(label, *row) for label, row in zip(found.labels, found.confusion, strict=True)]
    print_table(("A \\ B", *found.labels), counts)
    shares = [(found.first_shares[label], found.second_shares[label]) for label in found.labels]
    rows = [
        (label, f"{one:.1%}", f"{other:.1%}", f"{100 * (other - one):+.1f} points")
        for label, (one, other) in zip(found.labels, shares, strict=True)
    ]
    print_table(("label", "A", "B", "shift"), rows)


def _row(one: Any) -> tuple[str, ...]:
    labels = (one.first_label or "-", one.second_label or "-")
    return (f"{one.distance:.3f}", *labels, f"{one.start_s:.2f} s", one.uri.rpartition("/")[2], one.text)

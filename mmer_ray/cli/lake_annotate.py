"""`mmer lake annotate`: labels that people gave, brought into a lake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmer_ray.cli.options import Json, Lake
from mmer_ray.cli.output import count, print_json, say

Labels = Annotated[Path, typer.Argument(metavar="TABLE", help="A .csv, .jsonl or .parquet file, a row for each label.")]
Rater = Annotated[
    str | None, typer.Option(help="Who labelled, where the table has no column rater.", show_default=False)
]


def annotate(table: Labels, lake: Lake, rater: Rater = None, json: Json = False) -> None:
    """Bring in what people heard: a label for each utterance and rater. Training and evaluation read them.

    Columns: label; recording_id or recording; utterance_idx or start_s; rater; valence, arousal, dominance (-1..1);
    channel (from 0), where utterances begin together; corpus, where several have the audio and heard it differently.
    All rows are taken or none is; a table that comes twice changes nothing.
    """
    from mmer_ray.lake.annotations import annotate as annotate_lake
    from mmer_ray.lake.store import Lake as LakeStore

    done = annotate_lake(LakeStore(lake), table, rater)
    if json:
        print_json({"schema": "mmer.annotate/1", "lake": lake, "num_new": done.num_new, "num_known": done.num_known})
        return
    say(f"{count(done.num_new, 'label')} brought in; {done.num_known:,} were there already")

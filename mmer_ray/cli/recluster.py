"""`mmer recluster`: the speakers of one recording, counted again."""

from __future__ import annotations

from typing import Annotated

import typer

from mmer_ray.cli.options import Json, Lake, RecordingName
from mmer_ray.cli.output import count, note, print_json, say
from mmer_ray.errors import UsageError

Speakers = Annotated[int | None, typer.Option(min=1, help="So many speakers.", show_default=False)]
MaxSpeakers = Annotated[int | None, typer.Option(min=1, help="At most so many speakers.", show_default=False)]
Threshold = Annotated[
    float | None,
    typer.Option(help="Distance above which two voices are two speakers, 0 to 2; smaller: more.", show_default=False),
]
Undo = Annotated[bool, typer.Option("--undo", help="Go back to the count of the job that scored it.")]


def recluster(
    recording: RecordingName,
    lake: Lake,
    speakers: Speakers = None,
    max_speakers: MaxSpeakers = None,
    threshold: Threshold = None,
    undo: Undo = False,
    json: Json = False,
) -> None:
    """Count a recording's speakers again, from the voices that the lake keeps: no sound, no models, in seconds.

    Words stay, and utterances with their emotions; who speaks changes, and the measures with it.
    """
    if sum((speakers is not None, max_speakers is not None, threshold is not None, undo)) != 1:
        raise UsageError("give one of --speakers N, --max-speakers N, --threshold X and --undo")
    if threshold is not None and not 0 < threshold < 2:
        raise UsageError(f"--threshold {threshold} is no distance between voices; give one between 0 and 2")
    from mmer_ray.lake.recluster import Recluster
    from mmer_ray.lake.recluster import recluster as recluster_one
    from mmer_ray.lake.store import Lake as LakeStore

    done = recluster_one(LakeStore(lake), recording, Recluster(speakers, max_speakers, threshold))
    if json:
        from dataclasses import asdict

        print_json({"schema": "mmer.recluster/1", "lake": lake, **asdict(done)})
        return
    before = f", before {done.num_speakers_before}" if done.num_files else ", as it was"
    say(f"{done.uri}: {count(done.num_speakers, 'speaker')}{before}")
    if done.num_edits_left:
        edits = count(done.num_edits_left, "edit")
        note(f"{edits} of its speakers (`mmer speakers`) stayed with the earlier count; --undo brings them back")

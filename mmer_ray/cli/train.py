"""`mmer train`: an emotion model from labelled speech, with what it does on speakers that it has not heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmer_ray.cli.exits import ExitCode
from mmer_ray.cli.interrupts import stop_on_signal
from mmer_ray.cli.measure_rows import measure_row
from mmer_ray.cli.options import CorpusClasses, Json, LabelledClasses, NoProgress, Quiet
from mmer_ray.cli.output import count, note, print_json, print_table, say, span
from mmer_ray.cli.streams import reserved_stdout
from mmer_ray.cli.training_progress import training_lines

if TYPE_CHECKING:
    from mmer_ray.runners.training_run import Finished

Family = Annotated[
    str, typer.Option("--family", metavar="FAMILY", help="The model family to train; `mmer models list` prints them.")
]
Size = Annotated[
    str | None,
    typer.Option(
        help="A named size of the family; left out: tiny, or whisper-tiny of frozen_encoder.", show_default=False
    ),
]
Data = Annotated[Path, typer.Option("--data", metavar="DIR|FILE", help="A corpus in its own layout, or a manifest.")]
Kind = Annotated[
    str | None, typer.Option(help="The layout of --data; found by its files if left out.", show_default=False)
]
Into = Annotated[
    Path | None,
    typer.Option(
        "--into",
        metavar="DIR",
        help="A new folder for the run, or one to go on with; left out: runs/FAMILY-SIZE.",
        show_default=False,
    ),
]
Protocol = Annotated[
    str,
    typer.Option(
        help="How speakers are dealt to folds: kfold, kfold3, loso, loso5, loso5-4train, loso10, session5, partitions, "
        "emobox-..."
    ),
]
Workers = Annotated[int, typer.Option(min=1, help="Processes that train one model together.")]
Seeds = Annotated[
    list[int] | None,
    typer.Option(
        "--seed", min=0, help="Random seed; repeat it to train every fold with each. Default 0.", show_default=False
    ),
]
RecipeSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="key=value", help="Change one key of the recipe; may be repeated."),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        "--encoder", metavar="NAME", help="A pretrained Whisper that reads the sound, frozen.", show_default=False
    ),
]
TextEncoder = Annotated[
    str | None,
    typer.Option(
        "--text-encoder",
        metavar="NAME",
        help="A pretrained text encoder that reads the transcript, frozen.",
        show_default=False,
    ),
]
Oracle = Annotated[
    bool, typer.Option("--oracle", help="Choose checkpoints on the test set. Scores are too high; reports say so.")
]


def train(
    family: Family,
    data: Data,
    into: Into = None,
    size: Size = None,
    kind: Kind = None,
    classes: LabelledClasses = CorpusClasses.FOUR,
    protocol: Protocol = "kfold",
    workers: Workers = 1,
    seeds: Seeds = None,
    settings: RecipeSettings = None,
    encoder: Encoder = None,
    text_encoder: TextEncoder = None,
    oracle: Oracle = False,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Train an emotion model on labelled speech, and measure models trained alike on speakers not heard.

    Every fold of every seed is a training of its own; the model in DIR/model is then trained on all speakers. The same
    command goes on where it was stopped.
    """
    from mmer_ray.runners import training_run
    from mmer_ray.training.family_recipes import default_size, recipe_asked
    from mmer_ray.training.fresh_model import Architecture
    from mmer_ray.training.run import Asked

    architecture = Architecture(family, size or default_size(family), encoder, text_encoder)
    chosen = tuple(seeds or (0,))
    recipe = recipe_asked(architecture, settings or (), chosen[0])
    asked = Asked(architecture, recipe, str(data), kind, classes.value, protocol, chosen, oracle)
    into = into or Path("runs") / f"{family}-{architecture.size}"
    shows = not (quiet or no_progress)
    with stop_on_signal() as stop, reserved_stdout():
        tell = training_lines(note) if shows else None
        finished = training_run.run(asked, into, workers, note=_noter(quiet), on_progress=tell, stop=stop)
    if json:
        found = finished.evaluation
        evaluation = None if found is None else asdict(found)
        document = {"into": str(into), **asdict(finished.trained), "evaluation": evaluation}
        print_json({"schema": "mmer.train/1", **document})
    else:
        _show(finished, into)
    if finished.trained.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _noter(quiet: bool) -> Callable[[str], None]:
    def tell(line: str) -> None:
        if not quiet:
            note(line, style="yellow")

    return tell


def _show(finished: Finished, into: Path) -> None:
    trained, found = finished.trained, finished.evaluation
    for line in finished.leaks:
        say(line)
    say(
        f"{count(trained.num_trained, 'training')} in {span(trained.wall_s)}, {trained.num_done_before} done before",
        style="bold",
    )
    if found is not None:
        print_table(("measure", "value", "95 %"), [measure_row(name, one) for name, one in found.metrics.items()])
        for line in found.notes:
            say(line, style="yellow")
    if trained.interrupted:
        say("interrupted: the same command goes on from here")
    else:
        say(f"report: {into}/report.md")
        say(f"score with it: mmer score SOURCE --lake DIR --set emotion.model={into}/model")

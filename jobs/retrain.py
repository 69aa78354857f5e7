"""Retrains an emotion model and lets a lake follow it: train, evaluate, promote, rescore, activate.

    python jobs/retrain.py --data CORPUS --lake LAKE --into WORK --family mmer --floor 0.6
    python jobs/retrain.py --demo --into WORK

Each step asks what is there already: the same command, nightly or after a kill, does what is not done yet. Other data
are another run below WORK. A model that the gate refuses leaves the lake as it is (exit code 3; the others are those of
`mmer`). `--demo` scores the synthetic calls that come with the package, trains on their truth and rescores them, in a
lake and a registry below WORK; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

from mmer_ray.cli.demo import CHANNEL_ROLES, CORPUS
from mmer_ray.cli.exits import ExitCode, explain
from mmer_ray.cli.interrupts import stop_on_signal
from mmer_ray.cli.streams import prepare_streams, reserved_stdout
from mmer_ray.cli.training_progress import training_lines
from mmer_ray.demo.labelled import write_labels
from mmer_ray.demo.truth import CALLS, MANIFEST_NAME, read_truth
from mmer_ray.models.registered import REGISTRY_VARIABLE
from mmer_ray.profiles import load_profile
from mmer_ray.runner import Runner
from mmer_ray.runners import job
from mmer_ray.runners.retrain import Ended, Retraining, Watch, retrain
from mmer_ray.training.family_recipes import default_size, recipe_asked
from mmer_ray.training.fresh_model import Architecture
from mmer_ray.training.registry.gate import read_gate
from mmer_ray.training.registry.registry import Registry
from mmer_ray.training.run import Asked

DEFAULT_FAMILY = "late_fusion"
EXITS = {Ended.INTERRUPTED: ExitCode.INTERRUPTED, Ended.REFUSED: ExitCode.SOME_FAILED, Ended.LEFT: ExitCode.SOME_FAILED}
DEMO_FLOOR = 0.35
"""Of four classes: chance is 0.25."""
DEMO_PROTOCOL, DEMO_SETTINGS = "kfold3", ("num_epochs=20",)
"""Short trainings: the demo is about the loop. UA was 0.43 when this was written."""


def main() -> int:
    """Run the loop; returns the exit code."""
    options = parse()
    try:
        prepare_streams()
        with stop_on_signal() as stop, reserved_stdout():
            if options.demo:
                prepare_demo(options, stop)
            found = retrain(retraining(options), Watch(log, stop, on_training=training_lines(log)))
    except BaseException as error:
        return explain(error, debug=False)
    print(f"{found.ended}: {found.run}")
    return EXITS.get(found.ended, ExitCode.DONE)


def retraining(options: argparse.Namespace) -> Retraining:
    """What the options ask for."""
    seeds = tuple(options.seed or (0,))
    architecture = Architecture(options.family, options.size or default_size(options.family))
    recipe = recipe_asked(architecture, options.set, seeds[0])
    gate = {"floor": options.floor, "margin": options.margin, "metric": options.metric}
    return Retraining(
        asked=Asked(
            architecture,
            recipe,
            str(options.data.absolute()),
            kind=options.kind,
            classes=options.classes,
            protocol=options.protocol or "kfold",
            seeds=seeds,
        ),
        into=options.into,
        lake=str(options.lake),
        gate=read_gate(Registry().gate_file, gate),
        name=options.name,
        num_workers=options.workers,
        runner=Runner(options.runner),
        max_left=options.max_left,
    )


def prepare_demo(options: argparse.Namespace, stop: threading.Event) -> None:
    """Score the calls of the demo and write down their truth, unless that is done."""
    os.environ.setdefault(REGISTRY_VARIABLE, str(options.into.absolute() / "registry"))
    options.into.mkdir(parents=True, exist_ok=True)
    options.lake, options.data = options.into / "lake", options.into / "demo.csv"
    options.floor = DEMO_FLOOR if options.floor is None else options.floor
    options.protocol = options.protocol or DEMO_PROTOCOL
    options.set = [*DEMO_SETTINGS, *options.set] if options.family == DEFAULT_FAMILY else options.set
    write_labels(options.data, read_truth())
    profile = load_profile("synthetic", [CHANNEL_ROLES, f"run.runner={options.runner}"])
    source = str(CALLS / MANIFEST_NAME)
    report = job.run(job.JobOptions((source,), str(options.lake), profile, CORPUS), stop=stop)
    log(f"score: {report.num_scored} calls scored; those scored before are not counted")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", action="store_true", help="on the synthetic calls that come with the package")
    parser.add_argument("--data", type=Path, help="labelled speech, as of `mmer train`")
    parser.add_argument("--lake", help="the lake that shall follow, a folder or s3:// prefix")
    parser.add_argument("--into", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--kind", help="the layout of --data; found by its files if left out")
    parser.add_argument("--classes", default="four", choices=("four", "own"), help="as of `mmer train`")
    parser.add_argument("--family", default=DEFAULT_FAMILY, help="as of `mmer train`")
    parser.add_argument("--size", help="as of `mmer train`")
    parser.add_argument("--protocol", help="how speakers are dealt to folds; left out: kfold")
    parser.add_argument("--seed", type=int, action="append", help="may be repeated; 0 unless named")
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="a key of the recipe")
    parser.add_argument("--workers", type=int, default=1, help="processes that train one model together")
    parser.add_argument("--runner", default=Runner.AUTO, choices=list(Runner), help="of the rescore")
    parser.add_argument("--name", help="of the model in the registry; family and digest unless given")
    parser.add_argument(
        "--floor", type=float, help="the least value of the metric; left out: as the registry's gate.toml says"
    )
    parser.add_argument("--margin", type=float, help="how much worse than the active model it may be; left out: 0.01")
    parser.add_argument("--metric", help="what both are about; left out: ua")
    parser.add_argument("--max-left", type=float, default=0.0, help="share of recordings that may stay without answers")
    options = parser.parse_args()
    if options.demo and (options.data is not None or options.lake is not None):
        parser.error("--demo has data and a lake of its own: leave --data and --lake out")
    if not options.demo and (options.data is None or options.lake is None):
        parser.error("name --data and --lake, or --demo")
    return options


def log(line: str) -> None:
    """Say something on stderr."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Makes the embedded models from nothing: `python jobs/train_embedded.py --cache DIR --stage all`."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path

from mmer_ray.training.embedded_ctc import CtcTraining, train_ctc
from mmer_ray.training.embedded_mmer import MmerRecipe, train_mmer
from mmer_ray.training.embedded_speaker import SpeakerTraining, train_speaker
from mmer_ray.training.synthetic import SyntheticSet, synthesise

ASSETS = Path(__file__).parents[1] / "mmer_ray" / "assets"
STAGES = ("synth", "ctc", "speaker", "mmer")
DEFAULT_MINUTES = {"ctc": 70.0, "speaker": 12.0, "mmer": 22.0}


def main() -> None:
    """Run the stages that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path(".cache/embedded"), help="where the speech and states go")
    parser.add_argument("--stage", choices=(*STAGES, "all"), default="all")
    parser.add_argument("--minutes", type=float, help="budget of the stage, instead of its default")
    parser.add_argument("--assets", type=Path, default=ASSETS, help="where the models go")
    options = parser.parse_args()
    for stage in STAGES if options.stage == "all" else (options.stage,):
        minutes = options.minutes or DEFAULT_MINUTES.get(stage, 0.0)
        run_stage(stage, options.cache, options.assets, minutes)


def run_stage(stage: str, cache: Path, assets: Path, minutes: float) -> None:
    """Run one stage within its minutes."""
    log(f"stage {stage}")
    if stage == "synth":
        synthesise(cache, SyntheticSet())
    elif stage == "ctc":
        train_ctc(cache, assets / "ctc", CtcTraining(minutes=minutes), log)
    elif stage == "speaker":
        train_speaker(cache, assets / "speaker", SpeakerTraining(minutes=minutes), log)
    elif stage == "mmer":
        train_mmer(cache, assets / "ctc", assets / "mmer", MmerRecipe(minutes=minutes), log)


def log(line: str) -> None:
    """Say something on stderr with the time."""
    print(f"{datetime.now():%H:%M:%S} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

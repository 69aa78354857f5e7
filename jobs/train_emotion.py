"""Trains an emotion model on your folder of acted speech, in minutes on two cores.

    python jobs/train_emotion.py --data RAVDESS --into FOLDER
    mmer score SOURCE --lake DIR --set emotion.model=FOLDER

RAVDESS, CREMA-D and EmoDB are known by their files' names (four feelings: neutral with calm, happy, sad, angry).
A small head is trained on the middle layers of a frozen Whisper encoder, which the new folder names with its digest and
does not hold; `--recipe with_text` reads the words too, where the corpus has them, with MiniLM. It prints what folds
over the speakers say of strangers. A model knows the voices, the language and the acting it was trained on; the licence
of the data binds what is made of it.

The model that comes with mmer_ray, on EmoDB (CC0) alone:

    python jobs/train_emotion.py --recipe shipped --data EMODB --test RAVDESS --into mmer_ray/assets/frozen_encoder
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from mmer_ray.models.families import save_emotion_model
from mmer_ray.models.layout import CARD_NAME
from mmer_ray.training.datasets import read_corpus
from mmer_ray.training.emotion_head import card_of, measure_on, train_emotion_head
from mmer_ray.training.emotion_recipes import DEFAULT_ENCODER, RECIPES
from mmer_ray.training.features import default_folder


def main() -> None:
    """Train, write, and say what was measured."""
    options = parse()
    if options.into.exists() and any(options.into.iterdir()) and not options.overwrite:
        raise SystemExit(f"{options.into} is not empty: name a new folder, or add --overwrite")
    recipe = RECIPES[options.recipe]
    clips = read_corpus(options.data)
    log(f"{len(clips)} clips of {len({clip.speaker for clip in clips})} speakers")
    trained = train_emotion_head(
        clips, recipe.config, options.encoder, recipe.head, log, recipe.text_name, options.features
    )
    others = {path.name: measure_on(trained.model, read_corpus(path)) for path in options.test}
    for name, heard in others.items():
        log(f"{name}, not trained on: {heard}")
    save_emotion_model(options.into, trained.model, None, torch.float16)
    card = card_of(trained, clips, options.data.name, others)
    (options.into / CARD_NAME).write_text(card, encoding="utf-8")
    log(f"trained in {trained.seconds:.0f} s; mmer score SOURCE --lake DIR --set emotion.model={options.into}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of RAVDESS, CREMA-D or EmoDB")
    parser.add_argument("--into", type=Path, required=True, help="folder of the new model")
    parser.add_argument(
        "--test", type=Path, action="append", default=[], help="a corpus to measure on, never trained on"
    )
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="adapted", help="how it is trained")
    parser.add_argument(
        "--encoder", default=DEFAULT_ENCODER, help="a Whisper in CTranslate2's format, as a profile names it"
    )
    parser.add_argument(
        "--features",
        type=Path,
        default=default_folder(),
        help="keeps what the encoder makes of each sound, for the next training on it",
    )
    parser.add_argument("--overwrite", action="store_true", help="write into a folder that is not empty")
    return parser.parse_args()


def log(line: str) -> None:
    """Say something on stderr."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

"""How well does each emotion family, at its tiny size and from fresh weights, learn feelings of real acted speech?

Four feelings (neutral with calm, happy, sad, angry) of the speech in RAVDESS (Livingstone and Russo 2018), in folds
over its actors: nobody is heard in training and in test. All actors say the same two sentences in every feeling, so
that the voice alone tells; the sentence is given as text all the same, as the families read one.

    python benchmarks/families_on_ravdess.py --data RAVDESS [--family mmer ...] [--jobs 1] [--out figures.json]
    python benchmarks/families_on_ravdess.py --data RAVDESS --test OTHER_ACTORS

UA is the mean of the recalls per class; its mean and standard deviation are over folds, WA and the confusion matrix
over all test clips together. Seconds are of one processor core, for one fold.

`frozen_encoder` stands on a pretrained encoder (Whisper tiny.en, --encoder), which the others do not have; it is
measured twice, each clip judged by itself and, as `frozen_encoder:speaker`, with the means over the speaker's other
clips taken away; asked for by name, `frozen_encoder:text` reads the sentence with MiniLM beside. Its seconds include
the encoding of all clips, which a process does once for all folds of a head with the same encoders.

Tuned on what: another partition of actors 1 to 12 (--seed 1): the learning rate and front-end of `mmer`, which
`mmer_v1` and `bridge_tokens` share but for the norm, tried in two layouts; the size and recipe of `late_fusion`; the
learning rate of `leaf_transformer`; the variation of clips that all share. For a figure that no choice has seen, use
--test with other actors.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import accuracy_score, confusion_matrix

from mmer_ray.models import families
from mmer_ray.models.audio_classification.config import FAMILY as AUDIO_CLASSIFICATION
from mmer_ray.models.family_names import FAMILIES
from mmer_ray.models.frozen_encoder import checkpoint as frozen_checkpoint
from mmer_ray.models.frozen_encoder.config import FAMILY as FROZEN_ENCODER
from mmer_ray.training import frozen_encoder
from mmer_ray.training.corpora import ravdess
from mmer_ray.training.corpora.ravdess import SENTENCES
from mmer_ray.training.datasets import LabelledClip, read_ravdess, sexes
from mmer_ray.training.embedded_text import train_tokenizer
from mmer_ray.training.emotion_recipes import ADAPTED, ALONE, DEFAULT_ENCODER, WITH_TEXT, EmotionRecipe
from mmer_ray.training.encoded_clips import EncodedClip, encode
from mmer_ray.training.family_recipes import recipe_of as family_recipe
from mmer_ray.training.fit import fit
from mmer_ray.training.folds import Fold, deal_speakers, split
from mmer_ray.training.kept_clips import KeptClips
from mmer_ray.training.material import Material
from mmer_ray.training.metrics import unweighted_accuracy
from mmer_ray.training.predict import predict
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.utterances import Utterance

SIZE = "tiny"
VOCAB_SIZE = 300
"""Of every family's tiny text encoder."""
HEADS: Mapping[str, EmotionRecipe] = {
    FROZEN_ENCODER: ALONE,
    f"{FROZEN_ENCODER}:speaker": ADAPTED,
    f"{FROZEN_ENCODER}:text": WITH_TEXT,
}
"""Heads on a frozen encoder, which are trained on features."""
TRAINED = [
    *(family for family in FAMILIES if family not in (AUDIO_CLASSIFICATION, FROZEN_ENCODER)),
    *(name for name, recipe in HEADS.items() if recipe.text_name is None),
]
"""The families that are asked for nothing else; an adapter of foreign checkpoints has nothing of its own to learn."""
LABELS = ("neutral", "happy", "sad", "angry")
"""Order of all figures; a family may order its classes otherwise."""


@dataclass(frozen=True)
class Task:
    """One training and its test: what a process is asked to do."""

    family: str
    data: Path
    other: Path | None
    """Folder of the test; None: fold `fold` of `data`."""
    num_folds: int
    fold: int
    seed: int
    encoder: str
    """Of the families in `HEADS`, a model's name."""


@dataclass(frozen=True)
class Answer:
    """What a trained model made of its test clips."""

    family: str
    fold: int
    num_parameters: int
    seconds: float
    truth: list[int]
    """Index into `LABELS`."""
    guesses: list[int]


@dataclass(frozen=True)
class Figures:
    """What one family's folds come to."""

    family: str
    ua_of_folds: list[float]
    ua_mean: float
    ua_sd: float
    """Of the sample of folds; 0 of one."""
    ua_pooled: float
    """Of all test clips together."""
    wa: float
    """Of all test clips together."""
    confusion: list[list[int]]
    """Rows: truth; columns: guess; both in the order of `LABELS`."""
    seconds_per_fold: float
    num_parameters: int

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> Figures:
        truth = np.array([label for answer in answers for label in answer.truth])
        guesses = np.array([label for answer in answers for label in answer.guesses])
        uas = [unweighted_accuracy(np.array(answer.truth), np.array(answer.guesses)) for answer in answers]
        return cls(
            family=answers[0].family,
            ua_of_folds=uas,
            ua_mean=float(np.mean(uas)),
            ua_sd=float(np.std(uas, ddof=1)) if len(uas) > 1 else 0.0,
            ua_pooled=unweighted_accuracy(truth, guesses),
            wa=float(accuracy_score(truth, guesses)),
            confusion=confusion_matrix(truth, guesses, labels=range(len(LABELS))).tolist(),
            seconds_per_fold=float(np.mean([answer.seconds for answer in answers])),
            num_parameters=answers[0].num_parameters,
        )


def main() -> None:
    """Train, test and print."""
    arguments = parse()
    if arguments.data is None:
        print("no RAVDESS speech given (--data FOLDER with Actor_NN/*.flac or .wav): nothing is measured")
        return
    print(describe(arguments.test or arguments.data), flush=True)
    num_folds = 1 if arguments.test else arguments.folds
    tasks = [
        Task(family, arguments.data, arguments.test, num_folds, fold, arguments.seed, arguments.encoder)
        for family in arguments.family
        for fold in range(num_folds)
    ]
    answers: dict[str, list[Answer]] = defaultdict(list)
    # One thread each: small models gain nothing from two, and two trainings do.
    setup = {"initializer": torch.set_num_threads, "initargs": (1,)}
    with ProcessPoolExecutor(arguments.jobs, get_context("spawn"), **setup) as processes:
        for answer in processes.map(solve, tasks):
            answers[answer.family].append(answer)
            if len(answers[answer.family]) == num_folds:
                print(report(Figures.of(answers[answer.family])), flush=True)
    if arguments.out:
        arguments.out.write_text(as_json(answers))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with Actor_NN/*.flac or .wav")
    parser.add_argument("--test", type=Path, help="train on all of --data, test on all of this folder: no folds")
    parser.add_argument("--family", nargs="+", choices=sorted({*TRAINED, *HEADS}), default=TRAINED)
    parser.add_argument(
        "--encoder", default=DEFAULT_ENCODER, help="the Whisper under frozen_encoder, as a profile names it"
    )
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--jobs", type=int, default=cores, help="trainings at a time, one thread each; one per core")
    parser.add_argument("--out", type=Path, help="JSON file for all figures")
    return parser.parse_args()


def describe(tested: Path) -> str:
    """Say what is tested and what knowing nothing would score."""
    clips = read(tested)
    counts = Counter(clip.label for clip in clips)
    return (
        f"{len(clips)} test clips of {len(sexes(clips))} actors; always the commonest class: "
        f"UA {1 / len(counts):.3f}, WA {max(counts.values()) / len(clips):.3f}"
    )


@cache
def read(folder: Path) -> list[LabelledClip]:
    return read_ravdess(folder)


def fold_of(task: Task) -> Fold:
    clips = read(task.data)
    if task.other is None:
        return split(clips, deal_speakers(sexes(clips), task.num_folds, task.seed)[task.fold])
    other = read(task.other)
    if shared := sorted(set(sexes(clips)) & set(sexes(other))):
        raise SystemExit(f"actors {', '.join(shared)} are in both folders: the test would not be of strangers")
    return Fold(clips, other)


def utterances_of(task: Task, fold: Fold) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...]]:
    """The fold's utterances, whose sounds are read when they are needed: of the training, of the test."""
    known = [one for folder in (task.data, task.other) if folder for one in ravdess.read(folder, "four").utterances]
    train, test = ({clip.speaker for clip in part} for part in fold)
    return tuple(one for one in known if one.speaker in train), tuple(one for one in known if one.speaker in test)


def recipe_of(family: str) -> Recipe | EmotionRecipe:
    return HEADS.get(family) or family_recipe(family, SIZE)


def solve(task: Task) -> Answer:
    """Train one family on one fold's training clips and ask it about the others."""
    fold = fold_of(task)
    if task.family in HEADS:
        return solve_head(task, fold)
    recipe = family_recipe(task.family, SIZE)
    recipe = replace(recipe, seed=recipe.seed + 1_000 * task.seed + task.fold)
    tokenizer = train_tokenizer(SENTENCES.values(), VOCAB_SIZE)
    train, test = utterances_of(task, fold)
    started = time.process_time()
    torch.manual_seed(recipe.seed)
    model = families.build(task.family, SIZE)
    load = KeptClips()
    material = Material(train, (), model.labels, load, tokenizer)
    with TemporaryDirectory() as states:
        trained = fit(model, families.terms_of(task.family), material, recipe, Path(states)).model
    guesses = predict(trained, test, load, tokenizer).logits.argmax(axis=1)
    return Answer(
        family=task.family,
        fold=task.fold,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        seconds=time.process_time() - started,
        truth=[LABELS.index(clip.label) for clip in fold.test],
        guesses=[LABELS.index(model.labels[number]) for number in guesses],
    )


def solve_head(task: Task, fold: Fold) -> Answer:
    """The same for a head on a frozen encoder; the test clips of an actor are one dialogue."""
    recipe = HEADS[task.family]
    assert not recipe.head.num_variations, "each clip is encoded once, for all folds"
    head = replace(recipe.head, seed=recipe.head.seed + 1_000 * task.seed + task.fold)
    folders = [folder for folder in (task.data, task.other) if folder is not None]
    encodings = [encode_folder(folder, task.encoder, recipe.text_name) for folder in folders]
    encoded = {
        id(clip): one for encoding in encodings for clip, one in zip(encoding.clips, encoding.encoded, strict=True)
    }
    started = time.process_time()
    torch.manual_seed(head.seed)
    model = frozen_checkpoint.on_encoder(recipe.config, task.encoder, recipe.text_name)
    trained = frozen_encoder.train_head(model, [encoded[id(clip)] for clip in fold.train], head)
    guesses = frozen_encoder.logits_of(trained, [encoded[id(clip)] for clip in fold.test]).argmax(dim=1).tolist()
    return Answer(
        family=task.family,
        fold=task.fold,
        num_parameters=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        seconds=time.process_time() - started + sum(encoding.seconds for encoding in encodings),
        truth=[LABELS.index(clip.label) for clip in fold.test],
        guesses=[LABELS.index(model.labels[number]) for number in guesses],
    )


class Encoding(NamedTuple):
    """All clips of a folder, encoded, and the processor's seconds that it took."""

    clips: list[LabelledClip]
    encoded: list[EncodedClip]
    seconds: float


@cache
def encode_folder(folder: Path, encoder: str, text_name: str | None) -> Encoding:
    """Encode a folder once in a process: all heads mix the same layers."""
    started = time.process_time()
    clips = read(folder)
    encoded = encode(frozen_checkpoint.on_encoder(ALONE.config, encoder, text_name), clips)
    return Encoding(clips, encoded, time.process_time() - started)


def report(figures: Figures) -> str:
    """Write one family's figures for reading."""
    folds = " ".join(f"{ua:.3f}" for ua in figures.ua_of_folds)
    spread = f" ± {figures.ua_sd:.3f} (folds {folds})" if len(figures.ua_of_folds) > 1 else ""
    lines = [
        f"{figures.family}: UA {figures.ua_mean:.3f}{spread}, WA {figures.wa:.3f}, "
        f"{figures.seconds_per_fold:.0f} s a fold, {figures.num_parameters:,} parameters",
        f"  {'true, guessed':14}" + "".join(f"{label:>9}" for label in LABELS),
    ]
    for label, row in zip(LABELS, figures.confusion, strict=True):
        lines.append(f"  {label:14}" + "".join(f"{count:9d}" for count in row))
    return "\n".join(lines)


def as_json(answers: Mapping[str, Sequence[Answer]]) -> str:
    """Write all families' figures, with the recipes that they come from, for a machine."""
    table = {
        family: {**asdict(Figures.of(theirs)), "recipe": asdict(recipe_of(family))}
        for family, theirs in answers.items()
    }
    return json.dumps(table, indent=2) + "\n"


if __name__ == "__main__":
    main()

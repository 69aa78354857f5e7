"""Trains the embedded transcriber from the synthetic set, within a budget of minutes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
import torch
from torch import Tensor

from mmer_ray.demo.grammar import Split
from mmer_ray.models.ctc import bigrams, checkpoint
from mmer_ray.models.ctc.config import SIZES
from mmer_ray.models.ctc.losses import mean_ctc_loss, pad_targets
from mmer_ray.models.ctc.model import CtcModel, greedy_texts
from mmer_ray.models.ctc.vocabulary import to_symbols
from mmer_ray.models.wav2vec2 import pad_batch
from mmer_ray.training.learner import Learner, backward_of
from mmer_ray.training.mixtures import Example, Mixer, MixtureRecipe, Spoken, cut_batches
from mmer_ray.training.prefetch import prefetch
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.schedule import WARM_UP_SHARE
from mmer_ray.training.sittings import Log, Sittings
from mmer_ray.training.synthetic import read_manifest, read_speech

STATES_NAME = "ctc_states"


@dataclass(frozen=True)
class CtcTraining:
    """The recipe."""

    size: str = "tiny"
    minutes: float = 40.0
    batch_s: float = 24.0
    """Padded seconds of speech in a step."""
    peak_rate: float = 8e-4
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0
    bfloat16: bool = True
    """Matrix work in bfloat16: 1.4 times the throughput on a CPU with avx512_bf16."""
    minutes_between_checks: float = 5.0
    num_check_utterances: int = 150
    seed: int = 1
    num_threads: int = 1
    """More gain little at this size, and a second core is needed to mix speech."""

    def for_learner(self) -> Recipe:
        """What of it concerns a step."""
        return Recipe(
            peak_rate=self.peak_rate,
            warm_up_share=WARM_UP_SHARE,
            betas=(0.9, 0.98),
            weight_decay=self.weight_decay,
            max_gradient_norm=self.max_gradient_norm,
            average_decay=None,
            precision="bfloat16" if self.bfloat16 else "float32",
            seed=self.seed,
        )


def train_ctc(cache: Path, target: Path, recipe: CtcTraining, log: Log) -> None:
    """Train, checking on unseen voices and sentences as it goes, and write the model to `target`.

    An interrupted run goes on from `cache/ctc_states`.
    """
    torch.set_num_threads(recipe.num_threads)
    torch.manual_seed(recipe.seed)
    model = CtcModel(SIZES[recipe.size])
    learner: Learner[list[Example]] = Learner(model, _loss, recipe.for_learner(), backward_of)
    sittings = Sittings(learner, recipe.minutes, cache / STATES_NAME, f"ctc, size {recipe.size}")
    mixer = Mixer(load_spoken(cache, "train"), MixtureRecipe(), np.random.default_rng(recipe.seed + learner.num_steps))
    checks = check_sets(load_spoken(cache, "validation")[: recipe.num_check_utterances])

    def check() -> str:
        return ", ".join(f"WER {name} {evaluate(model, examples):.3f}" for name, examples in checks.items())

    batches = prefetch(mixer.batches(recipe.batch_s))
    sittings.train(batches, recipe.minutes_between_checks, check, log)
    checkpoint.save(model, target)
    bigrams.save(bigrams.count_bigrams(line.text for line in read_manifest(cache, "train")), target)
    for name, examples in check_sets(load_spoken(cache, "validation")).items():
        log(f"final WER, {name}, {len(examples)} examples: {evaluate(checkpoint.load(target), examples):.4f}")


def load_spoken(cache: Path, split: Split) -> list[Spoken]:
    """Read a split into memory."""
    lines = read_manifest(cache, split)
    return [Spoken(read_speech(cache, line), line.text, line.speaker) for line in lines]


def check_sets(utterances: list[Spoken]) -> dict[str, list[Example]]:
    """Fix validation examples: single clean utterances, and as many drawn with the training's own mixtures."""
    clean = MixtureRecipe(count_weights=(1.0,), clean=1.0)
    sets = {"clean": clean, "augmented": MixtureRecipe(clean=0.0)}
    mixers = {name: Mixer(utterances, recipe, np.random.default_rng(7)) for name, recipe in sets.items()}
    return {name: [mixer.draw() for _ in utterances] for name, mixer in mixers.items()}


def evaluate(model: CtcModel, examples: list[Example], batch_s: float = 60.0) -> float:
    """Return the word error rate of greedy decoding."""
    model.eval()
    references: list[str] = []
    hypotheses: list[str] = []
    with torch.inference_mode():
        for batch in cut_batches(examples, batch_s):
            hypotheses += greedy_texts(*model(*pad_batch([example.samples for example in batch])))
            references += [example.text for example in batch]
    return float(jiwer.wer(references, hypotheses))


def _loss(model: CtcModel, batch: list[Example]) -> Tensor:
    logits_BTV, num_frames_B = model(*pad_batch([example.samples for example in batch]))
    return mean_ctc_loss(logits_BTV, num_frames_B, pad_targets([to_symbols(example.text) for example in batch]))

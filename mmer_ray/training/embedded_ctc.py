"""Trains the embedded transcriber from the synthetic set, within a budget of minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
import torch

from mmer_ray.demo.grammar import Split
from mmer_ray.models.ctc import bigrams, checkpoint
from mmer_ray.models.ctc.config import SIZES
from mmer_ray.models.ctc.losses import mean_ctc_loss, pad_targets
from mmer_ray.models.ctc.model import CtcModel, greedy_texts
from mmer_ray.models.ctc.vocabulary import to_symbols
from mmer_ray.models.wav2vec2 import pad_batch
from mmer_ray.training.mixtures import Example, Mixer, MixtureRecipe, Spoken, cut_batches
from mmer_ray.training.prefetch import prefetch
from mmer_ray.training.schedule import Clock, Schedule
from mmer_ray.training.synthetic import read_manifest, read_speech

Log = Callable[[str], None]


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


def train_ctc(cache: Path, target: Path, recipe: CtcTraining, log: Log) -> None:
    """Train, checking on unseen voices and sentences as it goes, and write the model to `target`.

    An interrupted run goes on from `cache/ctc_resume.pt`.
    """
    torch.set_num_threads(recipe.num_threads)
    torch.manual_seed(recipe.seed)
    trainer = _Trainer(CtcModel(SIZES[recipe.size]), recipe, cache / "ctc_resume.pt")
    mixer = Mixer(load_spoken(cache, "train"), MixtureRecipe(), np.random.default_rng(recipe.seed + trainer.num_steps))
    checks = check_sets(load_spoken(cache, "validation")[: recipe.num_check_utterances])
    trainer.run(prefetch(mixer.batches(recipe.batch_s)), checks, log)
    checkpoint.save(trainer.model, target)
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


class _Trainer:
    """The loop and what it must remember to be resumed."""

    def __init__(self, model: CtcModel, recipe: CtcTraining, resume_path: Path) -> None:
        self.model = model
        self.recipe = recipe
        self.resume_path = resume_path
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=recipe.peak_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
        )
        self.num_steps = 0
        self.clock = Clock()
        if resume_path.exists():
            self._restore()

    def run(self, batches: Iterator[list[Example]], checks: dict[str, list[Example]], log: Log) -> None:
        """Step until the budget is spent."""
        schedule = Schedule(self.recipe.minutes * 60, self.recipe.peak_rate)
        next_check_s = self.clock.spent_s + 60
        heard_s, losses, began = 0.0, [], time.monotonic()
        while self.clock.spent_s < schedule.budget_s:
            batch = next(batches)
            losses.append(self._step(batch, schedule.rate(self.clock.spent_s)))
            heard_s += sum(len(example.samples) for example in batch) / 16_000
            if self.clock.spent_s > next_check_s:
                speed = heard_s / (time.monotonic() - began)
                scores = {name: evaluate(self.model, examples) for name, examples in checks.items()}
                rates = ", ".join(f"WER {name} {rate:.3f}" for name, rate in scores.items())
                log(
                    f"{self.clock.spent_s / 60:.1f} min, step {self.num_steps}, loss {np.mean(losses):.3f}, "
                    f"{speed:.0f} s of speech a second, {rates}"
                )
                self._keep()
                next_check_s = self.clock.spent_s + self.recipe.minutes_between_checks * 60
                heard_s, losses, began = 0.0, [], time.monotonic()

    def _step(self, batch: list[Example], rate: float) -> float:
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bfloat16):
            logits_BTV, num_frames_B = self.model(*pad_batch([example.samples for example in batch]))
        targets_BL = pad_targets([to_symbols(example.text) for example in batch])
        loss = mean_ctc_loss(logits_BTV, num_frames_B, targets_BL)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.max_gradient_norm)
        self.optimizer.step()
        self.num_steps += 1
        return loss.item()

    def _keep(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "num_steps": self.num_steps,
            "spent_s": self.clock.spent_s,
        }
        unfinished = self.resume_path.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.rename(self.resume_path)

    def _restore(self) -> None:
        state = torch.load(self.resume_path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.num_steps = state["num_steps"]
        self.clock = Clock(state["spent_s"])

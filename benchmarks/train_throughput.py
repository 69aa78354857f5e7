"""How many utterances a second are trained on, against a plain loop, and what does a second worker bring?

Rival, same weights, utterances and losses, same run: a plain loop as published for MMER, two utterances in random order
at once and a step of AdamW after every fourth time. The learner has eight utterances a step too, drawn and cut its own
way: all at once; two at a time with the gradient cached (`training.cached_gradient`), which sees all eight in the
contrastive terms; and shared by two workers (gloo on CPUs, one thread each). Lengths are drawn to look like IEMOCAP's;
sounds are made and lie in memory, so that no disk is measured. Every utterance has two views and a transcript.

Rounds alternate; ratios are medians with their spread over rounds. Scaling: utterances a second of two workers over
twice those of one. Matrix share: floating-point operations of a step over what one large matrix product reaches on the
same device in the same run.

    python benchmarks/train_throughput.py [--size mid|base] [--utterances 32] [--rounds 3] [--dtype float32|bfloat16]
        [--device cpu|cuda]

On a GPU, --device cuda --size base --dtype bfloat16 is the published size; two workers are then left out unless there
are two GPUs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from emotion_throughput import SIZES, draw_clips, matrix_peak, seconds
from torch import distributed
from torch.multiprocessing import get_context, spawn
from torch.utils.flop_counter import FlopCounterMode

from mmer_ray.models.ctc.losses import pad_targets
from mmer_ray.models.ctc.vocabulary import to_symbols
from mmer_ray.models.interface import Clip, Targets, collate
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.models.mmer.losses import loss, terms
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.records import SAMPLE_RATE_HZ
from mmer_ray.training.batch import TrainingBatch
from mmer_ray.training.embedded_text import train_tokenizer
from mmer_ray.training.fit import STEPS_AHEAD
from mmer_ray.training.learner import Learner
from mmer_ray.training.material import Batches, Material
from mmer_ray.training.prefetch import prefetch
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.utterances import Sound, Utterance

PUBLISHED_BATCH, PUBLISHED_ACCUMULATION = 2, 4
RATE = 5e-5
PLAIN, AT_ONCE, CACHED, TOGETHER = (
    "plain loop, 2 x 4",
    "learner, 8 at once",
    "learner, 2 x 4 cached",
    "learner, 2 workers",
)


@dataclass(frozen=True)
class Asked:
    """What is measured."""

    size: str
    num_utterances: int
    num_rounds: int
    dtype: torch.dtype
    device: str

    @property
    def has_two_workers(self) -> bool:
        return self.device == "cpu" or torch.cuda.device_count() > 1


class Bench:
    """One process's model, utterances and ways of training."""

    def __init__(self, asked: Asked, device: str) -> None:
        self.asked = asked
        self.device = device
        self.clips = draw_clips(asked.num_utterances)
        self.tokenizer: PreTrainedTokenizerBase = train_tokenizer([clip.text for clip in self.clips], 1_000)

    def model(self) -> MmerModel:
        torch.manual_seed(0)
        return MmerModel(SIZES[self.asked.size]).to(self.device).train()

    def plain_loop(self) -> Callable[[], None]:
        """The published loop over all utterances once."""
        model = self.model()
        optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
        order = np.random.default_rng(0).permutation(len(self.clips))

        def run() -> None:
            for number, first in enumerate(range(0, len(order), PUBLISHED_BATCH), start=1):
                rows = order[first : first + PUBLISHED_BATCH]
                views, truth = self._batch([self.clips[row] for row in rows], [row % 4 for row in rows])
                with torch.autocast(self.device, self.asked.dtype, enabled=self.asked.dtype != torch.float32):
                    clean, augmented = model(views[0]), model.score_variation(views[1])
                    value = loss(clean, truth, augmented)
                (value / PUBLISHED_ACCUMULATION).backward()
                if number % PUBLISHED_ACCUMULATION == 0:
                    optimiser.step()
                    optimiser.zero_grad()
            self.wait()

        return run

    def learner(self, micro_batch_size: int | None) -> Callable[[], None]:
        """The learner over as many utterances."""
        recipe = Recipe(
            batch_size=PUBLISHED_BATCH * PUBLISHED_ACCUMULATION,
            micro_batch_size=micro_batch_size,
            peak_rate=RATE,
            average_decay=None,
            precision="float32" if self.asked.dtype == torch.float32 else "bfloat16",
            sampling="natural",
            two_views=True,
            reads_spelling=True,
        )
        model = self.model()
        learner: Learner[TrainingBatch] = Learner(model, terms, recipe)
        batches = Batches(self._material(model.labels), recipe)

        def run() -> None:
            # Batches are prepared beside the steps, as `training.fit` has it.
            steps = batches.from_step(0, len(self.clips) // recipe.batch_size)
            for micro_batches in prefetch(steps, STEPS_AHEAD):
                learner.step([batch.to(self.device) for batch in micro_batches], 0.5)
            self.wait()

        return run

    def wait(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()

    def _batch(self, clips: Sequence[Clip], labels: Sequence[int]) -> tuple[list[Any], Targets]:
        views = [collate(clips, self.tokenizer).to(self.device) for _ in range(2)]
        spelling = pad_targets([to_symbols(clip.text) for clip in clips]).to(self.device)
        return views, Targets(torch.tensor(labels, device=self.device), ctc=spelling)

    def _material(self, labels: tuple[str, ...]) -> Material:
        by_id = {str(row): clip for row, clip in enumerate(self.clips)}
        utterances = tuple(
            Utterance(
                name,
                Sound(Path("made"), end_ms=len(clip.samples) * 1_000 // SAMPLE_RATE_HZ),
                "somebody",
                labels[int(name) % len(labels)],
                clip.text,
            )
            for name, clip in by_id.items()
        )
        return Material(utterances, (), labels, lambda one: by_id[one.utterance_id], self.tokenizer)


def main() -> None:
    """Measure and print."""
    asked = parse()
    with tempfile.TemporaryDirectory() as folder:
        barrier = get_context("spawn").Barrier(2)
        spawn(work, (asked, Path(folder), barrier), 2 if asked.has_two_workers else 1)
        found = json.loads((Path(folder) / "found.json").read_text())
    report(asked, found)


def parse() -> Asked:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=sorted(SIZES), default="mid")
    parser.add_argument("--utterances", type=int, default=32, help="a multiple of 8")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of matrix work")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    if options.utterances % (PUBLISHED_BATCH * PUBLISHED_ACCUMULATION):
        parser.error("--utterances must be a multiple of 8")
    return Asked(options.size, options.utterances, options.rounds, getattr(torch, options.dtype), options.device)


def work(rank: int, asked: Asked, folder: Path, barrier: Any) -> None:
    """One process: the first one measures, the second one helps where two workers train together."""
    torch.set_num_threads(1)
    if asked.device == "cuda":
        torch.cuda.set_device(rank)
    bench = Bench(asked, asked.device)
    alone = {} if rank else {PLAIN: bench.plain_loop(), AT_ONCE: bench.learner(None), CACHED: bench.learner(2)}
    for run in alone.values():
        run()
    took: dict[str, list[float]] = {name: [] for name in (*alone, TOGETHER)}
    for number in range(asked.num_rounds):
        for name, run in alone.items():
            took[name].append(seconds(run))
        if asked.has_two_workers:
            barrier.wait()
            with group(asked.device, rank, folder / f"round-{number}"):
                run = bench.learner(None)
                run()
                distributed.barrier()
                took[TOGETHER].append(seconds(run))
    if rank == 0:
        with FlopCounterMode(display=False) as counter:
            alone[AT_ONCE]()
        peak = matrix_peak(asked.device, asked.dtype)
        found = {"took": took, "operations": counter.get_total_flops(), "peak": peak}
        (folder / "found.json").write_text(json.dumps(found))


@contextmanager
def group(device: str, rank: int, store: Path) -> Iterator[None]:
    backend = "nccl" if device == "cuda" else "gloo"
    distributed.init_process_group(backend, f"file://{store}", rank=rank, world_size=2)
    yield
    distributed.destroy_process_group()


def report(asked: Asked, found: dict[str, Any]) -> None:
    num, took = asked.num_utterances, {name: rounds for name, rounds in found["took"].items() if rounds}
    print(f"mmer {asked.size}, {num} utterances a round, {asked.num_rounds} rounds, {asked.dtype} on {asked.device}")
    for name, rounds in took.items():
        ratios = [plain / own for plain, own in zip(took[PLAIN], rounds, strict=True)]
        print(
            f"{name:24} {num / statistics.median(rounds):8.2f} utterances/s  {statistics.median(ratios):5.2f} x plain "
            f"({min(ratios):.2f}..{max(ratios):.2f})"
        )
    if TOGETHER in took:
        scaling = [one / two / 2 for one, two in zip(took[AT_ONCE], took[TOGETHER], strict=True)]
        print(f"scaling to two workers {statistics.median(scaling):.2f} ({min(scaling):.2f}..{max(scaling):.2f})")
    share = found["operations"] / statistics.median(took[AT_ONCE]) / found["peak"]
    print(f"matrix share of the learner, 8 at once: {share:.0%} of {found['peak'] / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()

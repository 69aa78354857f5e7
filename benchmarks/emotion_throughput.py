"""How many utterances a second does the emotion stage judge, and what makes it fast?

Rivals, same weights, same run: a plain loop at batch 1, and plainly padded batches of 16 in file order. Lengths are
drawn to look like IEMOCAP's (log-normal, median 3.6 s, mean about 4.5 s, 0.6 to 30 s). Rounds alternate; ratios are
medians with their spread over rounds. Padding share: padded seconds that are no speech. Matrix share: floating-point
operations of the speech alone over what one large matrix product reaches on the same device in the same run.

What the stage does beside cutting batches: it folds the weight norm of the positional convolution, which the plain
model computes anew at each call, and on a CPU lets each core work on a batch of its own. A pipeline also has the C
library keep the memory of freed arrays; that holds for a whole process, so here it is --keep-memory, for all ways.

    python benchmarks/emotion_throughput.py [--keep-memory] [--utterances 64] [--rounds 3] [--size mid|base]
        [--dtype float32|bfloat16]

On a GPU, --size base --dtype bfloat16 is the published size.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmer_ray.models.batches import LIKE_LENGTH, length_buckets
from mmer_ray.models.interface import Clip, EmotionBatch, collate
from mmer_ray.models.mmer.config import BASE, MmerConfig
from mmer_ray.models.mmer.model import MmerModel
from mmer_ray.models.wav2vec2 import fold_weight_norm
from mmer_ray.pipelines.memory import keep_freed_memory
from mmer_ray.records import SAMPLE_RATE_HZ
from mmer_ray.training.embedded_text import train_tokenizer

MEDIAN_S, SIGMA, RANGE_S = 3.6, 0.66, (0.6, 30.0)
WORDS_PER_S = 2.6
PLAIN_BATCH = 16
BATCH_S = (10.0, 30.0, 120.0)
MID = MmerConfig(
    audio={
        "hidden_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 1_024,
        "conv_dim": [256] * 7,
        "num_conv_pos_embeddings": 64,
        "num_conv_pos_embedding_groups": 8,
        "apply_spec_augment": False,
    },
    text={
        "hidden_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 1_024,
        "vocab_size": 1_000,
        "max_position_embeddings": 130,
        "type_vocab_size": 1,
    },
    num_heads=4,
    intermediate_size=1_024,
)
SIZES = {"mid": MID, "base": replace(BASE, text={**(BASE.text or {}), "vocab_size": 1_000})}
Batches = Sequence[Sequence[Clip]]


def draw_clips(num_utterances: int) -> list[Clip]:
    """Noise of the right lengths: what a forward pass costs does not depend on what is said."""
    rng = np.random.default_rng(0)
    lengths_s = rng.lognormal(np.log(MEDIAN_S), SIGMA, num_utterances).clip(*RANGE_S)
    return [
        Clip(
            rng.normal(0, 0.1, round(length_s * SAMPLE_RATE_HZ)).astype(np.float32),
            "word " * round(length_s * WORDS_PER_S),
        )
        for length_s in lengths_s
    ]


def in_file_order(clips: Sequence[Clip], batch_size: int) -> Batches:
    return [clips[start : start + batch_size] for start in range(0, len(clips), batch_size)]


def by_length(clips: Sequence[Clip], batch_s: float) -> Batches:
    """The stage's own batches."""
    lengths = [len(clip.samples) for clip in clips]
    buckets = length_buckets(lengths, batch_s * SAMPLE_RATE_HZ, LIKE_LENGTH)
    return [[clips[index] for index in bucket] for bucket in buckets]


def padding_share(batches: Batches) -> float:
    true = sum(len(clip.samples) for batch in batches for clip in batch)
    padded = sum(len(batch) * max(len(clip.samples) for clip in batch) for batch in batches)
    return 1 - true / padded


def forward_all(model: MmerModel, batches: Sequence[EmotionBatch]) -> None:
    with torch.inference_mode():
        for batch in batches:
            model(batch).logits.float().softmax(dim=1).cpu()


def forward_on_every_core(model: MmerModel, batches: Sequence[EmotionBatch]) -> None:
    """One batch per core at a time, as a pipeline's batcher does (`pipelines/cores.py`)."""
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(lambda batch: forward_all(model, [batch]), batches))
    finally:
        torch.set_num_threads(cores)


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def matrix_peak(device: str, dtype: torch.dtype) -> float:
    """Floating-point operations a second of one large matrix product: the median of five."""
    size = 8_192 if device == "cuda" else 2_048
    first, second = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

    def multiply() -> None:
        product = first @ second
        product[0, 0].item()

    multiply()
    return 2 * size**3 / statistics.median(seconds(multiply) for _ in range(5))


def ways(clips: Sequence[Clip]) -> Iterator[tuple[str, Batches]]:
    yield "loop, batch 1", in_file_order(clips, 1)
    yield f"file order, batch {PLAIN_BATCH}", in_file_order(clips, PLAIN_BATCH)
    for batch_s in BATCH_S:
        yield f"stage, {batch_s:.0f} s a batch", by_length(clips, batch_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", choices=list(SIZES), default="mid")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--keep-memory", action="store_true", help="for all ways, as every pipeline does")
    arguments = parser.parse_args()
    if arguments.keep_memory:
        keep_freed_memory()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = getattr(torch, arguments.dtype)
    torch.manual_seed(0)
    plain = MmerModel(SIZES[arguments.size]).eval().to(device, dtype)
    # A deep copy would share the class that the folding changes.
    folded = MmerModel(SIZES[arguments.size]).eval().to(device, dtype)
    folded.load_state_dict(plain.state_dict())
    fold_weight_norm(folded)
    tokenizer = train_tokenizer(["word"], vocab_size=300)
    clips = draw_clips(arguments.utterances)
    batched = dict(ways(clips))
    ready = {name: [collate(batch, tokenizer).to(device) for batch in batches] for name, batches in batched.items()}
    with FlopCounterMode(display=False) as counter:
        forward_all(folded, ready["loop, batch 1"])
    useful = counter.get_total_flops()
    peak = matrix_peak(device, dtype)
    work: dict[str, Callable[[], None]] = {
        name: partial(forward_all, folded if name.startswith("stage") else plain, batches)
        for name, batches in ready.items()
    }
    for name in [name for name in ready if name.startswith("stage") and device == "cpu"]:
        batched[f"{name}, core each"] = batched[name]
        work[f"{name}, core each"] = partial(forward_on_every_core, folded, ready[name])
    took: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(arguments.rounds):
        for name, one in work.items():
            took[name].append(seconds(one))
    total_s = sum(len(clip.samples) for clip in clips) / SAMPLE_RATE_HZ
    print(
        f"{len(clips)} utterances, {total_s:.0f} s of speech, {arguments.size}, {arguments.dtype}, {device}, ", end=""
    )
    print(f"{torch.get_num_threads()} threads, {useful / 1e9:.0f} GFLOP, peak {peak / 1e9:.0f} GFLOP/s")
    for name, rounds in took.items():
        ratios = [loop / own for loop, own in zip(took["loop, batch 1"], rounds, strict=True)]
        middle = statistics.median(rounds)
        print(
            f"{name:34} {len(clips) / middle:8.2f} utterances/s  {statistics.median(ratios):5.2f} x loop "
            f"({min(ratios):.2f}..{max(ratios):.2f})  padding {padding_share(batched[name]):5.1%}  "
            f"matrix peak {useful / middle / peak:5.1%}"
        )


if __name__ == "__main__":
    main()

"""How much memory does a batch take, beside the weights? One process a line, as `runners/device_memory.py` needs it.

`python benchmarks/batch_memory.py` prints, for Whisper of the catalogue (CTranslate2, int8) and the emotion family
`mmer` (random weights), the peak of resident memory during a batch less that before it, for a padded second of sound,
and divided by the square root of the size of the weights on disk, which is what the arithmetic multiplies.
"""

from __future__ import annotations

import math
import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor

import numpy as np

NUM_CLIPS = 8
CASES = (("whisper", "tiny.en"), ("whisper", "base"), ("mmer", "tiny"), ("mmer", "base"))


def peak_bytes() -> int:
    """Peak of this process's resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def whisper(name: str) -> tuple[int, int, float]:
    """Bytes of weights, bytes of a batch of 30 s chunks, its seconds."""
    import ctranslate2

    from mmer_ray.models.refs import parse_ref
    from mmer_ray.models.resolver import resolve

    found = resolve(parse_ref("whisper", name))
    model = ctranslate2.models.Whisper(str(found.path), device="cpu", compute_type="int8", intra_threads=1)
    features = ctranslate2.StorageView.from_array(np.zeros((NUM_CLIPS, model.n_mels, 3000), np.float32))
    before = peak_bytes()
    model.generate(features, [[50257 if name.endswith(".en") else 50258] for _ in range(NUM_CLIPS)], beam_size=5)
    return found.num_bytes, peak_bytes() - before, NUM_CLIPS * 30.0


def mmer(size: str) -> tuple[int, int, float]:
    """The same for clips of 10 s, through the half that listens: texts are short."""
    import torch

    from mmer_ray.models.families import build
    from mmer_ray.models.interface import collate
    from mmer_ray.records import SAMPLE_RATE_HZ, Clip

    model = build("mmer", size).eval()
    num_bytes = 2 * sum(value.numel() for value in model.parameters())
    batch = collate([Clip(np.zeros(10 * SAMPLE_RATE_HZ, np.float32), "")] * NUM_CLIPS, None)
    before = peak_bytes()
    with torch.inference_mode():
        model.listen(batch)
    return num_bytes, peak_bytes() - before, NUM_CLIPS * 10.0


def measure(case: tuple[str, str]) -> tuple[int, int, float]:
    """One case in this process."""
    kind, name = case
    return {"whisper": whisper, "mmer": mmer}[kind](name)


def main() -> None:
    for case in CASES:
        # Peaks of one process do not fall.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            weights, batch, seconds = pool.submit(measure, case).result()
        per_s = batch / seconds
        print(
            f"{' '.join(case):20} weights {weights / 1e6:7.1f} MB  batch {per_s / 1e6:6.2f} MB a second  "
            f"{per_s / math.sqrt(weights):6.0f}"
        )


if __name__ == "__main__":
    main()

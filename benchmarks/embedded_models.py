"""How good are the embedded transcriber and speaker model on the demo's calls, turn by turn?

Turns are cut at their true times, so neither the voice detector nor the diarizer is measured here.
`python benchmarks/embedded_models.py [ASSETS]` prints one line a question.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from mmer_ray.demo.corpus import CALLS, TrueCall, TrueTurn, read_truth
from mmer_ray.models import ctc, speaker
from mmer_ray.models.ctc.model import greedy_texts
from mmer_ray.models.wav2vec2 import normalise, pad_batch
from mmer_ray.training.equal_error import equal_error
from mmer_ray.training.word_error import word_error_rate

SAMPLE_RATE_HZ = 16_000
SEGMENT_S = 1.5
ASSETS = Path(__file__).parents[1] / "mmer_ray" / "assets"

Samples = NDArray[np.float32]


def main() -> None:
    """Measure and print."""
    assets = Path(sys.argv[1]) if len(sys.argv) > 1 else ASSETS
    calls = read_truth()
    if (assets / "ctc").exists():
        report_words(ctc.load(assets / "ctc"), calls)
    if (assets / "speaker").exists():
        report_voices(speaker.load(assets / "speaker"), calls)


def cut_turns(call: TrueCall) -> list[tuple[TrueTurn, Samples]]:
    """Cut a call at its true times: each turn with its samples, float32, shape (num_samples,)."""
    sound = soundfile.read(CALLS / call.file, dtype="float32", always_2d=True)[0]
    bounds = [(int(turn.start_s * SAMPLE_RATE_HZ), int(turn.end_s * SAMPLE_RATE_HZ)) for turn in call.turns]
    pairs = zip(call.turns, bounds, strict=True)
    return [(turn, sound[start:end, turn.channel]) for turn, (start, end) in pairs]


def report_words(model: ctc.CtcModel, calls: list[TrueCall]) -> None:
    """Print word error rates, in all and by what may explain them."""
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for call in calls:
        turns = cut_turns(call)
        with torch.inference_mode():
            heard = greedy_texts(*model(*pad_batch([normalise(samples) for _, samples in turns])))
        for (turn, _), text in zip(turns, heard, strict=True):
            variant = turn.speaker.split("+")[1]
            channels = "stereo" if call.channels == 2 else "mono"
            for group in ("all", channels, call.condition, turn.feeling, variant):
                groups[group].append((turn.text, text))
    for group, pairs in groups.items():
        references, hypotheses = zip(*pairs, strict=True)
        print(f"WER {group}: {word_error_rate(references, hypotheses):.3f} over {len(pairs)} turns")


def report_voices(model: speaker.SpeakerModel, calls: list[TrueCall]) -> None:
    """Print how well two segments of one call are told apart."""
    cosines: list[float] = []
    same: list[bool] = []
    num_samples = int(SEGMENT_S * SAMPLE_RATE_HZ)
    for call in calls:
        cut = [(turn.speaker, samples) for turn, samples in cut_turns(call)]
        segments = [
            (name, samples[start : start + num_samples])
            for name, samples in cut
            for start in range(0, len(samples) - num_samples + 1, num_samples)
        ]
        embeddings = speaker.embed(model, [samples for _, samples in segments])
        for left, right in zip(*np.triu_indices(len(segments), k=1), strict=True):
            cosines.append(float(embeddings[left] @ embeddings[right]))
            same.append(segments[left][0] == segments[right][0])
    found = equal_error(np.array(cosines), np.array(same))
    print(f"EER within calls, {SEGMENT_S} s: {found.rate:.3f} at cosine {found.threshold:.2f}, {len(same)} pairs")


if __name__ == "__main__":
    main()

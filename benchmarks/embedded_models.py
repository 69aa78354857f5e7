"""How good are the embedded transcriber, speaker and emotion models on the demo's calls, turn by turn?

Turns are cut at their true times, so neither the voice detector nor the diarizer is measured here.
`python benchmarks/embedded_models.py [ASSETS]` prints one line a question.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import jiwer
import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from mmer_ray.demo.truth import CALLS, TrueCall, TrueTurn, read_truth
from mmer_ray.models.ctc import bigrams
from mmer_ray.models.ctc import checkpoint as ctc_checkpoint
from mmer_ray.models.ctc.beam import BeamOptions, beam_search
from mmer_ray.models.ctc.bigrams import Bigrams
from mmer_ray.models.ctc.model import CtcModel, greedy_texts
from mmer_ray.models.ctc.vocabulary import to_text
from mmer_ray.models.families import load_emotion_model
from mmer_ray.models.interface import Clip, LoadedModel, collate
from mmer_ray.models.speaker import checkpoint as speaker_checkpoint
from mmer_ray.models.speaker.model import SpeakerModel, embed
from mmer_ray.models.wav2vec2 import normalise, pad_batch
from mmer_ray.training.equal_error import equal_error
from mmer_ray.training.metrics import unweighted_accuracy

SAMPLE_RATE_HZ = 16_000
SEGMENT_S = 1.5
ASSETS = Path(__file__).parents[1] / "mmer_ray" / "assets"

Samples = NDArray[np.float32]


def main() -> None:
    """Measure and print."""
    assets = Path(sys.argv[1]) if len(sys.argv) > 1 else ASSETS
    calls = read_truth()
    if (assets / "ctc").exists():
        report_words(ctc_checkpoint.load(assets / "ctc"), bigrams.load(assets / "ctc"), calls)
    if (assets / "speaker").exists():
        report_speakers(speaker_checkpoint.load(assets / "speaker"), calls)
    if (assets / "ctc").exists() and (assets / "mmer").exists():
        report_feelings(load_emotion_model(assets / "mmer"), ctc_checkpoint.load(assets / "ctc"), calls)


def cut_turns(call: TrueCall) -> list[tuple[TrueTurn, Samples]]:
    """Cut a call at its true times: each turn with its samples, float32, shape (num_samples,)."""
    sound = soundfile.read(CALLS / call.file, dtype="float32", always_2d=True)[0]
    bounds = [(int(turn.start_s * SAMPLE_RATE_HZ), int(turn.end_s * SAMPLE_RATE_HZ)) for turn in call.turns]
    pairs = zip(call.turns, bounds, strict=True)
    return [(turn, sound[start:end, turn.channel]) for turn, (start, end) in pairs]


def report_words(model: CtcModel, known: Bigrams | None, calls: list[TrueCall]) -> None:
    """Print word error rates, greedy and by beam search, in all and by what may explain them."""
    groups: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for call in calls:
        turns = cut_turns(call)
        greedy, searched = hear(model, known, [samples for _, samples in turns])
        for (turn, _), *texts in zip(turns, greedy, searched, strict=True):
            channels = "stereo" if call.channels == 2 else "mono"
            for group in ("all", channels, call.condition, turn.feeling, turn.speaker.split("+")[1]):
                groups[group].append((turn.text, texts[0], texts[1]))
    for group, rows in groups.items():
        spoken, greedy, searched = (list(column) for column in zip(*rows, strict=True))
        rates = jiwer.wer(spoken, greedy), jiwer.wer(spoken, searched)
        print(f"WER {group}: greedy {rates[0]:.3f}, beam search {rates[1]:.3f} over {len(rows)} turns")


def hear(model: CtcModel, known: Bigrams | None, turns: list[Samples]) -> tuple[list[str], list[str]]:
    """Decode turns, each float32, shape (num_samples,): greedily and, with a bigram model, by beam search."""
    with torch.inference_mode():
        logits_BTV, num_frames_B = model(*pad_batch([normalise(samples) for samples in turns]))
    greedy = greedy_texts(logits_BTV, num_frames_B)
    if known is None:
        return greedy, greedy
    logprobs_BTV = torch.log_softmax(logits_BTV.float(), dim=-1).numpy()
    frames = zip(logprobs_BTV, num_frames_B.tolist(), strict=True)
    return greedy, [to_text(beam_search(one_TV[:count], known, BeamOptions())) for one_TV, count in frames]


def report_speakers(model: SpeakerModel, calls: list[TrueCall]) -> None:
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
        embeddings = embed(model, [samples for _, samples in segments])
        for left, right in zip(*np.triu_indices(len(segments), k=1), strict=True):
            cosines.append(float(embeddings[left] @ embeddings[right]))
            same.append(segments[left][0] == segments[right][0])
    found = equal_error(np.array(cosines), np.array(same))
    print(f"EER within calls, {SEGMENT_S} s: {found.rate:.3f} at cosine {found.threshold:.2f}, {len(same)} pairs")


def report_feelings(emotion: LoadedModel, transcriber: CtcModel, calls: list[TrueCall]) -> None:
    """Print unweighted accuracies with the words as spoken, as heard and not at all, in all and by condition."""
    rows: list[tuple[str, int, dict[str, int]]] = []
    for call in calls:
        turns = cut_turns(call)
        with torch.inference_mode():
            heard = greedy_texts(*transcriber(*pad_batch([normalise(samples) for _, samples in turns])))
        texts = {"heard": heard, "spoken": [turn.text for turn, _ in turns], "no": [""] * len(turns)}
        guesses: dict[str, list[int]] = {}
        for kind, words in texts.items():
            clips = [Clip(samples, text) for (_, samples), text in zip(turns, words, strict=True)]
            with torch.inference_mode():
                guesses[kind] = emotion.model(collate(clips, emotion.tokenizer)).logits.argmax(dim=1).tolist()
        for index, (turn, _) in enumerate(turns):
            guess = {kind: guesses[kind][index] for kind in texts}
            rows.append((call.condition, emotion.model.labels.index(turn.feeling), guess))
    for condition in ("all", *sorted({row[0] for row in rows})):
        kept = [row for row in rows if condition in ("all", row[0])]
        truth = np.array([label for _, label, _ in kept])
        for kind in ("heard", "spoken", "no"):
            accuracy = unweighted_accuracy(truth, np.array([guess[kind] for _, _, guess in kept]))
            print(f"UA {condition}, {kind} words: {accuracy:.3f} over {len(kept)} turns")


if __name__ == "__main__":
    main()

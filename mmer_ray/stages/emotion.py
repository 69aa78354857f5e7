"""Emotion: one answer per utterance, from its sound and its words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.models.families import load_emotion_model
from mmer_ray.models.interface import Clip, EmotionOutput, collate
from mmer_ray.models.preflight import check_emotion_model
from mmer_ray.models.refs import parse_ref
from mmer_ray.models.resolver import resolve
from mmer_ray.models.wav2vec2 import fold_weight_norm
from mmer_ray.profiles import EmotionOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Emotion, Utterance, Window

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MARGIN_S = 0.1
"""Sound kept on either side of an utterance: word times cut into first and last sounds."""
SHORTEST_S = 0.25
"""Below this there is no prosody to judge."""
TOO_SHORT = "too_short"
INT16_SCALE = 32_768.0
SCORER_DIGITS = 8
# A batch ends where a clip is shorter than this share of its longest: beyond it, padding costs more than a new batch.
SHORTEST_SHARE = 0.9


@dataclass(frozen=True)
class _Query:
    """One utterance, by its place, with what the model is asked."""

    window: int
    utterance: int
    clip: Clip


class ScoreEmotion:
    """Adds one `Emotion` to every utterance; an answer does not depend on what else is in the batch."""

    name = "emotion"

    def __init__(self, options: EmotionOptions) -> None:
        model = resolve(parse_ref("emotion", options.model))
        check_emotion_model(model.path)
        self._options = options
        self._model, self._tokenizer = load_emotion_model(model.path)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        fold_weight_norm(self._model).to(self._device)
        self.scorer = f"{self._model.family}-{model.digest[:SCORER_DIGITS]}"

    def __call__(self, windows: list[Window]) -> list[Window]:
        """Score all utterances of all windows: same order, one window out per window in."""
        skipped = Emotion(self.scorer, label=None, skip_reason=TOO_SHORT)
        answers = [[skipped] * len(window.utterances) for window in windows]
        shortest = max(round(SHORTEST_S * SAMPLE_RATE_HZ), self._model.min_samples)
        queries = [query for query in _queries(windows) if len(query.clip.samples) >= shortest]
        cut = _batches_of_windows if self._model.reads_dialogue else _batches
        batches = list(cut(queries, self._options.batch_s))
        # A GPU takes one batch after the other.
        judged = on_every_core(self._judge, batches) if self._device == "cpu" else map(self._judge, batches)
        for batch, emotions in zip(batches, judged, strict=True):
            for query, emotion in zip(batch, emotions, strict=True):
                answers[query.window][query.utterance] = emotion
        return [_with_emotions(window, emotions) for window, emotions in zip(windows, answers, strict=True)]

    def _judge(self, queries: Sequence[_Query]) -> list[Emotion]:
        # A conversation is what one window holds, of a stereo call one channel: other windows may be elsewhere.
        dialogue = [query.window for query in queries] if self._model.reads_dialogue else None
        batch = collate([query.clip for query in queries], self._tokenizer, dialogue)
        with torch.inference_mode():
            output = self._model(batch.to(self._device))
        return _emotions(output, self._model.labels, self.scorer)


def on_every_core(work: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
    """Do work on all items, each on one core: answers in order.

    PyTorch would split every operation over all cores instead, which these are too small for
    (`benchmarks/emotion_throughput.py`). In a worker that has one core it is a plain loop.
    """
    cores = torch.get_num_threads()
    if cores == 1 or len(items) < 2:
        return [work(item) for item in items]
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(cores) as pool:
            return list(pool.map(work, items))
    finally:
        torch.set_num_threads(cores)


def clip_of(window: Window, utterance: Utterance) -> Clip:
    """Cut an utterance, with a margin, out of its window."""
    begin = round((utterance.start_s - MARGIN_S - window.start_s) * SAMPLE_RATE_HZ)
    end = round((utterance.end_s + MARGIN_S - window.start_s) * SAMPLE_RATE_HZ)
    return Clip(to_float(window.samples[max(begin, 0) : max(end, 0)]), utterance.text)


def to_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Scale int16 samples of shape (num_samples,) to float32 in -1..1."""
    return (samples / np.float32(INT16_SCALE)).astype(np.float32)


def _queries(windows: Sequence[Window]) -> Iterator[_Query]:
    for i, window in enumerate(windows):
        for j, utterance in enumerate(window.utterances):
            yield _Query(i, j, clip_of(window, utterance))


def _batches(queries: Sequence[_Query], batch_s: float) -> Iterator[list[_Query]]:
    """Group clips of like length."""
    for bucket in length_buckets([len(query.clip.samples) for query in queries], batch_s):
        yield [queries[index] for index in bucket]


def length_buckets(num_samples: Sequence[int], batch_s: float) -> Iterator[list[int]]:
    """Cut clips of these lengths, longest first, into batches of at most `batch_s` padded seconds, or one clip.

    Yields indices. A batch holds lengths that differ by at most a tenth.
    """
    bucket: list[int] = []
    for index in sorted(range(len(num_samples)), key=lambda index: -num_samples[index]):
        if bucket:
            longest = num_samples[bucket[0]]
            full = (len(bucket) + 1) * longest > batch_s * SAMPLE_RATE_HZ
            if full or num_samples[index] < SHORTEST_SHARE * longest:
                yield bucket
                bucket = []
        bucket.append(index)
    if bucket:
        yield bucket


def _batches_of_windows(queries: Sequence[_Query], batch_s: float) -> Iterator[list[_Query]]:
    """Group whole windows, in order of time, into batches of at most `batch_s` padded seconds, or one window."""
    batch: list[_Query] = []
    for _, group in groupby(queries, key=lambda query: query.window):
        window = list(group)
        longest = max(len(query.clip.samples) for query in batch + window)
        if batch and (len(batch) + len(window)) * longest > batch_s * SAMPLE_RATE_HZ:
            yield batch
            batch = []
        batch += window
    if batch:
        yield batch


def _emotions(output: EmotionOutput, labels: tuple[str, ...], scorer: str) -> list[Emotion]:
    rows = output.logits.float().softmax(dim=1).tolist()
    emotions = []
    for probabilities, (valence, arousal, dominance) in zip(rows, _dimensions(output), strict=True):
        confidence = max(probabilities)
        emotions.append(
            Emotion(
                scorer,
                label=labels[probabilities.index(confidence)],
                probabilities=dict(zip(labels, probabilities, strict=True)),
                confidence=confidence,
                valence=valence,
                arousal=arousal,
                dominance=dominance,
            )
        )
    return emotions


def _dimensions(output: EmotionOutput) -> list[list[float | None]]:
    """Valence, arousal and dominance of each utterance; None where the model has no such number."""
    if output.dimensions is None:
        return [[None] * 3 for _ in output.logits]
    return [[None if math.isnan(value) else value for value in row] for row in output.dimensions.tolist()]


def _with_emotions(window: Window, emotions: Sequence[Emotion]) -> Window:
    """Attach one emotion per utterance; answers of other scorers stay, an older one of this scorer goes."""
    utterances = [
        replace(utterance, emotions=(*(old for old in utterance.emotions if old.scorer != new.scorer), new))
        for utterance, new in zip(window.utterances, emotions, strict=True)
    ]
    return replace(window, utterances=tuple(utterances))

"""The emotion scorer: clips to one model of any family, in batches of like length."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from itertools import groupby

from mmer_ray.models.batches import LIKE_LENGTH, length_buckets
from mmer_ray.models.emotion_checkpoints import check_emotion_model
from mmer_ray.models.families import load_emotion_model
from mmer_ray.models.gpu_clock import forward_pass
from mmer_ray.models.interface import EmotionOutput, collate
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.models.wav2vec2 import fold_weight_norm
from mmer_ray.profiles import EmotionOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Clip, Emotion
from mmer_ray.stages.emotion import scorer_name

SHORTEST_S = 0.25
"""Below this there is no prosody to hear."""
TOO_SHORT = "too_short"
LOW_CONFIDENCE = "low_confidence"
"""The model withholds its label: its best probability lies below the least that its checkpoint states. Probabilities
and confidence are given all the same."""


class ModelScorer:
    """Scores clips with one emotion model; an answer does not depend on what else is in the batch."""

    def __init__(self, folder: ResolvedModel, options: EmotionOptions) -> None:
        import torch

        self._batch_s = options.batch_s
        check_emotion_model(folder.path)
        self._model, self._tokenizer = load_emotion_model(folder.path)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        fold_weight_norm(self._model).to(self._device)
        self._min_samples = max(round(SHORTEST_S * SAMPLE_RATE_HZ), self._model.min_samples)
        # A fast tokenizer that two threads use at once raises "Already borrowed".
        self._tokenizing = threading.Lock()
        self.reads_dialogue = self._model.reads_dialogue
        self.scorer = scorer_name(folder)

    def predict(self, clips: Sequence[Clip]) -> list[Emotion]:
        """Score clips: one answer each, in order; one that is too short is skipped with the reason."""
        answers = [Emotion(self.scorer, label=None, skip_reason=TOO_SHORT)] * len(clips)
        long_enough = [index for index, clip in enumerate(clips) if len(clip.samples) >= self._min_samples]
        for batch in self._batches(clips, long_enough):
            for index, emotion in zip(batch, self._predict_batch([clips[index] for index in batch]), strict=True):
                answers[index] = emotion
        return answers

    def _batches(self, clips: Sequence[Clip], chosen: Sequence[int]) -> Iterator[list[int]]:
        limit = self._batch_s * SAMPLE_RATE_HZ
        if self.reads_dialogue:
            yield from _batches_of_dialogues(clips, chosen, limit)
            return
        for bucket in length_buckets([len(clips[index].samples) for index in chosen], limit, LIKE_LENGTH):
            yield [chosen[position] for position in bucket]

    def _predict_batch(self, clips: Sequence[Clip]) -> list[Emotion]:
        dialogue = _dialogue_numbers(clips) if self.reads_dialogue else None
        with self._tokenizing:
            batch = collate(clips, self._tokenizer, dialogue)
        with forward_pass(self._device):
            output = self._model(batch.to(self._device))
            return _emotions(output, self._model.labels, self.scorer, self._model.min_confidence)


def _batches_of_dialogues(clips: Sequence[Clip], chosen: Sequence[int], limit: float) -> Iterator[list[int]]:
    """Group whole dialogues, in order, into batches of at most `limit` padded samples, or one dialogue."""
    batch: list[int] = []
    numbers = dict(zip(chosen, _dialogue_numbers([clips[index] for index in chosen]), strict=True))
    for _, group in groupby(chosen, key=lambda index: numbers[index]):
        dialogue = list(group)
        longest = max(len(clips[index].samples) for index in batch + dialogue)
        if batch and (len(batch) + len(dialogue)) * longest > limit:
            yield batch
            batch = []
        batch += dialogue
    if batch:
        yield batch


def _dialogue_numbers(clips: Sequence[Clip]) -> list[int]:
    """Number the dialogues of clips in order; a clip without one is a dialogue of its own."""
    numbers: list[int] = []
    for index, clip in enumerate(clips):
        goes_on = index > 0 and clip.dialogue is not None and clip.dialogue == clips[index - 1].dialogue
        numbers.append(numbers[-1] if goes_on else (numbers[-1] + 1 if numbers else 0))
    return numbers


def _emotions(output: EmotionOutput, labels: tuple[str, ...], scorer: str, min_confidence: float) -> list[Emotion]:
    rows = output.logits.float().softmax(dim=1).tolist()
    emotions = []
    for probabilities, (valence, arousal, dominance) in zip(rows, _dimensions(output), strict=True):
        confidence = max(probabilities)
        withheld = confidence < min_confidence
        emotions.append(
            Emotion(
                scorer,
                label=None if withheld else labels[probabilities.index(confidence)],
                probabilities=dict(zip(labels, probabilities, strict=True)),
                confidence=confidence,
                valence=valence,
                arousal=arousal,
                dominance=dominance,
                skip_reason=LOW_CONFIDENCE if withheld else None,
            )
        )
    return emotions


def _dimensions(output: EmotionOutput) -> list[list[float | None]]:
    """Valence, arousal and dominance of each utterance; None where the model has no such number."""
    if output.dimensions is None:
        return [[None] * 3 for _ in output.logits]
    return [[None if math.isnan(value) else value for value in row] for row in output.dimensions.tolist()]

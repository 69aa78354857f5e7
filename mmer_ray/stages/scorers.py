"""The emotion scorer: clips to one model of any family, in batches of like length."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from mmer_ray.models.batches import LIKE_LENGTH, length_buckets
from mmer_ray.models.emotion_checkpoints import check_emotion_model, scorer_name
from mmer_ray.models.families import load_emotion_model
from mmer_ray.models.gpu_clock import forward_pass
from mmer_ray.models.interface import (
    AdaptingModel,
    EmotionBatch,
    EmotionModel,
    EmotionOutput,
    LoadedModel,
    collate,
    number_speakers,
)
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.models.wav2vec2 import fold_weight_norm
from mmer_ray.profiles import EmotionOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Clip, Emotion
from mmer_ray.stages.emotion import Description

SHORTEST_S = 0.25
"""Below this there is no prosody to hear."""
TOO_SHORT = "too_short"
LOW_CONFIDENCE = "low_confidence"
"""The model withholds its label: its best probability lies below the least that its checkpoint states. Probabilities
and confidence are given all the same."""


def load_model_scorer(folder: ResolvedModel, options: EmotionOptions) -> ModelScorer:
    """Load the scorer of a checkpoint. Raises `PreflightError` where it is unfit, or an encoder that it names is."""
    check_emotion_model(folder.path)
    loaded = load_emotion_model(folder.path)
    if isinstance(loaded.model, AdaptingModel) and loaded.model.adapts_to_speaker:
        return AdaptingModelScorer(folder, options, loaded, loaded.model)
    return ModelScorer(folder, options, loaded)


class ModelScorer:
    """Scores clips with one emotion model; an answer does not depend on what else is in the batch."""

    def __init__(self, folder: ResolvedModel, options: EmotionOptions, loaded: LoadedModel) -> None:
        import torch

        self._batch_s = options.batch_s
        self._model, self._tokenizer = loaded
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        fold_weight_norm(self._model).to(self._device)
        self._min_samples = max(round(SHORTEST_S * SAMPLE_RATE_HZ), self._model.min_samples)
        # A fast tokenizer that two threads use at once raises "Already borrowed".
        self._tokenizing = threading.Lock()
        self.reads_dialogue = self._model.reads_dialogue
        self.scorer = scorer_name(folder)

    def predict(self, clips: Sequence[Clip]) -> list[Emotion]:
        """Score clips: one answer each, in order; one that is too short is skipped with the reason."""
        answers = [self._too_short()] * len(clips)
        for batch in self._batches(clips):
            for index, emotion in zip(batch, self._predict_batch([clips[index] for index in batch]), strict=True):
                answers[index] = emotion
        return answers

    def _too_short(self) -> Emotion:
        return Emotion(self.scorer, label=None, skip_reason=TOO_SHORT)

    def _batches(self, clips: Sequence[Clip]) -> Iterator[list[int]]:
        """Those that are long enough, as indices."""
        chosen = [index for index, clip in enumerate(clips) if len(clip.samples) >= self._min_samples]
        limit = self._batch_s * SAMPLE_RATE_HZ
        if self.reads_dialogue:
            yield from _batches_of_dialogues(clips, chosen, limit)
            return
        for bucket in length_buckets([len(clips[index].samples) for index in chosen], limit, LIKE_LENGTH):
            yield [chosen[position] for position in bucket]

    def _predict_batch(self, clips: Sequence[Clip]) -> list[Emotion]:
        batch = self._collated(clips)
        with forward_pass(self._device):
            return self._emotions(self._model(batch.to(self._device)))

    def _collated(self, clips: Sequence[Clip]) -> EmotionBatch:
        dialogue = _dialogue_numbers(clips) if self.reads_dialogue else None
        with self._tokenizing:
            return collate(clips, self._tokenizer, dialogue)

    def _emotions(self, output: EmotionOutput) -> list[Emotion]:
        return _emotions(output, self._model, self.scorer)


class AdaptingModelScorer(ModelScorer):
    """Scores clips against the other clips of their speakers; asked clip by clip, each has its own alone."""

    def __init__(
        self, folder: ResolvedModel, options: EmotionOptions, loaded: LoadedModel, model: AdaptingModel
    ) -> None:
        super().__init__(folder, options, loaded)
        self._adapting = model

    def predict(self, clips: Sequence[Clip]) -> list[Emotion]:
        """Score clips, those of one dialogue as a recording of their own: one answer each, in order."""
        described = self.describe(clips)
        answers: list[Emotion] = []
        for _, group in groupby(range(len(clips)), key=_dialogue_numbers(clips).__getitem__):
            rows = list(group)
            answers += self.conclude([described[row] for row in rows], [clips[row].speaker for row in rows])
        return answers

    def describe(self, clips: Sequence[Clip]) -> list[Description]:
        """Sum up clips, each by itself, in batches of like length: one answer each, in order."""
        described: list[Description] = [None] * len(clips)
        for rows in self._batches(clips):
            batch = self._collated([clips[row] for row in rows])
            with forward_pass(self._device):
                vectors_BD = self._adapting.describe(batch.to(self._device)).float().cpu().numpy()
            for row, vector_D in zip(rows, vectors_BD, strict=True):
                # A copy: a view would keep the whole batch for as long as the recording lasts.
                described[row] = vector_D.copy()
        return described

    def conclude(self, described: Sequence[Description], speakers: Sequence[str | None]) -> list[Emotion]:
        """Answer for all clips of a recording, in order; those that are too short are skipped with the reason."""
        import torch

        answers = [self._too_short()] * len(described)
        known = [(row, vector_D) for row, vector_D in enumerate(described) if vector_D is not None]
        if not known:
            return answers
        rows = [row for row, _ in known]
        speaker_B = number_speakers([speakers[row] for row in rows], [0] * len(rows))
        described_BD = torch.from_numpy(np.stack([vector_D for _, vector_D in known]))
        with forward_pass(self._device):
            output = self._adapting.conclude(described_BD.to(self._device), speaker_B.to(self._device))
            emotions = self._emotions(output)
        for row, emotion in zip(rows, emotions, strict=True):
            answers[row] = emotion
        return answers


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


def _emotions(output: EmotionOutput, model: EmotionModel, scorer: str) -> list[Emotion]:
    labels = model.labels
    rows = (output.logits.float() / model.temperature).softmax(dim=1).tolist()
    emotions = []
    for probabilities, (valence, arousal, dominance) in zip(rows, _dimensions(output), strict=True):
        confidence = max(probabilities)
        withheld = confidence < model.min_confidence
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

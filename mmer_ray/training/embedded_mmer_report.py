"""How well the embedded `mmer` hears feelings in voices and sentences that its training never saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.audio.pcm import to_float
from mmer_ray.models.interface import Clip, LoadedModel, collate
from mmer_ray.training.metrics import unweighted_accuracy
from mmer_ray.training.synthetic import Utterance, read_manifest, read_speech

BATCH_SIZE = 16


def report(loaded: LoadedModel, cache: Path) -> dict[str, float]:
    """Unweighted accuracy on the validation split, by kind of wording, with the true text and with none."""
    utterances = sorted(read_manifest(cache, "validation"), key=lambda utterance: utterance.duration_s)
    truth = np.array([loaded.model.labels.index(utterance.feeling) for utterance in utterances])
    worded = np.array([utterance.worded for utterance in utterances])
    figures: dict[str, float] = {}
    for text, is_read in (("true_text", True), ("no_text", False)):
        guess = _guess(loaded, cache, utterances, is_read=is_read)
        for wording, kept in (("all", worded | ~worded), ("worded", worded), ("free", ~worded)):
            figures[f"ua_{wording}_{text}"] = round(unweighted_accuracy(truth[kept], guess[kept]), 3)
    return figures


def _guess(loaded: LoadedModel, cache: Path, utterances: Sequence[Utterance], *, is_read: bool) -> NDArray[np.int64]:
    guesses = []
    for first in range(0, len(utterances), BATCH_SIZE):
        clips = [
            Clip(to_float(read_speech(cache, utterance)), utterance.text if is_read else "")
            for utterance in utterances[first : first + BATCH_SIZE]
        ]
        with torch.inference_mode():
            guesses.append(loaded.model(collate(clips, loaded.tokenizer)).logits.argmax(dim=1).numpy())
    return np.concatenate(guesses)

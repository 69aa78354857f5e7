"""The diarizer `pyannote`: a pipeline of pyannote.audio, such as community-1, over each window."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmer_ray.audio.pcm import to_float
from mmer_ray.audio.vad import VoiceDetector
from mmer_ray.diarizers.agglomerative import cosine_distances, normalised
from mmer_ray.diarizers.confidence import Spans, piece_confidence, with_confidence
from mmer_ray.diarizers.interface import Diarization, in_order_of_appearance
from mmer_ray.diarizers.one_party import one_party
from mmer_ray.diarizers.speaker_turns import Span, to_turns
from mmer_ray.models.gpu_clock import forward_pass
from mmer_ray.models.pyannote_pipeline import Answer, PyannotePipeline
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.profiles import DiarizeOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Turn, Window

BETWEEN_WINDOWS_THRESHOLD = 0.5
"""Cosine distance between the mean embeddings of two windows above which they are of two people. Not measured here, as
the weights of community-1 are gated: `join.distance_threshold` sets another."""
MIN_WINDOW_S = 0.1
"""Shorter windows hold no turn."""


class PyannoteDiarizer:
    """Finds turns, also those of people who talk at the same time, and whose a word is there.

    On a channel that holds one party every turn is speaker 0, found by the voice activity detector alone. Each window
    is a call of the pipeline of its own, so its answer does not depend on the others.

    Where more people talk at once than the pipeline has voices, it makes up speakers without one: they are left out, as
    nobody could tell them from those of the next window. Where nobody is heard alone all are kept, with zeros for a
    voice, which are near nobody.
    """

    join_threshold = BETWEEN_WINDOWS_THRESHOLD

    def __init__(self, options: DiarizeOptions, vad: VoiceDetector, pipeline: PyannotePipeline) -> None:
        self._vad = vad
        self._pipeline = pipeline
        self._max_speakers = options.max_speakers
        self._calling = threading.Lock()

    def diarize(self, windows: Sequence[Window]) -> list[Diarization]:
        """Diarize windows: one answer each, in order."""
        return [one_party(one, self._vad) if one.one_speaker else self._diarize(one) for one in windows]

    def _diarize(self, window: Window) -> Diarization:
        # The network of a chunk would read digital silence as it reads any other sound: it hears nobody there.
        if window.end_s - window.start_s < MIN_WINDOW_S or not window.samples.any():
            return Diarization()
        with self._calling, forward_pass(self._pipeline.device):
            answer = self._pipeline(to_float(window.samples), SAMPLE_RATE_HZ, self._max_speakers)
        embeddings_KE = normalised(np.nan_to_num(answer.embeddings))
        spans = [one for one in answer.turns if embeddings_KE[one[2]].any()] or answer.turns
        turns, exclusive = (_inside(window, some) for some in (spans, answer.exclusive_turns))
        if not turns:
            return Diarization()
        turns, exclusive = (_sure(some, answer, embeddings_KE, window.start_s) for some in (turns, exclusive))
        return in_order_of_appearance(turns, list(embeddings_KE), exclusive)


def load_pyannote(folder: ResolvedModel, options: DiarizeOptions, vad: VoiceDetector) -> PyannoteDiarizer:
    """Load the diarizer with a pipeline's folder. Raises `PreflightError` for a folder that holds none."""
    return PyannoteDiarizer(options, vad, PyannotePipeline(folder.path, options.distance_threshold))


def _inside(window: Window, spans: Sequence[Span]) -> list[Turn]:
    """Turns of spans, sorted; the last chunk may reach past the window's end."""
    duration_s = window.end_s - window.start_s
    cut = [(max(0.0, start_s), min(end_s, duration_s), speaker) for start_s, end_s, speaker in spans]
    kept = sorted(span for span in cut if span[1] > span[0])
    return list(to_turns(kept, window.start_s))


def _sure(turns: Sequence[Turn], answer: Answer, embeddings_KE: NDArray[np.float32], offset_s: float) -> list[Turn]:
    """Turns with their confidence, from the local speakers of the chunks, each given to the nearest speaker."""
    if not len(answer.local_embeddings):
        return list(turns)
    vectors_NE = normalised(answer.local_embeddings)
    labels_N = cosine_distances(vectors_NE, embeddings_KE).argmin(axis=1)
    confidence_N = piece_confidence(vectors_NE, answer.spans[:, 2], labels_N)
    places = Spans(answer.spans[:, 0] + offset_s, answer.spans[:, 1] + offset_s)
    return with_confidence(turns, places, labels_N, confidence_N)

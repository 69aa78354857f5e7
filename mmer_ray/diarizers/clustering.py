"""The embedded diarizer: a clustering of the speaker embeddings of short segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mmer_ray.audio.pcm import to_float
from mmer_ray.audio.vad import Region, VoiceDetector
from mmer_ray.diarizers.agglomerative import BETWEEN_WINDOWS_THRESHOLD, WITHIN_WINDOW_THRESHOLD, normalised
from mmer_ray.diarizers.confidence import Spans, piece_confidence, with_confidence
from mmer_ray.diarizers.interface import Diarization
from mmer_ray.diarizers.speaker_turns import (
    Segment,
    Span,
    assign,
    cut_segments,
    find_speakers,
    join_close,
    to_turns,
)
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.models.speaker.checkpoint import load
from mmer_ray.models.speaker.model import embed as embed_clips
from mmer_ray.profiles import DiarizeOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Embedding, Samples, Window

Embed = Callable[[list[Samples]], NDArray[np.float32]]
"""Clips, int16, shape (num_samples,) each, to their speaker embeddings: L2-normalised, float32, shape (N, E)."""


class ClusteringDiarizer:
    """Clusters the speaker embeddings of short segments. Turns do not overlap.

    On a channel that holds one party every turn is speaker 0 and no embedding is made. A window's answer does not
    depend on the others: only the making of embeddings is shared, and that is exact.
    """

    join_threshold = BETWEEN_WINDOWS_THRESHOLD

    def __init__(self, options: DiarizeOptions, vad: VoiceDetector, embed: Embed) -> None:
        self._vad = vad
        self._embed = embed
        self._max_speakers = options.max_speakers
        self._threshold = options.distance_threshold or WITHIN_WINDOW_THRESHOLD

    def diarize(self, windows: Sequence[Window]) -> list[Diarization]:
        """Diarize windows: one answer each, in order."""
        regions = [self._vad.regions(window.samples) for window in windows]
        segments = [
            [] if window.one_speaker else cut_segments(found) for window, found in zip(windows, regions, strict=True)
        ]
        clips = [_clip(window, one) for window, cut in zip(windows, segments, strict=True) for one in cut]
        embeddings = self._embed(clips) if clips else np.empty((0, 0), dtype=np.float32)
        answers: list[Diarization] = []
        begin = 0
        for window, found, cut in zip(windows, regions, segments, strict=True):
            answers.append(self._assign(window, found, cut, embeddings[begin : begin + len(cut)]))
            begin += len(cut)
        return answers

    def _assign(
        self, window: Window, regions: list[Region], segments: list[Segment], embeddings_NE: NDArray[np.float32]
    ) -> Diarization:
        if not segments:
            return Diarization(to_turns([(start_s, end_s, 0) for start_s, end_s in regions], window.start_s))
        labels_N = find_speakers(embeddings_NE, self._threshold, self._max_speakers)
        spans = _in_order_of_appearance(assign(regions, segments, embeddings_NE, labels_N, window.samples))
        spans = join_close(spans, self._vad.min_silence_s)
        owners_N = np.array([_owner(segment, spans) for segment in segments])
        speakers = range(1 + max(speaker for _, _, speaker in spans))
        embeddings = tuple(_mean_embedding(embeddings_NE, owners_N == speaker) for speaker in speakers)
        edges = np.array([(segment.start_s, segment.end_s) for segment in segments]) + window.start_s
        confidence_N = piece_confidence(embeddings_NE, edges[:, 1] - edges[:, 0], owners_N)
        turns = with_confidence(to_turns(spans, window.start_s), Spans(*edges.T), owners_N, confidence_N)
        return Diarization(tuple(turns), embeddings)


def load_clustering(folder: ResolvedModel, options: DiarizeOptions, vad: VoiceDetector) -> ClusteringDiarizer:
    """Load the diarizer with a `speaker` checkpoint."""
    model = load(folder.path)
    return ClusteringDiarizer(options, vad, lambda clips: embed_clips(model, [to_float(clip) for clip in clips]))


def _clip(window: Window, segment: Segment) -> Samples:
    return window.samples[round(segment.start_s * SAMPLE_RATE_HZ) : round(segment.end_s * SAMPLE_RATE_HZ)]


def _in_order_of_appearance(spans: Sequence[Span]) -> list[Span]:
    """Number speakers 0, 1, .. by their first span; one that lost all its time is gone."""
    names: dict[int, int] = {}
    return [(start_s, end_s, names.setdefault(speaker, len(names))) for start_s, end_s, speaker in spans]


def _owner(segment: Segment, spans: Sequence[Span]) -> int:
    """The speaker with most of a segment."""
    return max(spans, key=lambda span: min(span[1], segment.end_s) - max(span[0], segment.start_s))[2]


def _mean_embedding(embeddings_NE: NDArray[np.float32], is_theirs_N: NDArray[np.bool_]) -> Embedding:
    """Average one speaker's segments, or all where a speaker has no more than parts of segments."""
    chosen_NE = embeddings_NE[is_theirs_N] if is_theirs_N.any() else embeddings_NE
    embedding_E: Embedding = normalised(chosen_NE.mean(axis=0, keepdims=True))[0]
    return embedding_E

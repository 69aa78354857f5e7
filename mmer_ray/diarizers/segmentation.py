"""The diarizer `segmentation`: segmentation-3.0 tells who talks when, for some seconds, and CAM++ who is who."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.audio.vad import VoiceDetector
from mmer_ray.diarizers.activity import exclusive_stretches, speaker_activity
from mmer_ray.diarizers.agglomerative import normalised
from mmer_ray.diarizers.interface import Diarization
from mmer_ray.diarizers.local_speakers import LocalReader, LocalReading
from mmer_ray.diarizers.pieces import Piece, VoiceEmbedder, cut_pieces, opinions
from mmer_ray.diarizers.speaker_count import SAME_VOICE_THRESHOLD, find_speakers
from mmer_ray.diarizers.speaker_turns import Span, join_close, to_turns
from mmer_ray.models.campplus import checkpoint as campplus_checkpoint
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.models.segmentation import checkpoint as segmentation_checkpoint
from mmer_ray.profiles import DiarizeOptions
from mmer_ray.records import Embedding, Turn, Window

BETWEEN_WINDOWS_THRESHOLD = 0.4
"""Cosine distance between the mean embeddings of two windows above which they are of two people. Five minutes and half
a minute of one telephone voice are 0.01 apart, the two voices of that call 0.5, those of a meeting 0.76."""
MIN_PAUSE_S = 0.3
"""A speaker's shorter pauses do not end a turn."""
MIN_TURN_S = 0.1
"""Shorter turns are clicks."""


class SegmentationDiarizer:
    """Finds turns, also those of people who talk at the same time.

    On a channel that holds one party every turn is speaker 0, found by the voice activity detector alone. A window's
    answer does not depend on the others: only the networks' batches are shared.
    """

    join_threshold = BETWEEN_WINDOWS_THRESHOLD

    def __init__(
        self, options: DiarizeOptions, vad: VoiceDetector, reader: LocalReader, embedder: VoiceEmbedder
    ) -> None:
        self._vad = vad
        self._reader = reader
        self._embedder = embedder
        self._max_speakers = options.max_speakers
        self._threshold = options.distance_threshold or SAME_VOICE_THRESHOLD

    def diarize(self, windows: Sequence[Window]) -> list[Diarization]:
        """Diarize windows: one answer each, in order."""
        mixed = [index for index, window in enumerate(windows) if not window.one_speaker]
        readings = self._reader.read([windows[index].samples for index in mixed])
        pieces = [[] if reading is None else cut_pieces(reading) for reading in readings]
        features = [
            self._embedder.features(windows[index].samples, reading, cut) if reading is not None and cut else []
            for index, reading, cut in zip(mixed, readings, pieces, strict=True)
        ]
        embeddings_NE = self._embedder.embed([one for of_window in features for one in of_window])
        answers = [self._one_party(window) if window.one_speaker else Diarization() for window in windows]
        begin = 0
        for index, reading, cut in zip(mixed, readings, pieces, strict=True):
            if reading is not None and cut:
                answers[index] = self._assign(windows[index], reading, cut, embeddings_NE[begin : begin + len(cut)])
            begin += len(cut)
        return answers

    def _one_party(self, window: Window) -> Diarization:
        spans = [(start_s, end_s, 0) for start_s, end_s in self._vad.regions(window.samples)]
        return Diarization(to_turns(spans, window.start_s))

    def _assign(
        self, window: Window, reading: LocalReading, pieces: list[Piece], embeddings_NE: NDArray[np.float32]
    ) -> Diarization:
        seconds_N = np.array([piece.seconds for piece in pieces])
        labels_N = find_speakers(embeddings_NE, seconds_N, opinions(pieces), self._threshold, self._max_speakers)
        activity_FK = speaker_activity(reading, pieces, labels_N)
        turns = [
            turn
            for speaker, talks_F in enumerate((activity_FK > 0).T)
            for turn in _inside(window, _stretches(reading, talks_F, speaker))
        ]
        turns.sort(key=lambda turn: (turn.start_s, turn.end_s))
        embeddings = [_mean(embeddings_NE, seconds_N, labels_N == speaker) for speaker in range(labels_N.max() + 1)]
        exclusive = _inside(window, exclusive_stretches(reading, activity_FK))
        return _in_order_of_appearance(turns, embeddings, exclusive)


def load_segmentation(
    segmentation: ResolvedModel, embedding: ResolvedModel, options: DiarizeOptions, vad: VoiceDetector
) -> SegmentationDiarizer:
    """Load the diarizer with its two checkpoints, onto a GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return SegmentationDiarizer(
        options,
        vad,
        LocalReader(segmentation_checkpoint.load(segmentation.path), device),
        VoiceEmbedder(campplus_checkpoint.load(embedding.path), device),
    )


def _stretches(reading: LocalReading, talks_F: NDArray[np.bool_], speaker: int) -> list[Span]:
    """Where a speaker talks, short pauses filled and clicks left out."""
    edges = np.flatnonzero(np.diff(talks_F, prepend=False, append=False)).reshape(-1, 2)
    spans = [(reading.edge_s(first), reading.edge_s(end), speaker) for first, end in edges.tolist()]
    return [span for span in join_close(spans, MIN_PAUSE_S) if span[1] - span[0] >= MIN_TURN_S]


def _inside(window: Window, spans: Sequence[Span]) -> tuple[Turn, ...]:
    """Turns of spans; the last frame may reach past the window's end."""
    duration_s = window.end_s - window.start_s
    return to_turns([(start_s, min(end_s, duration_s), speaker) for start_s, end_s, speaker in spans], window.start_s)


def _mean(
    embeddings_NE: NDArray[np.float32], seconds_N: NDArray[np.float64], is_theirs_N: NDArray[np.bool_]
) -> Embedding:
    """A speaker's embedding: the mean over their pieces, by seconds."""
    weighted_NE = embeddings_NE[is_theirs_N] * seconds_N[is_theirs_N, None]
    embedding_E: Embedding = normalised(weighted_NE.sum(axis=0, keepdims=True))[0]
    return embedding_E


def _in_order_of_appearance(
    turns: Sequence[Turn], embeddings: Sequence[Embedding], exclusive_turns: Sequence[Turn]
) -> Diarization:
    """Number speakers 0, 1, .. by their first turn; one without turns is gone."""
    numbers: dict[int, int] = {}
    for turn in turns:
        numbers.setdefault(turn.speaker, len(numbers))
    renamed, exclusive = (
        tuple(replace(turn, speaker=numbers[turn.speaker]) for turn in some if turn.speaker in numbers)
        for some in (turns, exclusive_turns)
    )
    return Diarization(renamed, tuple(embeddings[speaker] for speaker in numbers), exclusive)

"""The diarizer `segmentation`: segmentation-3.0 tells who talks when, for some seconds, and CAM++ who is who."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from mmer_ray.audio.vad import VoiceDetector
from mmer_ray.diarizers.assignment import HeardPieces
from mmer_ray.diarizers.interface import Diarization
from mmer_ray.diarizers.local_speakers import LocalReader
from mmer_ray.diarizers.one_party import one_party
from mmer_ray.diarizers.pieces import cut_pieces
from mmer_ray.diarizers.speaker_count import BETWEEN_WINDOWS_THRESHOLD, SAME_VOICE_THRESHOLD
from mmer_ray.diarizers.voice_embedder import VoiceEmbedder
from mmer_ray.models.campplus import checkpoint as campplus_checkpoint
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.models.segmentation import checkpoint as segmentation_checkpoint
from mmer_ray.profiles import DiarizeOptions
from mmer_ray.records import KeptPieces, Window


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
        answers = [one_party(one, self._vad) if one.one_speaker else Diarization(kept=KeptPieces()) for one in windows]
        begin = 0
        for index, reading, cut in zip(mixed, readings, pieces, strict=True):
            if reading is not None and cut:
                heard = HeardPieces.of(reading, cut, embeddings_NE[begin : begin + len(cut)])
                answers[index] = self._assign(windows[index], heard)
            begin += len(cut)
        return answers

    def _assign(self, window: Window, heard: HeardPieces) -> Diarization:
        labels_N = heard.speakers(self._threshold, 1, self._max_speakers)
        return replace(heard.assign(labels_N, window.start_s, window.end_s), kept=heard.packed())


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

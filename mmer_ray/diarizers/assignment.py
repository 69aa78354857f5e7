"""From what the networks heard of a window to its turns: how many speakers, who talks when. No torch, no sound.

The diarizer `segmentation` asks it first, `mmer recluster` again with other options and what the lake kept. Both see
the same numbers: embeddings of half precision, probabilities of a byte.

Shape letters: N pieces, E embedding size, F frames, K speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmer_ray.diarizers.activity import exclusive_stretches, speaker_activity
from mmer_ray.diarizers.agglomerative import normalised
from mmer_ray.diarizers.confidence import Spans, piece_confidence, with_confidence
from mmer_ray.diarizers.interface import Diarization, in_order_of_appearance
from mmer_ray.diarizers.local_reading import LocalReading
from mmer_ray.diarizers.pieces import Piece, cut_pieces, opinions
from mmer_ray.diarizers.speaker_count import find_speakers
from mmer_ray.diarizers.speaker_turns import Span, join_close, to_turns
from mmer_ray.records import Embedding, KeptPieces, Turn

MIN_PAUSE_S = 0.3
"""A speaker's shorter pauses do not end a turn."""
MIN_TURN_S = 0.1
"""Shorter turns are clicks."""
KEPT = np.dtype("<f2")
"""How embeddings are kept: 384 bytes of 192 numbers."""


@dataclass(frozen=True)
class HeardPieces:
    """What the networks heard of a window."""

    reading: LocalReading
    pieces: list[Piece]
    """Those of `pieces.cut_pieces`, which the reading alone decides."""
    embeddings: NDArray[np.float32]
    """Float32, shape (N, E), L2-normalised, each number one of half precision."""

    @classmethod
    def of(cls, reading: LocalReading, pieces: list[Piece], embeddings_NE: NDArray[np.float32]) -> HeardPieces:
        """Take what the networks answered, as precisely as it can be kept."""
        return cls(reading, pieces, embeddings_NE.astype(KEPT).astype(np.float32))

    @classmethod
    def unpacked(cls, kept: KeptPieces) -> HeardPieces:
        """What `packed` made of pieces, one at least."""
        reading = LocalReading.unpacked(kept.activity)
        embeddings = np.frombuffer(kept.embeddings, KEPT).reshape(kept.num_pieces, -1)
        pieces = cut_pieces(reading)
        assert len(pieces) == kept.num_pieces, "the pieces of a reading are those that were embedded"
        return cls(reading, pieces, embeddings.astype(np.float32))

    def packed(self) -> KeptPieces:
        """The same in few bytes."""
        return KeptPieces(len(self.pieces), self.embeddings.astype(KEPT).tobytes(), self.reading.packed())

    @property
    def seconds(self) -> NDArray[np.float64]:
        """How much sound each piece is, float64, shape (N,)."""
        return np.array([piece.seconds for piece in self.pieces])

    def speakers(self, threshold: float, min_speakers: int, max_speakers: int) -> NDArray[np.int64]:
        """Whose each piece is: labels 0.., shape (N,), by `speaker_count.find_speakers`."""
        said = opinions(self.pieces)
        return find_speakers(self.embeddings, self.seconds, said, threshold, max_speakers, min_speakers)

    def speaker_embeddings(self, labels_N: NDArray[np.int64]) -> list[Embedding]:
        """The mean over each speaker's pieces, by seconds: float32, shape (E,) each."""
        return [_mean(self.embeddings, self.seconds, labels_N == one) for one in range(labels_N.max() + 1)]

    def assign(self, labels_N: NDArray[np.int64], start_s: float, end_s: float) -> Diarization:
        """Say who talks when in the window from `start_s` to `end_s` of its recording."""
        activity_FK = speaker_activity(self.reading, self.pieces, labels_N)
        talking = enumerate((activity_FK > 0).T)
        spans = [span for speaker, talks_F in talking for span in _stretches(self.reading, talks_F, speaker)]
        turns = sorted(_inside(spans, start_s, end_s), key=lambda turn: (turn.start_s, turn.end_s))
        exclusive = _inside(exclusive_stretches(self.reading, activity_FK), start_s, end_s)
        confidence_N = piece_confidence(self.embeddings, self.seconds, labels_N)
        edges = [(self.reading.edge_s(one.frames[0]), self.reading.edge_s(one.frames[-1] + 1)) for one in self.pieces]
        places = Spans(*(np.array(edges) + start_s).T)
        sure, sure_exclusive = (with_confidence(some, places, labels_N, confidence_N) for some in (turns, exclusive))
        return in_order_of_appearance(sure, self.speaker_embeddings(labels_N), sure_exclusive)


def _stretches(reading: LocalReading, talks_F: NDArray[np.bool_], speaker: int) -> list[Span]:
    """Where a speaker talks, short pauses filled and clicks left out."""
    edges = np.flatnonzero(np.diff(talks_F, prepend=False, append=False)).reshape(-1, 2)
    spans = [(reading.edge_s(first), reading.edge_s(end), speaker) for first, end in edges.tolist()]
    return [span for span in join_close(spans, MIN_PAUSE_S) if span[1] - span[0] >= MIN_TURN_S]


def _inside(spans: Sequence[Span], start_s: float, end_s: float) -> tuple[Turn, ...]:
    """Turns of spans; the last frame may reach past the window's end."""
    duration_s = end_s - start_s
    return to_turns([(first_s, min(last_s, duration_s), speaker) for first_s, last_s, speaker in spans], start_s)


def _mean(
    embeddings_NE: NDArray[np.float32], seconds_N: NDArray[np.float64], is_theirs_N: NDArray[np.bool_]
) -> Embedding:
    """A speaker's embedding: the mean over their pieces, by seconds."""
    weighted_NE = embeddings_NE[is_theirs_N] * seconds_N[is_theirs_N, None]
    embedding_E: Embedding = normalised(weighted_NE.sum(axis=0, keepdims=True))[0]
    return embedding_E

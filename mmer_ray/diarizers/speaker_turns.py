"""From the speaker embeddings of short overlapping segments to who speaks when, to a tenth of a second.

Shape letters: N segments, E embedding size, K speakers, F frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from mmer_ray.audio.loudness import quietest
from mmer_ray.audio.vad import Region
from mmer_ray.diarizers.agglomerative import absorb_small, centroids, cluster, cosine_distances
from mmer_ray.records import SAMPLE_RATE_HZ, Samples, Turn

SEGMENT_S = 1.5
"""Long enough to tell voices, short enough to lie within one turn mostly."""
HOP_S = 0.5
FRAME_S = 0.1
MIN_SEGMENTS = 4
"""A speaker heard in fewer segments is a mixture at a border, or a noise."""
SWITCH_PENALTY = 1.0
"""What a change of speaker costs, in units of cosine distance summed over frames: a stretch of half a second must be
nearer to the other speaker by 0.4 at each of its ends."""
SNAP_S = 0.3
"""A border moves at most this far to the quietest moment: people seldom change in the middle of a syllable."""
SNAP_WIDTH_S = 0.1


@dataclass(frozen=True)
class Segment:
    """A stretch of speech that gets one speaker embedding."""

    region: int
    start_s: float
    end_s: float

    @property
    def centre_s(self) -> float:
        return (self.start_s + self.end_s) / 2


Span = tuple[float, float, int]
"""Start and end in seconds, and the speaker."""


def cut_segments(regions: list[Region]) -> list[Segment]:
    """Cut regions of speech into segments of `SEGMENT_S` every `HOP_S`, the last flush with its region's end."""
    segments: list[Segment] = []
    for index, (start_s, end_s) in enumerate(regions):
        num_hops = max(0, int(np.ceil((end_s - start_s - SEGMENT_S) / HOP_S - 1e-6)))
        starts_s = [min(start_s + hop * HOP_S, max(start_s, end_s - SEGMENT_S)) for hop in range(num_hops + 1)]
        segments.extend(Segment(index, first_s, min(first_s + SEGMENT_S, end_s)) for first_s in starts_s)
    return segments


def find_speakers(
    embeddings_NE: NDArray[np.float32], distance_threshold: float, max_speakers: int
) -> NDArray[np.int64]:
    """Find how many speakers there are and whose each segment is: labels 0.., shape (N,)."""
    labels_N = cluster(embeddings_NE, distance_threshold, max_speakers)
    return absorb_small(labels_N, embeddings_NE, MIN_SEGMENTS)


def assign(
    regions: list[Region],
    segments: list[Segment],
    embeddings_NE: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    samples: Samples,
) -> list[Span]:
    """Say who speaks when inside each region: spans that fill the regions, in order; neighbours differ in speaker."""
    if labels_N.max(initial=0) == 0:
        return [(start_s, end_s, 0) for start_s, end_s in regions]
    distances_NK = cosine_distances(embeddings_NE, centroids(embeddings_NE, labels_N))
    spans: list[Span] = []
    for index, (start_s, end_s) in enumerate(regions):
        members = [position for position, segment in enumerate(segments) if segment.region == index]
        centres_s = [segments[position].centre_s for position in members]
        frames_s = np.arange(start_s + FRAME_S / 2, max(end_s, start_s + FRAME_S), FRAME_S)
        distances_FK = np.stack(
            [np.interp(frames_s, centres_s, distances_NK[members, k]) for k in range(distances_NK.shape[1])], axis=1
        )
        spans.extend(_spans(smooth(distances_FK, SWITCH_PENALTY), start_s, end_s, samples))
    return spans


def smooth(distances_FK: NDArray[np.float64], switch_penalty: float) -> NDArray[np.int64]:
    """Choose a speaker per frame so that distances plus `switch_penalty` per change are least: shape (F,). Viterbi."""
    num_frames, num_speakers = distances_FK.shape
    came_from_FK = np.zeros((num_frames, num_speakers), dtype=np.int64)
    costs_K = distances_FK[0].copy()
    for frame in range(1, num_frames):
        best = int(costs_K.argmin())
        stay_K = costs_K <= costs_K[best] + switch_penalty
        came_from_FK[frame] = np.where(stay_K, np.arange(num_speakers), best)
        costs_K = np.where(stay_K, costs_K, costs_K[best] + switch_penalty) + distances_FK[frame]
    path_F = np.empty(num_frames, dtype=np.int64)
    speaker = int(costs_K.argmin())
    for frame in range(num_frames - 1, -1, -1):
        path_F[frame] = speaker
        speaker = int(came_from_FK[frame, speaker])
    return path_F


def snap(samples: Samples, border_s: float, low_s: float, high_s: float) -> float:
    """Move a border to the quietest moment within `SNAP_S` of it, inside `low_s`..`high_s`."""
    begin = round(max(low_s, border_s - SNAP_S) * SAMPLE_RATE_HZ)
    end = round(min(high_s, border_s + SNAP_S) * SAMPLE_RATE_HZ)
    found = quietest(samples, begin, end, SNAP_WIDTH_S)
    return border_s if found is None else found / SAMPLE_RATE_HZ


def _spans(labels_F: NDArray[np.int64], start_s: float, end_s: float, samples: Samples) -> list[Span]:
    """Turn frames into spans, their inner borders moved to quiet moments."""
    runs = [(speaker, len(list(frames))) for speaker, frames in groupby(labels_F.tolist())]
    borders_s = [start_s]
    counted = 0
    for _, num_frames in runs[:-1]:
        counted += num_frames
        border_s = start_s + counted * FRAME_S
        borders_s.append(snap(samples, border_s, borders_s[-1] + FRAME_S, end_s - FRAME_S))
    borders_s.append(end_s)
    return [(borders_s[i], borders_s[i + 1], speaker) for i, (speaker, _) in enumerate(runs)]


def join_close(spans: Sequence[Span], min_silence_s: float) -> list[Span]:
    """Join spans of one speaker that follow each other within `min_silence_s`; spans sorted by time."""
    joined: list[Span] = []
    for start_s, end_s, speaker in spans:
        if joined and joined[-1][2] == speaker and start_s - joined[-1][1] < min_silence_s:
            joined[-1] = (joined[-1][0], end_s, speaker)
        else:
            joined.append((start_s, end_s, speaker))
    return joined


def to_turns(spans: Sequence[Span], offset_s: float) -> tuple[Turn, ...]:
    """Turns in seconds of the recording of spans in seconds of a window that starts at `offset_s`."""
    return tuple(Turn(offset_s + start_s, offset_s + end_s, speaker) for start_s, end_s, speaker in spans)

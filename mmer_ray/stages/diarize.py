"""Diarize: who speaks when inside each window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mmer_ray.audio.pcm import to_float
from mmer_ray.audio.vad import Region, Vad
from mmer_ray.models.refs import parse_ref
from mmer_ray.models.resolver import resolve
from mmer_ray.models.speaker.checkpoint import load
from mmer_ray.models.speaker.model import embed as embed_clips
from mmer_ray.profiles import DiarizeOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Embedding, Samples, Turn, Window
from mmer_ray.stages.clustering import normalised
from mmer_ray.stages.speaker_turns import Segment, Span, assign, cut_segments, find_speakers

DISTANCE_THRESHOLD = 0.32
"""What the embedded speaker model was calibrated to, on 15 synthetic calls of its validation voices: from 0.28 to 0.36
the error changes by 0.03 at most; below, one voice in two moods becomes two, above, like voices become one."""

Embed = Callable[[list[Samples]], NDArray[np.float32]]
"""Clips, int16, shape (num_samples,) each, to their voices: L2-normalised, float32, shape (N, E)."""


class Diarize:
    """Adds turns to windows and, where anybody may speak, one voice per local speaker.

    On a channel that holds one party every turn is speaker 0 and no voice is taken. A window's answer does not depend
    on the others: only the taking of voices is shared, and that is exact.
    """

    name = "diarize"

    def __init__(self, options: DiarizeOptions, embed: Embed | None = None) -> None:
        """Load the models. `embed` takes the place of the profile's speaker model."""
        self._options = options
        self._vad = Vad(options.vad_threshold, options.min_silence_s)
        self._embed = _load_embed(options.model) if embed is None else embed
        self._threshold = options.distance_threshold or DISTANCE_THRESHOLD

    def __call__(self, windows: list[Window]) -> list[Window]:
        """Diarize all windows: same order, one out per in."""
        regions = [self._vad.regions(window.samples) for window in windows]
        segments = [[] if window.apart else cut_segments(found) for window, found in zip(windows, regions, strict=True)]
        clips = [_clip(window, one) for window, cut in zip(windows, segments, strict=True) for one in cut]
        voices = self._embed(clips) if clips else np.empty((0, 0), dtype=np.float32)
        answers: list[Window] = []
        begin = 0
        for window, found, cut in zip(windows, regions, segments, strict=True):
            answers.append(self._with_turns(window, found, cut, voices[begin : begin + len(cut)]))
            begin += len(cut)
        return answers

    def _with_turns(
        self, window: Window, regions: list[Region], segments: list[Segment], voices_NE: NDArray[np.float32]
    ) -> Window:
        if not segments:
            spans = [(start_s, end_s, 0) for start_s, end_s in regions]
            return replace(window, turns=_turns(spans, window.start_s), embeddings=())
        labels_N = find_speakers(voices_NE, self._threshold, self._options.max_speakers)
        spans = _in_order_of_appearance(assign(regions, segments, voices_NE, labels_N, window.samples))
        spans = join_close(spans, self._options.min_silence_s)
        owners_N = np.array([_owner(segment, spans) for segment in segments])
        speakers = range(1 + max(speaker for _, _, speaker in spans))
        embeddings = tuple(_mean_voice(voices_NE, owners_N == speaker) for speaker in speakers)
        return replace(window, turns=_turns(spans, window.start_s), embeddings=embeddings)


def join_close(spans: Sequence[Span], min_silence_s: float) -> list[Span]:
    """Join spans of one speaker that follow each other within `min_silence_s`; spans sorted by time."""
    joined: list[Span] = []
    for start_s, end_s, speaker in spans:
        if joined and joined[-1][2] == speaker and start_s - joined[-1][1] < min_silence_s:
            joined[-1] = (joined[-1][0], end_s, speaker)
        else:
            joined.append((start_s, end_s, speaker))
    return joined


def _load_embed(name: str) -> Embed:
    model = load(resolve(parse_ref("speaker", name)).path)
    return lambda clips: embed_clips(model, [to_float(clip) for clip in clips])


def _clip(window: Window, segment: Segment) -> Samples:
    return window.samples[round(segment.start_s * SAMPLE_RATE_HZ) : round(segment.end_s * SAMPLE_RATE_HZ)]


def _in_order_of_appearance(spans: Sequence[Span]) -> list[Span]:
    """Number speakers 0, 1, .. by their first span; a voice that lost all its time is gone."""
    names: dict[int, int] = {}
    return [(start_s, end_s, names.setdefault(speaker, len(names))) for start_s, end_s, speaker in spans]


def _owner(segment: Segment, spans: Sequence[Span]) -> int:
    """The speaker with most of a segment."""
    return max(spans, key=lambda span: min(span[1], segment.end_s) - max(span[0], segment.start_s))[2]


def _mean_voice(voices_NE: NDArray[np.float32], is_theirs_N: NDArray[np.bool_]) -> Embedding:
    """Average the voices of one speaker's segments, or of all where a speaker has no more than parts of segments."""
    chosen_NE = voices_NE[is_theirs_N] if is_theirs_N.any() else voices_NE
    voice_E: Embedding = normalised(chosen_NE.mean(axis=0, keepdims=True))[0]
    return voice_E


def _turns(spans: Sequence[Span], offset_s: float) -> tuple[Turn, ...]:
    return tuple(Turn(offset_s + start_s, offset_s + end_s, speaker) for start_s, end_s, speaker in spans)

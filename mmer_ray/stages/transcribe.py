"""Transcribe: words with times, grouped into utterances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, groupby

import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.audio.pcm import to_float
from mmer_ray.models import wav2vec2
from mmer_ray.models.ctc import bigrams
from mmer_ray.models.ctc.beam import BeamOptions, beam_search
from mmer_ray.models.ctc.checkpoint import load
from mmer_ray.models.ctc.vocabulary import BLANK, SYMBOLS, WORD_BREAK, to_text
from mmer_ray.models.refs import parse_ref
from mmer_ray.models.resolver import resolve
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Window
from mmer_ray.stages.alignment import align, greedy
from mmer_ray.stages.chunks import Chunk, cut_chunks, pack
from mmer_ray.stages.utterances import HeardWord, to_utterances

LANGUAGE = "en"
"""The embedded transcriber spells English; it does not tell languages apart, so it gives no probability."""
TAIL_S = 0.06
"""A letter's peak lies before its sound has ended: a word lasts so much longer, where the next leaves room. Measured
on synthetic calls, whose utterances otherwise end 0.07 s early (median) and start 0.01 s late."""
NEVER = np.float32(-1e4)
# Sentence marks and the unknown symbol spell nothing.
_SPELLS_NOTHING = [symbol for symbol in range(len(SYMBOLS)) if symbol < WORD_BREAK and symbol != BLANK]


class Transcribe:
    """Adds utterances with words to windows; speech without words adds none and stays in the turns.

    Chunks of speech are packed across windows and recordings into batches of about equal length. Padding is masked
    exactly, so a chunk reads the same alone and in any batch.
    """

    name = "transcribe"

    def __init__(self, options: TranscribeOptions) -> None:
        self._batch_s = options.batch_s
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        folder = resolve(parse_ref("ctc", options.model)).path
        self._model = load(folder).to(self._device)
        self._bigrams = bigrams.load(folder) if options.beam_width > 1 else None
        self._beam = BeamOptions(width=options.beam_width)
        backbone = self._model.backbone.config
        self._min_samples = wav2vec2.min_samples(backbone)
        self._frame_s = wav2vec2.frame_stride_s(backbone)
        # A frame sees more than its stride; its own stretch is the middle of what it sees.
        self._first_frame_s = (self._min_samples / SAMPLE_RATE_HZ - self._frame_s) / 2

    def __call__(self, windows: list[Window]) -> list[Window]:
        """Transcribe all windows: same order, one out per in."""
        words: dict[int, list[HeardWord]] = defaultdict(list)
        chunks = [chunk for chunk in cut_chunks(windows) if chunk.num_samples >= self._min_samples]
        for batch in pack(chunks, self._batch_s):
            for chunk, logprobs_TV in zip(batch, self._listen(windows, batch), strict=True):
                first_s = windows[chunk.window].start_s + chunk.begin / SAMPLE_RATE_HZ + self._first_frame_s
                heard_words = locate_words(logprobs_TV, self._read(logprobs_TV), first_s, self._frame_s)
                words[chunk.window].extend(with_tails(heard_words))
        heard = [sorted(words[position], key=lambda word: word.start_s) for position in range(len(windows))]
        return [
            replace(
                window,
                utterances=tuple(replace(one, language=LANGUAGE) for one in to_utterances(window, window_words)),
            )
            for window, window_words in zip(windows, heard, strict=True)
        ]

    def _read(self, logprobs_TV: NDArray[np.float32]) -> list[int]:
        """Decode a chunk: by beam search where the model brings a bigram language model, else greedily."""
        if self._bigrams is None:
            return greedy(logprobs_TV, BLANK)
        return beam_search(logprobs_TV, self._bigrams, self._beam)

    def _listen(self, windows: Sequence[Window], chunks: Sequence[Chunk]) -> list[NDArray[np.float32]]:
        """Run the model over one batch: log probabilities, float32, shape (T, V), for each chunk's true frames."""
        cut = [windows[chunk.window].samples[chunk.begin : chunk.end] for chunk in chunks]
        speech = [wav2vec2.normalise(to_float(samples)) for samples in cut]
        samples_BS, num_samples_B = wav2vec2.pad_batch(speech)
        with torch.inference_mode():
            logits_BTV, num_frames_B = self._model(samples_BS.to(self._device), num_samples_B.to(self._device))
            logprobs_BTV = torch.log_softmax(logits_BTV.float(), dim=-1).cpu().numpy()
        logprobs_BTV[:, :, _SPELLS_NOTHING] = NEVER
        return [
            logprobs_TV[:num_frames]
            for logprobs_TV, num_frames in zip(logprobs_BTV, num_frames_B.tolist(), strict=True)
        ]


def locate_words(
    logprobs_TV: NDArray[np.float32], symbols: list[int], first_s: float, frame_s: float
) -> list[HeardWord]:
    """Find where the words of a chunk lie.

    Takes log probabilities, float32, shape (T, V), and what was read from them; frame t lasts from
    `first_s + t * frame_s` for `frame_s`.
    """
    spans = align(logprobs_TV, symbols, BLANK)
    assert spans is not None, "what was read from frames fits them"
    # The words chosen need not be the likeliest symbols of each frame: what counts is the path they take.
    path_T = logprobs_TV[:, BLANK].copy()
    for symbol, span in zip(symbols, spans, strict=True):
        path_T[span.first : span.end] = logprobs_TV[span.first : span.end, symbol]
    words: list[HeardWord] = []
    spelled = zip(symbols, spans, strict=True)
    for is_break, letters_and_spans in groupby(spelled, key=lambda pair: pair[0] == WORD_BREAK):
        if is_break:
            continue
        letters, letter_spans = zip(*letters_and_spans, strict=True)
        first, end = letter_spans[0].first, letter_spans[-1].end
        words.append(
            HeardWord(
                word=to_text(letters),
                start_s=first_s + first * frame_s,
                end_s=first_s + end * frame_s,
                p=float(np.mean(np.exp([span.logprob for span in letter_spans]))),
                logprob=float(path_T[first:end].mean()),
            )
        )
    return words


def with_tails(words: Sequence[HeardWord]) -> list[HeardWord]:
    """Let each word of a chunk last `TAIL_S` longer, but not into the next."""
    next_starts_s = chain((word.start_s for word in words[1:]), [float("inf")])
    return [
        word._replace(end_s=max(word.end_s, min(word.end_s + TAIL_S, next_start_s)))
        for word, next_start_s in zip(words, next_starts_s, strict=False)
    ]

"""The embedded recognizer: characters of a CTC model, read with a word model, and their times."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby

import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.audio.pcm import to_float
from mmer_ray.models import wav2vec2
from mmer_ray.models.batches import length_buckets
from mmer_ray.models.ctc import bigrams
from mmer_ray.models.ctc.beam import BeamOptions, beam_search
from mmer_ray.models.ctc.checkpoint import load
from mmer_ray.models.ctc.vocabulary import BLANK, SYMBOLS, WORD_BREAK, to_text
from mmer_ray.models.gpu_clock import forward_pass
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.alignment import IMPOSSIBLE, Span, Speech, align, greedy, path_logprobs
from mmer_ray.recognizers.hints import refuse_languages, refuse_text
from mmer_ray.recognizers.interface import Chunk, TimedWord, Transcript
from mmer_ray.records import SAMPLE_RATE_HZ, Expected

LANGUAGE = "en"
"""This model spells English; it does not tell languages apart, so it gives no probability."""
MAX_CHUNK_S = 6.0
"""It reads short stretches best: on 31 tuning calls 0.055 of the words were wrong at 15 s, 0.047 at 6 s, 0.049 at
4 s."""
TAIL_S = 0.06
"""A letter's peak lies before its sound has ended: a word lasts so much longer, where the next leaves room. Measured
on synthetic calls, whose utterances otherwise end 0.07 s early (median) and start 0.01 s late."""
# Sentence marks and the unknown symbol spell nothing.
_SPELLS_NOTHING = [symbol for symbol in range(len(SYMBOLS)) if symbol < WORD_BREAK and symbol != BLANK]


class CtcRecognizer:
    """Reads chunks in batches of about equal length.

    Padding is masked exactly, so a chunk reads the same alone and in any batch.
    """

    max_chunk_s = MAX_CHUNK_S
    packs_chunks = False
    margin_s = 0.0

    def __init__(self, folder: ResolvedModel, options: TranscribeOptions) -> None:
        self._batch_s = options.batch_s
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = load(folder.path).to(self._device)
        self._beam = BeamOptions() if options.beam_width is None else BeamOptions(width=options.beam_width)
        self._bigrams = bigrams.load(folder.path) if self._beam.width > 1 else None
        backbone = self._model.backbone.config
        self._min_samples = wav2vec2.min_samples(backbone)
        self._frame_s = wav2vec2.frame_stride_s(backbone)
        # A frame sees more than its stride; its own stretch is the middle of what it sees.
        self._first_frame_s = (self._min_samples / SAMPLE_RATE_HZ - self._frame_s) / 2

    def check_expected(self, expected: Expected) -> None:
        """As `Recognizer.check_expected`: it spells English, and hears what it hears."""
        refuse_languages(expected.languages, (LANGUAGE,))
        refuse_text(expected, "ctc")

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
        """Read chunks: one transcript each, in order; one that is shorter than a frame has no words."""
        transcripts = [Transcript(language=LANGUAGE)] * len(chunks)
        readable = [index for index, chunk in enumerate(chunks) if len(chunk.samples) >= self._min_samples]
        lengths = [len(chunks[index].samples) for index in readable]
        for bucket in length_buckets(lengths, self._batch_s * SAMPLE_RATE_HZ):
            batch = [readable[position] for position in bucket]
            read = [Speech(logprobs, self._read(logprobs)) for logprobs in self._predict([chunks[i] for i in batch])]
            for index, speech, spans in zip(batch, read, align(read, BLANK), strict=True):
                assert spans is not None, "what was read from frames fits them"
                transcripts[index] = self._transcript(speech, spans)
        return transcripts

    def _transcript(self, speech: Speech, spans: Sequence[Span]) -> Transcript:
        words = with_tails(locate_words(speech, spans, self._first_frame_s, self._frame_s))
        logprobs = [word.logprob for word in words if word.logprob is not None]
        return Transcript(tuple(words), LANGUAGE, logprob=float(np.mean(logprobs)) if logprobs else None)

    def _read(self, logprobs_TV: NDArray[np.float32]) -> list[int]:
        """Read a chunk: by a beam search with the language model where the checkpoint has one, else greedily."""
        if self._bigrams is None:
            return greedy(logprobs_TV, BLANK)
        return beam_search(logprobs_TV, self._bigrams, self._beam)

    def _predict(self, chunks: Sequence[Chunk]) -> list[NDArray[np.float32]]:
        """Run the model over one batch: log probabilities, float32, shape (T, V), for each chunk's true frames."""
        speech = [wav2vec2.normalise(to_float(chunk.samples)) for chunk in chunks]
        samples_BS, num_samples_B = wav2vec2.pad_batch(speech)
        with forward_pass(self._device):
            logits_BTV, num_frames_B = self._model(samples_BS.to(self._device), num_samples_B.to(self._device))
            logprobs_BTV = torch.log_softmax(logits_BTV.float(), dim=-1).cpu().numpy()
        logprobs_BTV[:, :, _SPELLS_NOTHING] = IMPOSSIBLE
        return [
            logprobs_TV[:num_frames]
            for logprobs_TV, num_frames in zip(logprobs_BTV, num_frames_B.tolist(), strict=True)
        ]


def locate_words(speech: Speech, spans: Sequence[Span], first_s: float, frame_s: float) -> list[TimedWord]:
    """Find where the words of a chunk lie, from the spans of its symbols.

    Frame t lasts from `first_s + t * frame_s` for `frame_s`.
    """
    # The words chosen need not be the likeliest symbols of each frame: what counts is the path they take.
    frames_N2 = np.array([(span.first, span.end) for span in spans], np.int64).reshape(-1, 2)
    path_T = path_logprobs(speech, frames_N2[:, 0], frames_N2[:, 1], BLANK)
    words: list[TimedWord] = []
    spelled = zip(speech.symbols, spans, strict=True)
    for is_break, letters_and_spans in groupby(spelled, key=lambda pair: pair[0] == WORD_BREAK):
        if is_break:
            continue
        letters, letter_spans = zip(*letters_and_spans, strict=True)
        first, end = letter_spans[0].first, letter_spans[-1].end
        words.append(
            TimedWord(
                word=to_text(letters),
                start_s=first_s + first * frame_s,
                end_s=first_s + end * frame_s,
                p=float(np.mean(np.exp([span.logprob for span in letter_spans]))),
                logprob=float(path_T[first:end].mean()),
            )
        )
    return words


def with_tails(words: Sequence[TimedWord]) -> list[TimedWord]:
    """Let each word of a chunk last `TAIL_S` longer, but not into the next."""
    next_starts_s = chain((word.start_s for word in words[1:]), [float("inf")])
    return [
        word._replace(end_s=max(word.end_s, min(word.end_s + TAIL_S, next_start_s)))
        for word, next_start_s in zip(words, next_starts_s, strict=False)
    ]

"""The member `whisper`: chunks of many recordings and languages in one batch.

Each chunk is padded to 30 s by itself and goes through the encoder once; that encoding serves the identification of
its language, its text and the times of its words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.aligner import load_aligners
from mmer_ray.recognizers.interface import Chunk, TimedWord, Transcript
from mmer_ray.recognizers.whisper.fallback import better, second_search, why_not_believed
from mmer_ray.recognizers.whisper.languages import Language, allowed_languages, most_probable
from mmer_ray.recognizers.whisper.network import Encoded, Generated, Network, Search
from mmer_ray.recognizers.whisper.plausibility import plausible_words
from mmer_ray.recognizers.whisper.tokens import CHUNK_S, FRAMES_PER_S, UNSPACED, LogMel, Tokens
from mmer_ray.recognizers.whisper.words import timed_words
from mmer_ray.records import SAMPLE_RATE_HZ, DroppedWords, Samples

FRAME_SAMPLES = SAMPLE_RATE_HZ // FRAMES_PER_S
MIN_SAMPLES = 2 * FRAME_SAMPLES
"""A frame of the encoder: times need one."""
MIN_AMPLITUDE = 4
"""Of 32,768, about -78 dB: what never reaches it is digital silence with dither, and is not read."""


@dataclass(frozen=True)
class _Reading:
    """A chunk on its way from sound to words."""

    index: int
    num_samples: int
    language: Language
    encoded: Encoded
    """Shape (T, H)."""
    generated: Generated
    fallback_reason: str | None = None

    @property
    def duration_s(self) -> float:
        return self.num_samples / SAMPLE_RATE_HZ


class WhisperRecognizer:
    """Reads chunks of up to 30 s. Short ones cost as much as long ones, so speech is packed."""

    max_chunk_s = float(CHUNK_S)
    packs_chunks = True

    def __init__(self, folder: ResolvedModel, options: TranscribeOptions) -> None:
        self._network = Network(folder.path)
        self._tokens = Tokens(folder.path, multilingual=self._network.is_multilingual)
        self._log_mel = LogMel(self._network.num_mels)
        self._allowed = allowed_languages(options.languages, self._tokens.languages)
        self._keywords = options.keywords
        self._aligners = load_aligners(options, self._tokens.languages)
        self._search = Search() if options.beam_width is None else Search(options.beam_width)
        self._batch_size = max(1, int(options.batch_s / CHUNK_S))

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
        """Read chunks: one transcript each, in order; one that is shorter than 20 ms or silent has no words."""
        transcripts = [Transcript()] * len(chunks)
        readable = [index for index, chunk in enumerate(chunks) if _has_sound(chunk)]
        doubtful: list[_Reading] = []
        for batch in _slices(readable, self._batch_size):
            settled: list[_Reading] = []
            for reading in self._read(chunks, batch):
                (settled if reading.fallback_reason is None else doubtful).append(reading)
            while len(doubtful) >= self._batch_size or (doubtful and batch[-1] == readable[-1]):
                settled += self._read_again(doubtful[: self._batch_size])
                del doubtful[: self._batch_size]
            for reading, transcript in self._with_words(chunks, settled):
                transcripts[reading.index] = transcript
        return transcripts

    def _read(self, chunks: Sequence[Chunk], batch: Sequence[int]) -> list[_Reading]:
        """Encode chunks, identify their languages and write their texts."""
        encoded_BTH = self._network.encode(np.stack([self._log_mel(chunks[index].samples) for index in batch]))
        languages = self._identify(encoded_BTH, [chunks[index].language for index in batch])
        readings = []
        for index, encoded_TH, language, generated in zip(
            batch, encoded_BTH, languages, self._generate(encoded_BTH, languages, self._search), strict=True
        ):
            doubt = why_not_believed(self._text(generated), generated)
            readings.append(_Reading(index, len(chunks[index].samples), language, encoded_TH, generated, doubt))
        return readings

    def _identify(self, encoded_BTH: Encoded, given: Sequence[str | None]) -> list[Language]:
        if len(self._allowed) == 1:
            return [Language(self._allowed[0], None)] * len(given)
        probabilities = self._network.language_probabilities(encoded_BTH)
        return [
            most_probable(of_chunk, self._allowed) if language is None else Language(language, None)
            for language, of_chunk in zip(given, probabilities, strict=True)
        ]

    def _generate(self, encoded_BTH: Encoded, languages: Sequence[Language], search: Search) -> list[Generated]:
        prompts = [self._tokens.prompt(language.code, self._keywords) for language in languages]
        return self._network.generate(encoded_BTH, prompts, search)

    def _read_again(self, doubtful: Sequence[_Reading]) -> list[_Reading]:
        """Look for a better text of chunks whose first was not believed."""
        encoded_BTH = np.stack([reading.encoded for reading in doubtful])
        second = self._generate(encoded_BTH, [one.language for one in doubtful], second_search(self._search))
        return [
            replace(one, generated=better((self._text(one.generated), one.generated), (self._text(other), other)))
            for one, other in zip(doubtful, second, strict=True)
        ]

    def _with_words(
        self, chunks: Sequence[Chunk], readings: Sequence[_Reading]
    ) -> Iterator[tuple[_Reading, Transcript]]:
        """Find the times of the words, one language after the other, and part what can have been said."""
        of_language: dict[str, list[tuple[_Reading, list[int]]]] = defaultdict(list)
        for reading in readings:
            if tokens := self._tokens.text_only(reading.generated.tokens):
                of_language[reading.language.code].append((reading, tokens))
            else:
                yield reading, _transcript(reading)
        for code, texts in of_language.items():
            judged = [
                plausible_words(words, reading.generated, reading.duration_s)
                for (reading, _), words in zip(texts, self._words(code, texts), strict=True)
            ]
            sounds = [chunks[reading.index].samples for reading, _ in texts]
            timed = self._timed(code, sounds, [kept for kept, _ in judged])
            for (reading, _), words, (_, dropped) in zip(texts, timed, judged, strict=True):
                yield reading, _transcript(reading, words, dropped)

    def _words(self, language: str, texts: Sequence[tuple[_Reading, list[int]]]) -> list[list[TimedWord]]:
        """Find the times of all words of texts in one language by cross-attention."""
        aligned = self._network.align(
            np.stack([reading.encoded for reading, _ in texts]),
            self._tokens.start(language),
            [tokens for _, tokens in texts],
            [-(-reading.num_samples // FRAME_SAMPLES) for reading, _ in texts],
        )
        return [
            timed_words(
                self._tokens.split_words(tokens, language),
                places.starts_s,
                places.probabilities,
                reading.duration_s,
                spaced=language not in UNSPACED,
            )
            for (reading, tokens), places in zip(texts, aligned, strict=True)
        ]

    def _timed(
        self, language: str, sounds: Sequence[Samples], words_of: Sequence[Sequence[TimedWord]]
    ) -> list[Sequence[TimedWord]]:
        """Give words the times that the language's aligner finds; those that it does not find keep theirs.

        What cannot have been said is out by then, by rules that are made for the times of cross-attention.
        """
        timed: list[Sequence[TimedWord]] = list(words_of)
        with_words = [position for position, words in enumerate(words_of) if words]
        if (aligner := self._aligners.get(language)) is None or not with_words:
            return timed
        texts = [[word.word for word in words_of[position]] for position in with_words]
        found = aligner.times([sounds[position] for position in with_words], texts, spaced=language not in UNSPACED)
        for position, times in zip(with_words, found, strict=True):
            timed[position] = [
                word if place is None else word._replace(start_s=place[0], end_s=place[1])
                for word, place in zip(words_of[position], times, strict=True)
            ]
        return timed

    def _text(self, generated: Generated) -> str:
        return self._tokens.decode(self._tokens.text_only(generated.tokens))


def _transcript(reading: _Reading, words: Sequence[TimedWord] = (), dropped: Sequence[DroppedWords] = ()) -> Transcript:
    language, generated = reading.language, reading.generated
    return Transcript(
        tuple(words), language.code, language.p, generated.logprob, reading.fallback_reason, tuple(dropped)
    )


def _has_sound(chunk: Chunk) -> bool:
    samples = chunk.samples
    return len(samples) >= MIN_SAMPLES and max(int(samples.max()), -int(samples.min())) >= MIN_AMPLITUDE


def _slices(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for first in range(0, len(indices), size):
        yield indices[first : first + size]

"""The member `whisper`: chunks of many recordings and languages in one batch.

Each chunk is padded to 30 s by itself and goes through the encoder once; that encoding serves the identification of
the language, which the chunks of a window share as far as they agree (`languages.py`), its text and the times of its
words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

import numpy as np

from mmer_ray.errors import UsageError
from mmer_ray.models.resolver import ResolvedModel
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.aligner import load_aligners
from mmer_ray.recognizers.hints import refuse_languages
from mmer_ray.recognizers.interface import Chunk, TimedWord, Transcript
from mmer_ray.recognizers.whisper.fallback import better, second_search, why_not_believed
from mmer_ray.recognizers.whisper.languages import Evidence, Language, allowed_languages, languages_of
from mmer_ray.recognizers.whisper.network import Encoded, Generated, Network, Search
from mmer_ray.recognizers.whisper.parts import fuller, needs_parts, parts_of
from mmer_ray.recognizers.whisper.plausibility import plausible_words
from mmer_ray.recognizers.whisper.tokens import CHUNK_S, FRAMES_PER_S, MAX_PROMPT_TOKENS, UNSPACED, LogMel, Tokens
from mmer_ray.recognizers.whisper.words import timed_words
from mmer_ray.records import SAMPLE_RATE_HZ, DroppedWords, Expected, Samples

FRAME_SAMPLES = SAMPLE_RATE_HZ // FRAMES_PER_S
MIN_SAMPLES = 2 * FRAME_SAMPLES
"""A frame of the encoder: times need one."""
MARGIN_S = 0.2
"""Turns end within a word's last sound. Words wrong behind the `segmentation` diarizer at 0, 0.1, 0.2 and 0.3 s: 0.037,
0.012, 0.012, 0.012 of clear clips, 0.062, 0.086, 0.049, 0.049 of a telephone pair, 0.017, 0.006, 0.011, 0.011 of 30
RAVDESS files: the least that helps both of the first."""
MIN_AMPLITUDE = 4
"""Of 32,768, about -78 dB: what never reaches it is digital silence with dither, and is not read."""


@dataclass(frozen=True)
class _Heard:
    """A chunk behind the encoder."""

    index: int
    num_samples: int
    encoded: Encoded
    """Shape (T, H)."""
    language: Language | None
    """Where it is known beforehand."""
    probabilities: Mapping[str, float]
    """Of each language; empty where nothing is to be identified."""
    expected: Expected


@dataclass(frozen=True)
class _Reading:
    """A chunk on its way from sound to words."""

    index: int
    num_samples: int
    language: Language
    encoded: Encoded
    """Shape (T, H)."""
    generated: Generated
    expected: Expected
    fallback_reason: str | None = None

    @property
    def duration_s(self) -> float:
        return self.num_samples / SAMPLE_RATE_HZ


class WhisperRecognizer:
    """Reads chunks of up to 30 s. Short ones cost as much as long ones, so speech is packed."""

    max_chunk_s = float(CHUNK_S)
    packs_chunks = True
    margin_s = MARGIN_S

    def __init__(self, folder: ResolvedModel, options: TranscribeOptions) -> None:
        self._network = Network(folder.path)
        self._tokens = Tokens(folder.path, multilingual=self._network.is_multilingual)
        self._log_mel = LogMel(self._network.num_mels)
        self._allowed = allowed_languages(options.languages, self._tokens.languages)
        self._keywords = options.keywords
        self._aligners = load_aligners(options, self._tokens.languages)
        self._search = Search() if options.beam_width is None else Search(options.beam_width)
        self._batch_size = max(1, int(options.batch_s / CHUNK_S))

    def check_expected(self, expected: Expected) -> None:
        """As `Recognizer.check_expected`. Keywords come beside the profile's, languages in their place."""
        refuse_languages(expected.languages, self._tokens.languages)
        if not (expected.keywords or expected.prompt):
            return
        num_tokens = self._tokens.num_keyword_tokens((*self._keywords, *expected.keywords))
        if expected.keywords and num_tokens > MAX_PROMPT_TOKENS:
            raise UsageError(
                f"keywords: they are {num_tokens} tokens, with those of the profile, and {MAX_PROMPT_TOKENS} fit; "
                "name fewer"
            )
        if expected.prompt and num_tokens >= MAX_PROMPT_TOKENS:
            raise UsageError("prompt: the keywords leave no room for it; name fewer, or leave it out")

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
        """Read chunks: one transcript each, in order; one that is shorter than 20 ms or silent has no words."""
        transcripts = self._read(chunks)
        short = [index for index, one in enumerate(transcripts) if needs_parts(chunks[index], one)]
        parts = [parts_of(chunks[index], transcripts[index]) for index in short]
        read = iter(self._read([part for some in parts for part in some]) if parts else ())
        for index, some in zip(short, parts, strict=True):
            transcripts[index] = fuller(chunks[index], transcripts[index], list(islice(read, len(some))))
        return transcripts

    def _read(self, chunks: Sequence[Chunk]) -> list[Transcript]:
        """Read chunks, each once."""
        transcripts = [Transcript()] * len(chunks)
        readable = [index for index, chunk in enumerate(chunks) if _has_sound(chunk)]
        for settled in self._settled(self._identify(chunks, self._hear(chunks, readable))):
            for reading, transcript in self._with_words(chunks, settled):
                transcripts[reading.index] = transcript
        return transcripts

    def _hear(self, chunks: Sequence[Chunk], readable: Sequence[int]) -> Iterator[_Heard]:
        """Run the encoder, once for each chunk, and ask it for the language where that is not known."""
        for batch in _slices(readable, self._batch_size):
            encoded_BTH = self._network.encode(np.stack([self._log_mel(chunks[index].samples) for index in batch]))
            known = [self._known_language(chunks[index]) for index in batch]
            unknown = [position for position, language in enumerate(known) if language is None]
            asked = self._network.language_probabilities(encoded_BTH[unknown]) if unknown else []
            probabilities = dict(zip(unknown, asked, strict=True))
            for position, index in enumerate(batch):
                num_samples = len(chunks[index].samples)
                yield _Heard(
                    index,
                    num_samples,
                    encoded_BTH[position],
                    known[position],
                    probabilities.get(position, {}),
                    chunks[index].expected,
                )

    def _known_language(self, chunk: Chunk) -> Language | None:
        allowed = chunk.expected.languages or self._allowed
        code = allowed[0] if len(allowed) == 1 else chunk.language
        return None if code is None else Language(code, None)

    def _identify(self, chunks: Sequence[Chunk], heard: Iterable[_Heard]) -> Iterator[tuple[_Heard, Language]]:
        """Say the language of each chunk, in order; held meanwhile: the encodings of one group and of one batch."""
        for _, members in groupby(heard, lambda one: _group_of(one.index, chunks[one.index])):
            group = list(members)
            unknown = [one for one in group if one.language is None]
            evidence = [Evidence(one.probabilities, one.num_samples / SAMPLE_RATE_HZ) for one in unknown]
            found = iter(languages_of(evidence, group[0].expected.languages or self._allowed))
            yield from ((one, one.language or next(found)) for one in group)

    def _settled(self, heard: Iterator[tuple[_Heard, Language]]) -> Iterator[list[_Reading]]:
        """Write texts in batches; those that are not believed are written again, in batches of their own."""
        doubtful: list[_Reading] = []
        while batch := list(islice(heard, self._batch_size)):
            settled: list[_Reading] = []
            for reading in self._write(batch):
                (settled if reading.fallback_reason is None else doubtful).append(reading)
            if len(doubtful) >= self._batch_size:
                settled += self._write_again(doubtful[: self._batch_size])
                del doubtful[: self._batch_size]
            yield settled
        if doubtful:
            yield self._write_again(doubtful)

    def _write(self, batch: Sequence[tuple[_Heard, Language]]) -> list[_Reading]:
        """Write the texts of chunks whose languages are known."""
        prompts = [self._prompt(heard.expected, language) for heard, language in batch]
        texts = self._generate(np.stack([heard.encoded for heard, _ in batch]), prompts, self._search)
        return [
            _Reading(
                heard.index,
                heard.num_samples,
                language,
                heard.encoded,
                generated,
                heard.expected,
                why_not_believed(self._text(generated), generated),
            )
            for (heard, language), generated in zip(batch, texts, strict=True)
        ]

    def _prompt(self, expected: Expected, language: Language) -> list[int]:
        return self._tokens.prompt(language.code, (*self._keywords, *expected.keywords), expected.prompt)

    def _generate(self, encoded_BTH: Encoded, prompts: Sequence[list[int]], search: Search) -> list[Generated]:
        """Write texts behind prompts, those of one length together."""
        of_length: dict[int, list[int]] = defaultdict(list)
        for position, prompt in enumerate(prompts):
            of_length[len(prompt)].append(position)
        texts: dict[int, Generated] = {}
        for positions in of_length.values():
            some = self._network.generate(encoded_BTH[positions], [prompts[one] for one in positions], search)
            texts |= dict(zip(positions, some, strict=True))
        return [texts[position] for position in range(len(prompts))]

    def _write_again(self, doubtful: Sequence[_Reading]) -> list[_Reading]:
        """Look for a better text of chunks whose first was not believed."""
        encoded_BTH = np.stack([reading.encoded for reading in doubtful])
        prompts = [self._prompt(one.expected, one.language) for one in doubtful]
        second = self._generate(encoded_BTH, prompts, second_search(self._search))
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


def _group_of(index: int, chunk: Chunk) -> tuple[bool, int]:
    """What chunks that are judged together share; one without a group shares nothing."""
    return (False, index) if chunk.group is None else (True, chunk.group)


def _slices(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for first in range(0, len(indices), size):
        yield indices[first : first + size]

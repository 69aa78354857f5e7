"""From chunks of speech to utterances, whoever reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mmer_ray.recognizers.interface import Chunk, TimedWord, Transcript
from mmer_ray.records import SAMPLE_RATE_HZ, DroppedWords, Turn
from mmer_ray.stages.transcribe import transcribe
from tests.members import OneWordRecognizer
from tests.stages.makers import window


class ClickRecognizer:
    """Hears every sample above half of full scale as a word of a tenth of a second."""

    max_chunk_s = 4.0
    packs_chunks = False
    margin_s = 0.0

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
        return [
            Transcript(
                tuple(TimedWord("click", at / SAMPLE_RATE_HZ, at / SAMPLE_RATE_HZ + 0.1, 0.9, -0.1) for at in clicks)
            )
            for clicks in (np.flatnonzero(chunk.samples > 16_000).tolist() for chunk in chunks)
        ]


def test_a_word_lies_where_its_sound_is_however_speech_is_cut() -> None:
    # Whole milliseconds, one second apart, in a recording's second window: a shift of any size shows.
    clicks_s = [600.25 + second for second in range(19)]
    samples = np.random.default_rng(0).normal(0, 100, 20 * SAMPLE_RATE_HZ).astype(np.int16)
    samples[[round((at_s - 600) * SAMPLE_RATE_HZ) for at_s in clicks_s]] = 30_000
    spoken = replace(window(600, 620, index=1, turns=[Turn(600.1, 619.9, 0)]), samples=samples)
    (answer,) = transcribe([spoken], ClickRecognizer())
    words = [word for utterance in answer.utterances for word in utterance.words]
    assert [word.start_s for word in words] == clicks_s
    assert [word.end_s for word in words] == pytest.approx([at_s + 0.1 for at_s in clicks_s])


def test_words_go_to_their_own_window() -> None:
    windows = [
        window(0, 10, turns=[Turn(1, 3, 0)]),
        window(0, 10, index=1, channel=1),
        window(10, 30, index=2, turns=[Turn(12, 13, 0), Turn(20, 26, 1)]),
    ]
    answers = transcribe(windows, OneWordRecognizer())
    assert [[one.text for one in answer.utterances] for answer in answers] == [["2000ms"], [], ["1000ms", "6000ms"]]
    assert [one.speaker for one in answers[2].utterances] == ["W2:0", "W2:1"]
    assert [len(answer.turns) for answer in answers] == [1, 0, 2]


def test_what_the_recognizer_says_of_a_chunk_reaches_its_utterances() -> None:
    (answer,) = transcribe([window(0, 10, turns=[Turn(1, 3, 0)])], OneWordRecognizer())
    (said,) = answer.utterances
    assert (said.language, said.language_p, said.asr_logprob) == ("en", 0.75, -0.25)


def test_no_chunk_is_longer_than_the_recognizer_reads_well() -> None:
    lengths: list[int] = []

    class Watches(OneWordRecognizer):
        max_chunk_s = 2.5

        def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
            lengths.extend(len(chunk.samples) for chunk in chunks)
            return super().transcribe(chunks)

    transcribe([window(0, 20, turns=[Turn(0, 20, 0)])], Watches())
    assert max(lengths) <= 2.5 * SAMPLE_RATE_HZ
    assert sum(lengths) == 20 * SAMPLE_RATE_HZ


class PackingRecognizer(ClickRecognizer):
    """Reads packed chunks of up to 30 s, and believes no click of a chunk's first second."""

    max_chunk_s = 30.0
    packs_chunks = True

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
        return [
            replace(
                one,
                words=tuple(word for word in one.words if word.start_s >= 1),
                dropped=tuple(
                    DroppedWords("early", 1, word.start_s, word.end_s) for word in one.words if word.start_s < 1
                ),
            )
            for one in super().transcribe(chunks)
        ]


def test_words_of_packed_speech_lie_where_their_sound_is_and_what_is_dropped_too() -> None:
    clicks_s = [602.25, 604.5, 611.0, 619.25]
    samples = np.zeros(20 * SAMPLE_RATE_HZ, dtype=np.int16)
    samples[[round((at_s - 600) * SAMPLE_RATE_HZ) for at_s in clicks_s]] = 30_000
    turns = [Turn(602, 605, 0), Turn(610.5, 612, 0), Turn(619, 619.75, 0)]
    (answer,) = transcribe([replace(window(600, 620, turns=turns), samples=samples)], PackingRecognizer())
    words = [word for utterance in answer.utterances for word in utterance.words]
    assert [word.start_s for word in words] == clicks_s[1:]
    assert answer.dropped == (DroppedWords("early", 1, 602.25, pytest.approx(602.35)),)


def test_the_recognizer_is_told_where_another_stretch_begins() -> None:
    told: list[tuple[int, ...]] = []

    class Watches(PackingRecognizer):
        def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
            told.extend(chunk.splices for chunk in chunks)
            return super().transcribe(chunks)

    turns = [Turn(602, 605, 0), Turn(610.5, 612, 0), Turn(619, 619.75, 0)]
    transcribe([window(600, 620, turns=turns), window(0, 20, turns=[Turn(0, 9, 0)])], Watches())
    assert told == [(3 * SAMPLE_RATE_HZ, round(4.5 * SAMPLE_RATE_HZ)), ()]


def test_a_word_that_begins_or_ends_beyond_its_turn_is_heard_whole_and_belongs_to_it() -> None:
    class ReadsBeside(ClickRecognizer):
        margin_s = 0.25

    # Beyond the first turn's end, before the second turn's start, and where nobody is near.
    clicks_s = [601.75, 602.125, 603.875, 604.5, 608.0]
    samples = np.zeros(20 * SAMPLE_RATE_HZ, dtype=np.int16)
    samples[[round((at_s - 600) * SAMPLE_RATE_HZ) for at_s in clicks_s]] = 30_000
    spoken = replace(window(600, 620, turns=[Turn(601, 602, 0), Turn(604, 605, 1)]), samples=samples)
    (answer,) = transcribe([spoken], ReadsBeside())
    found = [(said.speaker, [word.start_s for word in said.words]) for said in answer.utterances]
    assert found == [("W0:0", [601.75, 602.125]), ("W0:1", [603.875, 604.5])]
    (answer,) = transcribe([spoken], ClickRecognizer())
    assert [[word.start_s for word in said.words] for said in answer.utterances] == [[601.75], [604.5]]

"""The part of `vs_whisperx.py` that compares alignments on equal emissions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from turns import in_turn, report

from mmer_ray.models.ctc.vocabulary import BLANK, SYMBOLS
from mmer_ray.models.telemetry import silence_telemetry
from mmer_ray.models.torchaudio_guard import make_torchaudio_importable
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.aligner import Spelled, locate, spell, with_wildcard
from mmer_ray.recognizers.alignment import Speech, Trellis, align
from mmer_ray.recognizers.interface import Chunk
from mmer_ray.recognizers.members import load_recognizer
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

silence_telemetry()
make_torchaudio_importable()
import whisperx.alignment as wx  # noqa: E402

CORES = os.cpu_count() or 1
CHUNK_S = 30
VOCABULARY = {name.lower(): index for index, name in enumerate(SYMBOLS)}


class Heard(NamedTuple):
    """A clip's emissions of the CTC model, with a wildcard, and what was read in it."""

    emissions: np.ndarray
    words: list[str]
    spelled: Spelled
    duration_s: float


def heard(sounds: Sequence[Samples], texts: Sequence[str]) -> list[Heard]:
    """Emissions of the clips that something was read in, at most 30 s of each."""
    torch.set_num_threads(1)
    ctc: Any = load_recognizer(TranscribeOptions(model="ctc:embedded"))
    found = []
    for samples, text in zip(sounds, texts, strict=True):
        chunk, words = Chunk(samples[: CHUNK_S * SAMPLE_RATE_HZ]), text.split()
        if words:
            logprobs_TV = with_wildcard(ctc._predict([chunk])[0], BLANK)
            spelled = spell(words, VOCABULARY, len(SYMBOLS), spaced=True)
            found.append(Heard(logprobs_TV, words, spelled, len(chunk.samples) / SAMPLE_RATE_HZ))
    return found


def trellis_by_whisperx(sounds: Sequence[Heard]) -> list[list[tuple[int, int]]]:
    """First frame of each symbol and one past its last."""
    found = []
    for one in sounds:
        emission, tokens = torch.from_numpy(one.emissions), one.spelled.symbols
        path = wx.backtrack(wx.get_trellis(emission, tokens, BLANK), emission, tokens, BLANK)
        segments = [] if path is None else wx.merge_repeats(path, "?" * len(tokens))
        found.append([(segment.start, segment.end) for segment in segments])
    return found


def trellis_by_ours(sounds: Sequence[Heard]) -> list[list[tuple[int, int]]]:
    speech = [Speech(one.emissions, one.spelled.symbols) for one in sounds]
    return [[(span.first, span.end) for span in spans or ()] for spans in align(speech, BLANK, Trellis.ONE_FRAME)]


def ctc_by_torchaudio(sounds: Sequence[Heard]) -> list[torch.Tensor]:
    from torchaudio.functional import forced_align

    found = []
    for one in sounds:
        symbols = torch.tensor([one.spelled.symbols], dtype=torch.int32)
        found.append(forced_align(torch.from_numpy(one.emissions)[None], symbols, blank=BLANK)[0])
    return found


def ctc_by_ours(sounds: Sequence[Heard]) -> object:
    return align([Speech(one.emissions, one.spelled.symbols) for one in sounds], BLANK)


def whole_by_whisperx(sounds: Sequence[Heard]) -> list[list[tuple[float, float] | None]]:
    """Times of the words by `whisperx.align`, whose model hands over the emissions."""
    metadata = {"language": "en", "dictionary": VOCABULARY, "type": "huggingface"}
    found = []
    for one in sounds:
        # WhisperX adds the wildcard itself.
        emissions = torch.from_numpy(one.emissions[None, :, :-1])
        segment = {"text": " ".join(one.words), "start": 0.0, "end": one.duration_s}
        silence = np.zeros(round(one.duration_s * SAMPLE_RATE_HZ), dtype=np.float32)
        answer = wx.align([segment], lambda _, e=emissions: SimpleNamespace(logits=e), metadata, silence, "cpu")
        found.append([(word["start"], word["end"]) for word in answer["word_segments"]])
    return found


def whole_by_ours(sounds: Sequence[Heard]) -> list[list[tuple[float, float] | None]]:
    columns = zip(*((one.emissions, one.spelled, one.words, one.duration_s) for one in sounds), strict=True)
    return locate(*columns, BLANK)


def compare_alignments(sounds: Sequence[Heard], rounds: int) -> None:
    """Compare times of words, then what finding them takes."""
    # WhisperX would load its splitter of sentences from the network: every text is one sentence here.
    wx.nltk_load = lambda _: SimpleNamespace(span_tokenize=lambda text: [(0, len(text))])
    frames = sum(len(one.emissions) for one in sounds)
    print(f"alignment: {len(sounds)} texts, {sum(len(one.spelled.symbols) for one in sounds)} symbols, {frames} frames")
    torch.set_num_threads(CORES)
    parts = (
        ("trellis", "frames", {"whisperx": trellis_by_whisperx, "ours": trellis_by_ours}),
        ("whole", "seconds", {"whisperx.align": whole_by_whisperx, "ours": whole_by_ours}),
    )
    for what, unit, ways in parts:
        answers, took = in_turn({name: partial(way, sounds) for name, way in ways.items()}, rounds)
        theirs, mine = ([place for text in answer for place in text] for answer in answers.values())
        both = [(p, q) for p, q in zip(theirs, mine, strict=True) if p and q]
        apart = [max(abs(a - b) for a, b in zip(p, q, strict=True)) for p, q in both]
        print(
            f" {what}: {len(mine)} spans, {len(mine) - len(both)} without times, at most {max(apart):.4f} {unit} apart"
        )
        report(took, "ours")
    compare_with_torchaudio(sounds, rounds)


def compare_with_torchaudio(sounds: Sequence[Heard], rounds: int) -> None:
    try:
        ctc_by_torchaudio(sounds[:1])
    except RuntimeError as error:
        print(f" torchaudio.functional.forced_align does not run here: {error}")
        return
    ways = {"torchaudio.forced_align": partial(ctc_by_torchaudio, sounds), "ours, CTC": partial(ctc_by_ours, sounds)}
    _, took = in_turn(ways, rounds)
    report(took, "ours, CTC")

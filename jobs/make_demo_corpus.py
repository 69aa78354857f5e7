"""Rebuilds the calls that ship with the package: `python jobs/make_demo_corpus.py [FOLDER]`."""

from __future__ import annotations

import sys
from pathlib import Path

from mmer_ray.demo.corpus import CorpusPlan, build_corpus
from mmer_ray.demo.truth import CALLS


def main() -> None:
    """Build the corpus and say how much of it there is."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    calls = build_corpus(folder, CorpusPlan())
    minutes = sum(call.duration_s for call in calls) / 60
    print(f"{len(calls)} calls, {minutes:.1f} minutes in {folder}")


if __name__ == "__main__":
    main()

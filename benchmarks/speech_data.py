"""Where the benchmarks take real speech from, unless told otherwise: folders in `MMER_BENCH_DATA`."""

import os
from pathlib import Path

DATA = Path(os.environ.get("MMER_BENCH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SPEECH = DATA / "speech"
"""Clips, two-speaker and meeting audio with RTTM."""
RAVDESS = DATA / "ravdess"
EMODB = DATA / "emodb"

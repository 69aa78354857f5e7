"""Where the benchmarks take real speech from, unless told otherwise: folders in `MMER_BENCH_DATA`."""

import os
import sys
from pathlib import Path

DATA = Path(os.environ.get("MMER_BENCH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SPEECH = DATA / "speech"
"""Clips, two-speaker and meeting audio with RTTM."""
RAVDESS = DATA / "ravdess"
EMODB = DATA / "emodb"


def need(*places: Path) -> None:
    """End the process with a line that says so where real speech is missing: none is shipped with the project."""
    missing = [str(place) for place in places if not place.exists()]
    if missing:
        print(f"nothing is measured: no {' and no '.join(missing)}; name other folders, or set MMER_BENCH_DATA")
        sys.exit(0)

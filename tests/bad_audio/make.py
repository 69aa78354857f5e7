"""Write the bad-audio corpus: `python -m tests.bad_audio.make DIR [--without-long]`.

DIR/audio holds the files and `manifest.csv` (one row per case), DIR/outside a recording that none of them may reach,
DIR/wanted.json how each must end under the limits of a nightly job: uri -> id, status, code, flags, also.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

from mmer_ray.errors import ErrorCode, Flag
from mmer_ray.sources.uris import local_path
from tests.bad_audio.case import Case
from tests.bad_audio.cases import all_cases, write_cases


def write_corpus(folder: Path, *, without_long: bool = False) -> dict[str, dict[str, Any]]:
    """Write files, manifest and wants; returns the wants by uri."""
    cases = [case for case in all_cases() if not (without_long and case.is_long)]
    uris = write_cases(folder, cases)
    wanted = {uris[case.id]: _want(case, uris[case.id]) for case in cases}
    with (folder / "audio" / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["uri", "case"])
        rows.writerows((uris[case.id], case.id) for case in cases)
    (folder / "wanted.json").write_text(json.dumps(wanted, indent=1, ensure_ascii=False), encoding="utf-8")
    return wanted


def _want(case: Case, uri: str) -> dict[str, Any]:
    code, flags = case.code, case.flags
    if case.online:
        # Ten hours are legal at night.
        code, flags = None, frozenset({Flag.NO_SPEECH})
    if code is ErrorCode.PERMISSION and os.access(local_path(uri), os.R_OK):
        # Root reads what it may not.
        code = None
    return {
        "id": case.id,
        "status": "scored" if code is None else "failed",
        "code": code and code.value,
        "flags": sorted(flags),
        "also": sorted(case.also),
    }


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--without-long"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    made = write_corpus(Path(arguments[0]), without_long="--without-long" in sys.argv)
    print(f"{len(made)} cases in {arguments[0]}")

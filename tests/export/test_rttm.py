"""RTTM: exact small examples, read back by pyannote."""

from __future__ import annotations

from pathlib import Path

from pyannote.database.util import load_rttm

from mmer_ray.export.rttm import to_rttm
from tests.export.makers import TALK


def test_rttm_counts_channels_from_one_and_names_the_file_without_its_ending() -> None:
    assert to_rttm("s3://calls/2026/a call.opus", TALK) == (
        "SPEAKER a_call 1 0.500 1.750 <NA> <NA> S1 <NA> <NA>\nSPEAKER a_call 1 3599.900 1.600 <NA> <NA> S2 <NA> <NA>\n"
    )


def test_rttm_is_read_back_by_pyannote(tmp_path: Path) -> None:
    file = tmp_path / "a.rttm"
    file.write_text(to_rttm("/calls/a.wav", TALK))

    (name, annotation), *others = load_rttm(file).items()  # type: ignore[no-untyped-call]

    assert (name, others) == ("a", [])
    found = [(segment.start, round(segment.end, 3), label) for segment, _, label in annotation.itertracks(True)]
    assert found == [(0.5, 2.25, "S1"), (3599.9, 3601.5, "S2")]

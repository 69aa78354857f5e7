"""A lake as a whole: what is counted of its runs, its seconds and its failures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mmer_ray.errors import ErrorCode
from mmer_ray.lake.queries import LakeReader, open_lake
from mmer_ray.lake.store import Lake
from tests.lake.makers import audio_file, job, listing


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeReader]:
    """Of a lake with the answers of five files."""
    folder: Path = tmp_path_factory.mktemp("lake")
    for name in ("monday/a.wav", "tuesday/a.wav", "b.wav", "broken.wav", "c.wav"):
        audio_file(folder / "audio", name)
    job(Lake(folder / "lake"), listing(folder / "audio"), failing={"broken.wav": ErrorCode.EMPTY_FILE})
    with open_lake(folder / "lake") as reader:
        yield reader


def test_the_status_counts_runs_seconds_and_failures(reader: LakeReader) -> None:
    status = reader.status()
    assert [run["status"] for run in status.runs] == ["finished"]
    assert status.ledger.num_planned == 5
    assert status.ledger.difference_s == 0.0
    (failure,) = status.failures
    assert (failure.error_code, failure.error_stage, failure.num_recordings) == ("empty_file", "decode", 1)
    assert failure.example_uri.endswith("broken.wav")
    assert status.num_utterances == reader.sql("FROM utterances").num_rows > 0


def test_the_status_counts_the_words_that_were_not_believed_by_reason(reader: LakeReader) -> None:
    # Three and two in each of the four recordings that were scored.
    assert reader.status().dropped_words == {"no_speech": 8, "repeated": 12}

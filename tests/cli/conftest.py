"""A lake with what a command line must cope with, and a way to run `mmer` in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mmer_ray.cli import main
from mmer_ray.errors import ErrorCode
from mmer_ray.records import Recording, ScoredRecording, Utterance
from tests.cli.makers import CALL, HOSTILE, HOUR, HOUR_S, Ended, said, scored_as, write_lake
from tests.lake.makers import audio_file, failed, recording_at


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """call.opus, hour.wav, hostile.wav, quiet.wav and broken.wav, which failed."""
    folder = tmp_path_factory.mktemp("audio")
    names = ["call.opus", "hour.wav", "hostile.wav", "quiet.wav", "broken.wav"]
    recordings = [recording_at(audio_file(folder, name), folder) for name in names]
    talks: dict[str, tuple[list[Utterance], float]] = {
        "call.opus": (CALL, 10.0),
        "hour.wav": (HOUR, HOUR_S),
        "hostile.wav": ([said(0, 2, HOSTILE), said(3, 4, "=1+1")], 5.0),
        "quiet.wav": ([], 3.0),
    }

    def answer(recording: Recording) -> ScoredRecording:
        name = Path(recording.uri).name
        return scored_as(recording, *talks[name]) if name in talks else failed(recording, ErrorCode.CORRUPT_HEADER)

    address = tmp_path_factory.mktemp("lakes") / "calls.lake"
    write_lake(address, answer, recordings)
    return address


@pytest.fixture
def mmer(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command in this process."""

    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return run

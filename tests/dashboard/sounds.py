"""Sound for the tests of the dashboard: files, and a server of nothing but the routes of sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient

from dashboard.converted_sound import Conversions
from dashboard.peaks import Peaks
from dashboard.sound import SoundRoutes
from dashboard.stored_sound import SoundOf
from mmer_ray.audio.decode import Decoder
from mmer_ray.profiles import DecodeOptions


def write_sound(path: Path, duration_s: float = 3.0, num_channels: int = 2, rate_hz: int = 16_000) -> SoundOf:
    """A tone that is loud in the second half of each second, on the first channel alone."""
    at_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    loud = np.where(at_s % 1 < 0.5, 0.0, 0.5 * np.sin(2 * np.pi * 440 * at_s))
    samples = np.stack([loud, *([np.zeros_like(loud)] * (num_channels - 1))], axis=1)
    soundfile.write(path, samples, rate_hz)
    return sound_of(path, path.suffix.removeprefix("."), num_channels, round(duration_s * 1000))


def sound_of(path: Path, container: str, num_channels: int, duration_ms: int) -> SoundOf:
    """What a lake would know of it."""
    return SoundOf("calls", path.name, str(path), path.stat().st_size, container, num_channels, duration_ms)


@contextmanager
def serving(*sounds: SoundOf, cache: Path) -> Iterator[TestClient]:
    """A client of the routes; a token is a recording's id."""
    by_id = {one.recording_id: one for one in sounds}

    def find(request: Request) -> SoundOf:
        found = by_id.get(request.path_params["token"])
        if found is None:
            raise HTTPException(403, "refused")
        return found

    with Decoder(DecodeOptions(), 2) as decoder:
        conversions, peaks = Conversions(decoder, cache), Peaks(decoder, cache / "peaks", "a.lake")
        app = Starlette(routes=SoundRoutes(find, conversions, peaks).routes())
        try:
            with TestClient(app) as client:
                yield client
        finally:
            conversions.close()
            peaks.close()

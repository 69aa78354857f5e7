"""Live calls with the real models: the rows of the batch job at the end, and how long utterances take on the way."""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from mmer_ray.audio.decode import Decoder
from mmer_ray.profiles import DecodeOptions, Profile, load_profile
from mmer_ray.records import SAMPLE_RATE_HZ, AudioFacts, Recording, Samples
from mmer_ray.serving.local_scorers import LocalScorers
from mmer_ray.serving.rows import RECORDING_COLUMNS
from mmer_ray.serving.scorer import OnlineScorer
from tests.serving.call_sounds import demo_call, wav
from tests.serving.endpoint import endpoint
from tests.serving.live_client import Heard, call
from tests.serving.parity import differences, job_rows

SPEECH = Path(os.environ.get("MMER_SPEECH_DIR", Path(__file__).parents[2] / "../shared/data/speech"))
MOST_WAIT_S = 3.0


@contextmanager
def serving_real(profile: Profile, state: Path, **options: Any) -> Iterator[tuple[str, str]]:
    """Address and key of an endpoint with a profile's own models; `options` are settings of `[serve]`."""
    with (
        OnlineScorer(profile) as scorer,
        LocalScorers(scorer, 8) as scorers,
        endpoint(scorers, state, **options) as one,
    ):
        yield one.address, one.key


def sound_of(name: str) -> Samples:
    """A recording of real speech: int16 at 16 kHz, shape (num_samples, 1)."""
    path = SPEECH / name
    with Decoder(DecodeOptions()) as decoder:
        items = decoder.sound(Recording(uri=str(path), size_bytes=path.stat().st_size))
        blocks = [item for item in items if not isinstance(item, AudioFacts)]
    return np.concatenate(blocks, axis=1)[:1].T


def minute_of_speech() -> Samples:
    """A call of 60 s: real speech of several people where it is at hand, else calls of the demo."""
    pause = np.zeros((SAMPLE_RATE_HZ, 1), dtype=np.int16)
    if SPEECH.is_dir():
        names = ("LJ002-0020.wav", "LJ002-0035.wav", "jfk.flac", "libri_1088-134315-0000.wav", "ami_dev00.wav")
        parts = [part for name in names for part in (sound_of(name), pause)]
    else:
        parts = [part for name in ("call_02_mono", "call_04_mono") for part in (demo_call(name), pause)]
    return np.concatenate(parts)[: 60 * SAMPLE_RATE_HZ]


def waits_s(heard: Heard) -> list[float]:
    """Of each stretch of speech, from the end of its last word to the message of its last utterance."""
    told = [
        (at_s, message["end_s"])
        for at_s, message in zip(heard.at_s, heard.messages, strict=True)
        if message["type"] == "utterance"
    ]
    # The utterances of a stretch are sent together.
    lasts = [
        one for one, after in zip(told, [*told[1:], None], strict=True) if after is None or after[0] > one[0] + 0.1
    ]
    return [at_s - end_s for at_s, end_s in lasts]


def test_what_a_call_ends_with_is_what_the_batch_job_writes_for_its_wav_file(tmp_path: Path) -> None:
    profile = load_profile("synthetic")
    # The first is longer than a request may be.
    lengths_s = {"call_01_stereo": 10, "call_02_mono": 9}
    calls = {f"{name}.wav": demo_call(name, num_s=num_s) for name, num_s in lengths_s.items()}
    with serving_real(profile, tmp_path / "state", max_audio_s=9.5) as (address, key):
        heard = {name: asyncio.run(call(address, samples, key=key)) for name, samples in calls.items()}
    for name, samples in calls.items():
        (tmp_path / name).write_bytes(wav(samples))
    expected = job_rows(profile, [tmp_path / name for name in calls], tmp_path / "lake")
    for name, one in heard.items():
        assert len(one.of("utterance")) >= 2
        tables = one.last["analysis"]["tables"]
        # The lake keeps digests under a key of its own.
        recordings = [{name: row[name] for name in RECORDING_COLUMNS} for row in tables["recordings"]]
        assert differences({**tables, "recordings": recordings}, expected[name]) == []


@pytest.mark.slow
def test_the_first_utterance_of_a_minute_in_real_time_comes_soon_after_its_speech_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = minute_of_speech()
    with serving_real(load_profile("embedded"), tmp_path) as (address, key):
        # Models are loaded, and the first batches compiled and cached, before anybody waits.
        httpx.get(f"{address}/readyz").raise_for_status()
        asyncio.run(call(address, samples[: 5 * SAMPLE_RATE_HZ], key=key))
        begin = os.times()
        heard = asyncio.run(call(address, samples, key=key, speed=1.0))
        used = os.times()
    waits = waits_s(heard)
    sent_s = len(samples) / SAMPLE_RATE_HZ
    with capsys.disabled():
        print(
            f"\n{len(waits)} stretches of speech in {sent_s:.0f} s; from the end of speech to the message: first "
            f"{waits[0]:.2f} s, median {statistics.median(waits):.2f} s, longest {max(waits):.2f} s; analysis "
            f"{heard.at_s[-1] - sent_s:.2f} s after the end; "
            f"{(used.user + used.system - begin.user - begin.system) / sent_s:.2f} cores"
        )
    assert heard.last["type"] == "final"
    assert waits[0] <= MOST_WAIT_S

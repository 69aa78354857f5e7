"""The routes of sound: ranges, files that changed, files that a browser cannot play."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboard.byte_range import ByteRange, asked_range
from dashboard.converted_sound import Conversions
from dashboard.peaks import Peaks
from dashboard.sound import SoundRoutes
from dashboard.stored_sound import SoundOf
from mmer_ray.records import Samples
from tests.dashboard.sounds import serving, sound_of, write_sound
from tests.fake_store import FakeStore, store

__all__ = ["store"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> SoundOf:
    return write_sound(tmp_path_factory.mktemp("audio") / "call.wav")


@pytest.fixture(scope="module")
def client(sound: SoundOf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = Path(sound.uri).parent
    strange = write_sound(folder / "old.au", 2.5, 1, 8_000)
    gone = replace(sound, recording_id="gone", uri=str(folder / "gone.wav"))
    changed = replace(sound, recording_id="changed", size_bytes=sound.size_bytes - 1)
    (folder / "noise.amr").write_bytes(b"no sound at all")
    broken = sound_of(folder / "noise.amr", "amr", 1, 1_000)
    with serving(sound, strange, gone, changed, broken, cache=tmp_path_factory.mktemp("cache")) as client:
        yield client


def test_the_whole_file_is_sent_and_may_be_asked_for_in_ranges(client: TestClient, sound: SoundOf) -> None:
    whole = client.get("/sound/call.wav")
    assert (whole.status_code, whole.content) == (200, Path(sound.uri).read_bytes())
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [("bytes=0-1", 0, 1), ("bytes=100-", 100, None), ("bytes=-7", -7, None), ("BYTES = 5 - 999999999999", 5, None)],
)
def test_a_range_is_sent_as_206_with_its_place(
    client: TestClient, sound: SoundOf, header: str, first: int, last: int | None
) -> None:
    content = Path(sound.uri).read_bytes()
    wanted = content[first:] if last is None else content[first : last + 1]
    answer = client.get("/sound/call.wav", headers={"range": header})
    assert (answer.status_code, answer.content) == (206, wanted)
    start = first % len(content)
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(wanted) - 1}/{len(content)}"
    assert int(answer.headers["content-length"]) == len(wanted)


def test_a_range_behind_the_end_is_416_with_the_length(client: TestClient, sound: SoundOf) -> None:
    for header in (f"bytes={sound.size_bytes}-", "bytes=-0"):
        answer = client.get("/sound/call.wav", headers={"range": header})
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{sound.size_bytes}")


@pytest.mark.parametrize("header", ["bytes=5-2", "bytes=-", "bytes=a-b", "seconds=0-1", "bytes=0-1,4-5", ""])
def test_a_range_that_means_nothing_is_answered_with_the_whole(client: TestClient, sound: SoundOf, header: str) -> None:
    answer = client.get("/sound/call.wav", headers={"range": header})
    assert (answer.status_code, len(answer.content)) == (200, sound.size_bytes)


def test_head_tells_the_length_and_sends_nothing(client: TestClient, sound: SoundOf) -> None:
    answer = client.head("/sound/call.wav")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == sound.size_bytes


def test_a_range_of_another_file_is_not_sent(client: TestClient) -> None:
    etag = client.head("/sound/call.wav").headers["etag"]
    assert client.get("/sound/call.wav", headers={"range": "bytes=0-1", "if-range": etag}).status_code == 206
    assert client.get("/sound/call.wav", headers={"range": "bytes=0-1", "if-range": '"other"'}).status_code == 200


def test_who_may_not_hear_gets_403_gone_files_are_404_and_changed_ones_409(client: TestClient) -> None:
    assert client.get("/sound/nobody").status_code == 403
    assert client.get("/peaks/nobody").status_code == 403
    gone, changed = client.get("/sound/gone"), client.get("/sound/changed")
    assert (gone.status_code, changed.status_code) == (404, 409)
    assert "when it was scored it had" in changed.text
    assert "/" not in gone.text


def test_a_container_that_browsers_do_not_play_comes_as_wav(client: TestClient) -> None:
    assert client.get("/sound/old.au").status_code == 415
    whole = client.get("/sound/old.au?as=wav")
    assert whole.headers["content-type"] == "audio/wav"
    samples, rate_hz = soundfile.read(io.BytesIO(whole.content), dtype="int16")
    assert (rate_hz, samples.shape) == (16_000, (40_000,))
    assert np.abs(samples[9_000:15_000]).max() > 10_000
    assert np.abs(samples[1_000:7_000]).max() < 300
    part = client.get("/sound/old.au?as=wav", headers={"range": "bytes=30000-30009"})
    assert (part.status_code, part.content) == (206, whole.content[30_000:30_010])


def test_sound_that_cannot_be_decoded_is_told_of_and_the_next_one_is_served(client: TestClient) -> None:
    assert client.get("/sound/noise.amr?as=wav").status_code == 422
    assert client.get("/sound/old.au?as=wav").status_code == 200


class Slow:
    """A decoder that gives nothing after the first tenth of a second until `goes_on` is set."""

    def __init__(self, first: int = 1_600) -> None:
        self.goes_on, self._first = threading.Event(), first

    def sound(self, recording: object) -> Generator[Samples, None, None]:
        if self._first:
            yield np.zeros((1, self._first), np.int16)
        assert self.goes_on.wait(60)
        yield np.zeros((1, 40_000 - self._first), np.int16)


def routes_of(decoder: Slow, *sounds: SoundOf, cache: Path) -> Starlette:
    """The routes of sound with this decoder; a token is a recording's id."""
    by_id = {one.recording_id: one for one in sounds}
    conversions, peaks = Conversions(decoder, cache), Peaks(decoder, cache, "a.lake")
    return Starlette(
        routes=SoundRoutes(lambda request: by_id[request.path_params["token"]], conversions, peaks).routes()
    )


def test_many_who_wait_for_a_conversion_keep_no_other_sound_from_being_sent(sound: SoundOf, tmp_path: Path) -> None:
    strange, decoder = write_sound(tmp_path / "old.au", 2.5, 1), Slow()
    transport = httpx.ASGITransport(routes_of(decoder, sound, strange, cache=tmp_path))

    async def ask() -> list[int]:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            ahead = {"range": "bytes=70000-70009"}
            # More than there are threads for all requests.
            waiting = [asyncio.create_task(client.get("/sound/old.au?as=wav", headers=ahead)) for _ in range(45)]
            try:
                await asyncio.sleep(0.3)
                async with asyncio.timeout(20):
                    assert (await client.get("/sound/call.wav")).status_code == 200
                assert not any(one.done() for one in waiting)
            finally:
                decoder.goes_on.set()
            return [one.status_code for one in await asyncio.gather(*waiting)]

    assert asyncio.run(ask()) == [206] * 45


def test_a_conversion_that_does_not_begin_is_told_to_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.sound.LONGEST_START_S", 0.1)
    strange, decoder = write_sound(tmp_path / "old.au", 2.5, 1), Slow(first=0)
    try:
        answer = TestClient(routes_of(decoder, strange, cache=tmp_path)).get("/sound/old.au?as=wav")
    finally:
        decoder.goes_on.set()

    assert (answer.status_code, answer.text) == (503, "other sound is being converted; try again in a minute\n")


def test_sound_is_converted_where_the_cache_cannot_be_written(tmp_path: Path) -> None:
    strange = write_sound(tmp_path / "old.au", 2.5, 1)
    (tmp_path / "file").touch()
    with serving(strange, cache=tmp_path / "file" / "cache") as client:
        assert client.get("/sound/old.au?as=wav").status_code == 200


def test_an_object_of_a_bucket_is_sent_in_ranges_and_no_more_of_it_is_read(
    store: FakeStore, sound: SoundOf, tmp_path: Path
) -> None:
    content = Path(sound.uri).read_bytes()
    store.put_object("s3://calls/call.wav", content)
    remote = replace(sound, uri="s3://calls/call.wav")
    with serving(remote, cache=tmp_path) as client:
        answer = client.get("/sound/call.wav", headers={"range": "bytes=1000-1999"})
        assert (answer.status_code, answer.content) == (206, content[1000:2000])
        assert store.ranges == [(1000, 2000)]
        assert client.get("/peaks/call.wav").status_code == 200
        store.put_object("s3://calls/call.wav", content + b"more")
        assert client.get("/sound/call.wav").status_code == 409
        del store.objects["s3://calls/call.wav"]
        assert client.get("/sound/call.wav").status_code == 404


def test_a_range_is_never_longer_than_the_file() -> None:
    assert asked_range("bytes=0-99", 10) == ByteRange(0, 9)
    assert asked_range("bytes=-99", 10) == ByteRange(0, 9)
    assert asked_range("bytes=²-", 10) is None

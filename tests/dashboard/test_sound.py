"""The routes of sound: ranges, files that changed, files that a browser cannot play."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from dashboard.byte_range import ByteRange, asked_range
from dashboard.stored_sound import SoundOf
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
    assert client.get("/sound/noise.amr?as=wav").status_code == 503
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

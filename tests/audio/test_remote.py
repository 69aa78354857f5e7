"""Objects in a bucket: read by the parent for a child that has no network."""

from __future__ import annotations

import errno
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mmer_ray.audio import guard
from mmer_ray.audio.decode import Decoder
from mmer_ray.audio.remote import MAX_BLOCK_BYTES, MIN_BLOCK_BYTES, NUM_KEPT_BLOCKS, RemoteBytes
from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import AudioFacts, Recording, Window
from tests.bad_audio.bulk import opus_silence
from tests.bad_audio.containers import encoded, wav16
from tests.bad_audio.signals import voice
from tests.fake_store import FakeStore, store

__all__ = ["store"]

MINUTES_3 = wav16(np.tile(voice(), 60))
CALL = Recording(uri="s3://calls/2026/a.wav", root="s3://calls/2026/")


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeOptions(window_s=60)) as decoder:
        yield decoder


def failure(decoder: Decoder, recording: Recording = CALL) -> ErrorCode:
    with pytest.raises(AudioError) as caught:
        list(decoder.decode(recording))
    return caught.value.code


def sound_of(decoder: Decoder, recording: Recording) -> tuple[list[bytes], AudioFacts]:
    *windows, facts = decoder.decode(recording)
    assert isinstance(facts, AudioFacts)
    return [window.samples.tobytes() for window in windows if isinstance(window, Window)], facts


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.wav", MINUTES_3),
        ("a.flac", encoded(np.tile(voice(), 40), "flac", "flac")),
        # Its index stands behind the sound: the demuxer jumps about.
        ("a.m4a", encoded(np.tile(voice(rate_hz=44_100), 40), "ipod", "aac", 44_100)),
    ],
)
def test_an_object_decodes_as_the_same_file_does(
    name: str, data: bytes, decoder: Decoder, store: FakeStore, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    store.put_object(f"s3://calls/{name}", data)
    remote = sound_of(decoder, Recording(uri=f"s3://calls/{name}"))
    assert remote == sound_of(decoder, Recording(uri=str(path)))
    assert remote[1].content_digest == hashlib.blake2b(data, digest_size=16).hexdigest()


def test_an_object_read_in_order_takes_few_requests_and_comes_once(decoder: Decoder, store: FakeStore) -> None:
    data = wav16(np.tile(voice(), 400))
    store.put_object(CALL.uri, data)
    sound_of(decoder, CALL)
    assert sum(end - start for start, end in store.ranges) == len(data)
    assert len(store.ranges) <= 2 + len(data) // MAX_BLOCK_BYTES + (MAX_BLOCK_BYTES // MIN_BLOCK_BYTES).bit_length()


def test_a_probe_of_an_object_reads_little(decoder: Decoder, store: FakeStore) -> None:
    data = opus_silence(36_000)
    store.put_object("s3://calls/a.opus", data)
    assert decoder.probe(Recording(uri="s3://calls/a.opus")) == pytest.approx(36_000, abs=0.1)
    assert sum(end - start for start, end in store.ranges) <= 1 << 19 < len(data)


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (PermissionError("Forbidden"), ErrorCode.PERMISSION),
        (FileNotFoundError("no such key"), ErrorCode.NOT_FOUND),
        (OSError(errno.EBUSY, "Please reduce your request rate"), ErrorCode.IO_ERROR),
        (TimeoutError("read timed out"), ErrorCode.IO_ERROR),
        (ConnectionResetError("reset by peer"), ErrorCode.IO_ERROR),
    ],
)
def test_what_the_store_answers_is_the_code(
    raised: Exception, code: ErrorCode, decoder: Decoder, store: FakeStore
) -> None:
    store.put_object(CALL.uri, MINUTES_3)
    store.failures[CALL.uri] = raised
    assert failure(decoder) is code
    assert decoder.probe(CALL) is None

    def fail_late(path: str, start: int, end: int) -> None:
        if start > 0:
            raise raised

    store.failures.clear()
    store.on_read = fail_late
    assert failure(decoder) is code


def test_an_object_that_is_not_there_or_outside_its_prefix_is_refused(decoder: Decoder, store: FakeStore) -> None:
    store.put_object("s3://calls/2027/a.wav", MINUTES_3)
    assert failure(decoder) is ErrorCode.NOT_FOUND
    assert failure(decoder, Recording(uri="s3://calls/2027/a.wav", root=CALL.root)) is ErrorCode.OUTSIDE_ROOT


def test_size_limits_hold_for_objects(store: FakeStore) -> None:
    store.put_object(CALL.uri, MINUTES_3)
    store.put_object("s3://calls/empty.wav", b"")
    with Decoder(DecodeOptions(max_file_bytes=1000)) as decoder:
        assert failure(decoder) is ErrorCode.FILE_TOO_BIG
        assert failure(decoder, Recording(uri="s3://calls/empty.wav")) is ErrorCode.EMPTY_FILE
    assert store.ranges == []


@pytest.mark.parametrize("when", ["while it is read", "after its last byte"])
def test_an_object_that_is_replaced_is_noticed(when: str, decoder: Decoder, store: FakeStore) -> None:
    store.put_object(CALL.uri, MINUTES_3)

    def replace(path: str, start: int, end: int) -> None:
        if when == "while it is read" and start > 0:
            store.put_object(CALL.uri, MINUTES_3[::-1])

    store.on_read = replace

    def decode_and_replace() -> None:
        for answer in decoder.decode(CALL):
            if isinstance(answer, Window) and answer.end_s == 180.0:
                store.put_object(CALL.uri, MINUTES_3[::-1])

    with pytest.raises(AudioError) as caught:
        decode_and_replace()
    assert caught.value.code is ErrorCode.CHANGED_DURING_READ


def test_a_bug_behind_the_store_is_no_row(decoder: Decoder, store: FakeStore) -> None:
    store.put_object(CALL.uri, MINUTES_3)
    store.failures[CALL.uri] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        list(decoder.decode(CALL))
    store.failures.clear()
    assert isinstance(list(decoder.decode(CALL))[-1], AudioFacts)


def test_time_that_the_store_takes_is_not_held_against_the_child(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from time import monotonic
    from types import SimpleNamespace

    late_s = 0.0
    monkeypatch.setattr(guard, "time", SimpleNamespace(monotonic=lambda: monotonic() + late_s))

    def take_an_hour(path: str, start: int, end: int) -> None:
        nonlocal late_s
        late_s += 3_600.0

    store.put_object(CALL.uri, MINUTES_3)
    store.on_read = take_an_hour
    with Decoder(DecodeOptions()) as decoder:
        assert isinstance(list(decoder.decode(CALL))[-1], AudioFacts)
    assert len(store.ranges) > 2


def counted(data: bytes) -> tuple[RemoteBytes, list[tuple[int, int]]]:
    requests: list[tuple[int, int]] = []

    def fetch(offset: int, num_bytes: int) -> bytes:
        requests.append((offset, num_bytes))
        return data[offset : offset + num_bytes]

    return RemoteBytes(len(data), fetch), requests


def test_reads_at_any_place_give_the_bytes_of_that_place() -> None:
    data = random.Random(0).randbytes(3 * MIN_BLOCK_BYTES + 1000)
    source, requests = counted(data)
    chance = random.Random(1)
    for _ in range(300):
        offset, num_bytes = chance.randrange(len(data) + 10), chance.randrange(2 * MIN_BLOCK_BYTES)
        assert source.read_at(offset, num_bytes) == data[offset : offset + num_bytes]
    assert all(0 < num_bytes <= MAX_BLOCK_BYTES and offset + num_bytes <= len(data) for offset, num_bytes in requests)


def test_blocks_grow_while_a_file_is_read_in_order_and_start_small_after_a_jump() -> None:
    source, requests = counted(bytes(40 << 20))
    for offset in range(0, 32 << 20, 1 << 16):
        source.read_at(offset, 1 << 16)
    sizes = [num_bytes for _, num_bytes in requests]
    assert sizes[:7] == [MIN_BLOCK_BYTES << power for power in range(7)]
    assert set(sizes[7:]) == {MAX_BLOCK_BYTES}
    source.read_at(39 << 20, 10)
    assert requests[-1] == (39 << 20, MIN_BLOCK_BYTES)
    assert len(source._kept) == NUM_KEPT_BLOCKS

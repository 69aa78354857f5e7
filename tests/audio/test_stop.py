"""Stopping work from another thread, and decoding that is stopped."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mmer_ray.audio.decode import Decoder
from mmer_ray.audio.stop import Stop
from mmer_ray.errors import AudioError
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import AudioFacts, Recording, Window
from tests.bad_audio.bulk import flac

SOON_S = 30.0


def test_whoever_is_at_work_is_called_once_and_nobody_afterwards() -> None:
    stop, calls = Stop(), []
    with stop.calling(lambda: calls.append("first")), stop.calling(lambda: calls.append("second")):
        stop.set()
        stop.set()
    assert calls == ["first", "second"]
    other = Stop()
    with other.calling(lambda: calls.append("late")):
        pass
    other.set()
    assert "late" not in calls


def test_whoever_comes_later_is_called_at_once() -> None:
    stop, calls = Stop(), []
    stop.set()
    with stop.calling(lambda: calls.append("at once")):
        assert calls == ["at once"]


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten hours in a small file."""
    path = tmp_path_factory.mktemp("long") / "long.flac"
    path.write_bytes(flac(9_000, block_samples=48_000))
    return path


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeOptions()) as opened:
        yield opened


def drained(decoder: Decoder, path: Path, stop: Stop, begun: threading.Event) -> list[Window | AudioFacts]:
    found = []
    with contextlib.closing(decoder.decode(Recording(uri=str(path)), stop=stop)) as items:
        for item in items:
            found.append(item)
            begun.set()
    return found


def test_a_decoding_that_is_stopped_ends_and_the_next_one_is_whole(
    decoder: Decoder, long_file: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short.flac"
    short.write_bytes(flac(2, block_samples=48_000))
    stop, begun = Stop(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(drained, decoder, long_file, stop, begun)
        assert begun.wait(SOON_S)
        stop.set()
        with pytest.raises(AudioError):
            waiting.result(SOON_S)
    found = drained(decoder, short, Stop(), threading.Event())
    assert isinstance(found[-1], AudioFacts)


def test_who_waits_for_a_child_can_be_stopped_while_another_has_it(decoder: Decoder, long_file: Path) -> None:
    with contextlib.closing(decoder.decode(Recording(uri=str(long_file)))) as items:
        assert isinstance(next(items), Window)
        stop = Stop()
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(drained, decoder, long_file, stop, threading.Event())
            assert not waiting.done()
            stop.set()
            with pytest.raises(AudioError):
                waiting.result(SOON_S)
        assert isinstance(next(items), Window)

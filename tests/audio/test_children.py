"""One decoder, several threads."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import pytest

from mmer_ray.audio.decode import Decoder
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import AudioFacts, Recording, Window
from tests.bad_audio.containers import wav16
from tests.bad_audio.signals import voice

OPTIONS = DecodeOptions(window_s=20)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Recording number n lasts n + 1 minutes."""
    folder = tmp_path_factory.mktemp("calls")
    for minutes in range(1, 7):
        (folder / f"{minutes}.wav").write_bytes(wav16(np.tile(voice(), 20 * minutes)))
    return [Recording(uri=str(folder / f"{minutes}.wav")) for minutes in range(1, 7)]


def answers(decoder: Decoder, recording: Recording) -> Generator[Window | AudioFacts, None, None]:
    return cast("Generator[Window | AudioFacts, None, None]", decoder.decode(recording))


def duration_s(decoder: Decoder, recording: Recording) -> float:
    *windows, facts = decoder.decode(recording)
    assert isinstance(facts, AudioFacts)
    assert all(window.recording is recording for window in windows if isinstance(window, Window))
    return facts.duration_s


@pytest.mark.parametrize("num_children", [1, 2])
def test_threads_share_the_children_and_each_gets_its_own_recording(
    num_children: int, recordings: list[Recording]
) -> None:
    with Decoder(OPTIONS, num_children) as decoder, ThreadPoolExecutor(6) as threads:
        durations_s = list(threads.map(lambda one: duration_s(decoder, one), recordings * 2))
        assert len(decoder._pool.children()) <= num_children
    assert durations_s == [60.0 * minutes for minutes in range(1, 7)] * 2


def test_headers_are_probed_from_a_thread_pool(recordings: list[Recording]) -> None:
    with Decoder(OPTIONS, 2) as decoder, ThreadPoolExecutor(4) as threads:
        assert list(threads.map(decoder.probe, recordings)) == [60.0 * minutes for minutes in range(1, 7)]


def test_children_start_when_needed_and_stay(recordings: list[Recording]) -> None:
    with Decoder(OPTIONS, 3) as decoder:
        assert decoder._pool.children() == []
        duration_s(decoder, recordings[0])
        (first,) = decoder._pool.children()
        duration_s(decoder, recordings[1])
        assert decoder._pool.children() == [first]


def test_a_thread_with_two_children_reads_two_recordings_side_by_side(recordings: list[Recording]) -> None:
    with Decoder(OPTIONS, 2) as decoder:
        pairs = list(zip(answers(decoder, recordings[0]), answers(decoder, recordings[0]), strict=True))
    assert all(isinstance(one, type(other)) for one, other in pairs)
    assert isinstance(pairs[-1][0], AudioFacts)


def test_an_iteration_that_is_closed_frees_its_place_and_ends_its_child(recordings: list[Recording]) -> None:
    with Decoder(OPTIONS) as decoder:
        with contextlib.closing(answers(decoder, recordings[5])) as found:
            next(found)
            (child,) = decoder._pool.children()
        assert not child.is_alive()
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(duration_s, decoder, recordings[0]).result(timeout=60) == 60.0


def test_a_caller_waits_until_a_child_is_free(recordings: list[Recording]) -> None:
    with Decoder(OPTIONS) as decoder, ThreadPoolExecutor(1) as thread:
        found = answers(decoder, recordings[0])
        next(found)
        later = thread.submit(duration_s, decoder, recordings[1])
        assert not later.done()
        assert isinstance(list(found)[-1], AudioFacts)
        assert later.result(timeout=60) == 120.0


def test_closing_ends_all_children_and_wakes_those_who_wait(recordings: list[Recording]) -> None:
    decoder = Decoder(OPTIONS)
    found = answers(decoder, recordings[5])
    next(found)
    (child,) = decoder._pool.children()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(duration_s, decoder, recordings[0])
        # It waits, or is about to: both end the same way.
        time.sleep(0.05)
        decoder.close()
        with pytest.raises(RuntimeError, match="closed"):
            waiting.result(timeout=60)
    with pytest.raises(RuntimeError, match="closed"):
        list(found)
    assert not child.is_alive()
    with pytest.raises(RuntimeError, match="closed"):
        decoder.probe(recordings[0])


def test_a_pool_closed_while_a_child_starts_leaves_no_child(recordings: list[Recording]) -> None:
    decoder = Decoder(OPTIONS)
    started = threading.Event()
    begin = decoder._pool._start

    def start():  # type: ignore[no-untyped-def]
        child = begin()
        started.set()
        return child

    decoder._pool._start = start
    with ThreadPoolExecutor(1) as thread:
        probing = thread.submit(duration_s, decoder, recordings[0])
        assert started.wait(60)
        decoder.close()
        with pytest.raises(RuntimeError, match="closed"):
            probing.result(timeout=60)
    assert decoder._pool.children() == []


def test_no_children_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="at least one child"):
        Decoder(OPTIONS, 0)

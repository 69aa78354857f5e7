"""Time limits on the child, and whose fault its end is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmer_ray.audio import guard
from mmer_ray.audio.decode import Decoder
from mmer_ray.audio.remote import MAX_BLOCK_BYTES
from mmer_ray.audio.wire import pack
from mmer_ray.errors import RETRYABLE, AudioError, ErrorCode
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import AudioFacts, Recording
from tests.bad_audio.containers import wav16
from tests.bad_audio.signals import voice

QUICK = DecodeOptions(window_s=20, stall_s=2.0, max_memory_mb=1024)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    path = tmp_path / "a.wav"
    path.write_bytes(wav16(np.tile(voice(), 20)))
    return Recording(uri=str(path), root=str(tmp_path))


def failure(decoder: Decoder, recording: Recording) -> AudioError:
    with pytest.raises(AudioError) as caught:
        list(decoder.decode(recording))
    return caught.value


def test_a_child_that_computes_without_progress_is_stopped_after_the_stall_limit(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMER_FAULTS", "hang=*a.wav")
    # Without the stall limit the child's own alarm would go off, much later and with another message.
    with Decoder(QUICK) as decoder:
        error = failure(decoder, recording)
    assert (error.code, error.message) == (ErrorCode.DECODE_TIMEOUT, "the decoder made no progress for 2 s")
    assert error.code not in RETRYABLE


def test_a_child_that_waits_for_its_disk_is_tried_again(recording: Recording) -> None:
    with Decoder(QUICK) as decoder:
        answers = decoder.decode(recording)
        next(answers)
        (child,) = decoder._pool.children()
        # As a read from a file server that does not answer: no message and no CPU time.
        os.kill(child.pid, signal.SIGSTOP)
        with pytest.raises(AudioError) as caught:
            list(answers)
    assert caught.value.code is ErrorCode.IO_ERROR
    assert caught.value.code in RETRYABLE
    assert not child.is_alive()


def test_seconds_that_the_child_waits_for_bytes_are_added_to_its_time(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    earned: list[float] = []
    with Decoder(QUICK) as decoder:
        decoder.network_isolation()
        (child,) = decoder._pool.children()
        messages: Iterator[dict[str, Any]] = iter(
            [
                {"kind": "beat", "decoded_s": 20.0, "waited_s": 100.0},
                {"kind": "beat", "decoded_s": 40.0, "waited_s": 250.0},
                {"kind": "facts"},
            ]
        )

        def message() -> tuple[dict[str, Any], np.ndarray]:
            earned.append(child._wait_s)
            return next(messages), np.empty(0, np.int16)

        monkeypatch.setattr(child, "_message", message)
        child._wait_s, child._earned_s = 10.0, 0.0
        assert child.receive()[0] == {"kind": "facts"}
    assert earned == pytest.approx([10.0, 111.0, 262.0])


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGKILL, ErrorCode.KILLED),
        (signal.SIGTERM, ErrorCode.KILLED),
        (signal.SIGSEGV, ErrorCode.DECODER_CRASH),
        (signal.SIGABRT, ErrorCode.DECODER_CRASH),
        (signal.SIGXCPU, ErrorCode.DECODE_TIMEOUT),
        (signal.SIGALRM, ErrorCode.IO_ERROR),
    ],
)
def test_a_signal_tells_whether_the_file_or_the_machine_ended_the_child(
    number: signal.Signals, code: ErrorCode, recording: Recording
) -> None:
    with Decoder(QUICK) as decoder:
        answers = decoder.decode(recording)
        next(answers)
        (child,) = decoder._pool.children()
        os.kill(child.pid, number)
        with pytest.raises(AudioError) as caught:
            list(answers)
        assert caught.value.code is code
        assert number.name in caught.value.message
        *_, facts = decoder.decode(recording)
    assert isinstance(facts, AudioFacts)


def test_a_child_killed_by_the_kernel_is_tried_again_and_one_beyond_its_own_limit_is_not() -> None:
    assert ErrorCode.KILLED in RETRYABLE
    assert ErrorCode.OUT_OF_MEMORY not in RETRYABLE


class Object:
    """Something in a bucket."""

    size_bytes = 100

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        return bytes(range(100))[offset : offset + num_bytes]


@pytest.mark.parametrize(
    "header",
    [
        {"kind": "read", "offset": -1, "num_bytes": 10},
        {"kind": "read", "offset": 101, "num_bytes": 10},
        {"kind": "read", "offset": 0, "num_bytes": 0},
        {"kind": "read", "offset": 0, "num_bytes": MAX_BLOCK_BYTES + 1},
        {"kind": "read", "offset": "0", "num_bytes": 10},
        {"kind": "read"},
        {"kind": "beat", "decoded_s": None, "waited_s": 0.0},
    ],
)
def test_a_child_gets_no_bytes_outside_its_recording_and_no_say_in_errors(
    header: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    child = guard.GuardedChild(1024, 3.0)
    try:
        child.greet()
        child.ask({"kind": "usage"}, Object())
        monkeypatch.setattr(child, "_message", lambda: (header, np.empty(0, np.int16)))
        with pytest.raises(AudioError) as caught:
            child.receive()
    finally:
        child.kill()
    assert caught.value.code is ErrorCode.DECODER_CRASH


def test_bytes_that_are_no_message_end_the_recording_alone(recording: Recording) -> None:
    with Decoder(QUICK) as decoder:
        decoder.network_isolation()
        (child,) = decoder._pool.children()
        real_fd = child._from_child.fileno()
        reader, writer = os.pipe()
        os.write(writer, pack({"no kind": 1}))
        os.dup2(reader, real_fd)
        os.close(reader)
        os.close(writer)
        assert failure(decoder, recording).code is ErrorCode.DECODER_CRASH
        assert isinstance(list(decoder.decode(recording))[-1], AudioFacts)

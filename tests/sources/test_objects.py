"""Reading objects of a bucket against servers on loopback: a real S3 interface, and one that fails in chosen ways."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import boto3
import numpy as np
import pytest

from mmer_ray.audio.decode import Decoder
from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import AudioFacts, Recording
from mmer_ray.sources import objects
from mmer_ray.sources.buckets import list_objects
from mmer_ray.sources.objects import ObjectReader, find_object
from tests.bad_audio.containers import wav16
from tests.bad_audio.signals import voice
from tests.fault_proxy import FaultProxy

URI = "s3://calls/2026/a.wav"


@pytest.fixture(autouse=True)
def credentials(s3_environment: str) -> None:
    """Known ones, and no store that another test has opened."""


@pytest.fixture
def calls() -> boto3.client:
    """A client of the server, which has an empty bucket `calls`."""
    client = boto3.client("s3")
    client.create_bucket(Bucket="calls")
    for found in client.list_objects_v2(Bucket="calls").get("Contents", ()):
        client.delete_object(Bucket="calls", Key=found["Key"])
    return client


def put(client: boto3.client, data: bytes, key: str = "2026/a.wav") -> None:
    client.put_object(Bucket="calls", Key=key, Body=data)


def test_a_recording_in_a_bucket_is_listed_probed_and_decoded(calls: boto3.client) -> None:
    data = wav16(np.tile(voice(), 100))
    put(calls, data)
    (listed,) = list_objects("s3://calls/2026/")
    assert (listed.uri, listed.size_bytes) == (URI, len(data))
    assert listed == find_object(URI)
    with Decoder(DecodeOptions(window_s=60)) as decoder:
        recording = Recording(uri=URI, root="s3://calls/2026/")
        assert decoder.probe(recording) == 300.0
        *windows, facts = decoder.decode(recording)
    assert isinstance(facts, AudioFacts)
    assert facts.duration_s == 300.0
    assert len(windows) >= 5


def test_reading_an_object_that_was_replaced_says_so(calls: boto3.client) -> None:
    put(calls, bytes(1000))
    reader = ObjectReader(URI)
    assert reader.read_at(10, 5) == bytes(5)
    assert not reader.changed()
    put(calls, bytes(range(250)) * 4)
    assert reader.changed()
    with pytest.raises(AudioError) as caught:
        reader.read_at(20, 5)
    assert caught.value.code is ErrorCode.CHANGED_DURING_READ


@pytest.mark.parametrize("uri", ["s3://calls/none.wav", "s3://no-such-bucket/a.wav", "s3://calls/2026"])
def test_what_is_no_object_is_not_found(uri: str, calls: boto3.client) -> None:
    put(calls, b"sound")
    with pytest.raises(AudioError) as caught:
        ObjectReader(uri)
    assert caught.value.code is ErrorCode.NOT_FOUND


def test_a_body_that_broke_off_is_read_again_and_never_taken_for_the_whole(
    calls: boto3.client, s3_environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(250)) * 40
    put(calls, data)
    proxy = FaultProxy(s3_environment)
    with proxy.running() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        reader = ObjectReader(URI)
        proxy.truncated = 0.3
        assert b"".join(reader.read_at(offset, 500) for offset in range(0, len(data), 500)) == data
        assert proxy.faults["truncated"] > 0
        proxy.truncated = 1.0
        with pytest.raises(AudioError) as caught:
            reader.read_at(0, 500)
    assert caught.value.code is ErrorCode.IO_ERROR


class Refusing(BaseHTTPRequestHandler):
    """Answers all requests with the server's `status`."""

    def do_HEAD(self) -> None:
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"READ_TIMEOUT_S": 0.3, "CONNECT_TIMEOUT_S": 0.3, "NUM_ATTEMPTS": 1, "NUM_RETRIES": 1}.items():
        monkeypatch.setattr(objects, name, value)


def failure() -> AudioError:
    with pytest.raises(AudioError) as caught:
        ObjectReader(URI)
    return caught.value


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, ErrorCode.PERMISSION),
        (403, ErrorCode.PERMISSION),
        (404, ErrorCode.NOT_FOUND),
        (429, ErrorCode.IO_ERROR),
        (500, ErrorCode.IO_ERROR),
        (503, ErrorCode.IO_ERROR),
    ],
)
def test_a_status_of_the_store_is_a_code(
    status: int, code: ErrorCode, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    server.status = status  # type: ignore[attr-defined]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert failure().code is code
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_store_that_does_not_answer_is_an_io_error(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert failure().code is ErrorCode.IO_ERROR


def test_a_store_that_is_not_there_is_an_io_error(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    error = failure()
    assert error.code is ErrorCode.IO_ERROR
    assert str(port) not in error.message


def test_missing_credentials_are_a_matter_of_permission(
    impatient: None, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, f"{tmp_path}/none")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert failure().code is ErrorCode.PERMISSION

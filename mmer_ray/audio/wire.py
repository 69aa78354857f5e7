"""Messages between the decoder and its child: a JSON header and, for samples and remote files, raw bytes.

    4 bytes  length of the header, little-endian
    8 bytes  length of the payload
    header   UTF-8 JSON object with a key `kind`
    payload  samples, int16 little-endian, or bytes of an object in a bucket

The parent asks (`decode`, `sound`, `probe`, `usage`). The child answers with any number of `beat`, `read`, `window` and
`sound`, then `facts`, `claimed` or `failed`. A `read` names a range of the remote object; the parent sends `bytes`
with it.

No pickle: what a hostile file might make of the child must not run in the parent.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmer_ray.records import Samples

LENGTHS = struct.Struct("<IQ")
EXIT_OUT_OF_MEMORY = 12
"""Exit code of the child after an allocation that failed: a heap that was full is not used for the next recording."""
MAX_HEADER_BYTES = 1 << 20
MAX_PAYLOAD_BYTES = 1 << 26
"""More than the longest window there is: 600 s of int16 at 16 kHz are 19 MB."""


def pack(header: Mapping[str, Any], payload_bytes: int = 0) -> bytes:
    """The bytes that go before a payload of `payload_bytes` bytes."""
    text = json.dumps(header).encode("ascii")
    return LENGTHS.pack(len(text), payload_bytes) + text


def unpack_lengths(prefix: bytes | bytearray) -> tuple[int, int]:
    """Lengths in bytes of the header and of the payload that follow."""
    header_bytes, payload_bytes = LENGTHS.unpack(prefix)
    if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise ValueError(f"lengths of {header_bytes} and {payload_bytes} bytes are no message of the decoder")
    return int(header_bytes), int(payload_bytes)


def unpack_header(text: bytes | bytearray) -> dict[str, Any]:
    header = json.loads(text)
    if not isinstance(header, dict) or not isinstance(header.get("kind"), str):
        raise ValueError("a message is a JSON object with a key `kind`")
    return header


class Pipe:
    """Blocking messages over two file descriptors: the child's side."""

    def __init__(self, in_fd: int, out_fd: int) -> None:
        self._in_fd, self._out_fd = in_fd, out_fd

    def receive(self) -> tuple[dict[str, Any], bytes] | None:
        """The next message and its payload; None when the other side has closed the pipe."""
        prefix = self._read(LENGTHS.size)
        if len(prefix) < LENGTHS.size:
            return None
        header_bytes, payload_bytes = unpack_lengths(prefix)
        return unpack_header(self._read(header_bytes)), self._read(payload_bytes)

    def send(self, header: Mapping[str, Any], samples: Samples | None = None) -> None:
        """Send a header and int16 samples of shape (num_samples,)."""
        payload = memoryview(b"") if samples is None else np.ascontiguousarray(samples).view(np.uint8).data
        self._write(memoryview(pack(header, len(payload))))
        self._write(payload)

    def _read(self, num_bytes: int) -> bytes:
        data = bytearray()
        while len(data) < num_bytes and (part := os.read(self._in_fd, num_bytes - len(data))):
            data += part
        return bytes(data)

    def _write(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._out_fd, data) :]

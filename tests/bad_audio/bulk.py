"""Very long files in milliseconds: FLAC and Ogg Opus put together frame by frame, checksums over all frames at once."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

Bytes2D = npt.NDArray[np.uint8]


def _crc_table(polynomial: int, width: int) -> npt.NDArray[np.uint32]:
    table = []
    for byte in range(256):
        value = byte << (width - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (width - 1) & 1 else 0)
        table.append(value & ((1 << width) - 1))
    return np.array(table, dtype=np.uint32)


def _crc(rows: Bytes2D, polynomial: int, width: int) -> npt.NDArray[np.uint32]:
    """The checksum of each row, most significant bit first, starting from 0."""
    table, mask = _crc_table(polynomial, width), np.uint32((1 << width) - 1)
    value = np.zeros(len(rows), dtype=np.uint32)
    for column in rows.T:
        value = (value << np.uint32(8)) & mask ^ table[(value >> np.uint32(width - 8)) ^ column]
    return value


def _streaminfo(rate_hz: int, channels: int, block_samples: int, num_samples: int) -> bytes:
    packed = rate_hz << 44 | (channels - 1) << 41 | 15 << 36 | num_samples
    info = struct.pack(">HH", block_samples, block_samples) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80\x00\x00\x22" + info


def flac(
    num_blocks: int,
    *,
    rate_hz: int = 16_000,
    channels: int = 1,
    block_samples: int = 65_535,
    sound: npt.NDArray[np.int16] | None = None,
    sound_every: int = 100,
) -> bytes:
    """Blocks of silence; every `sound_every`th holds `sound`, of `block_samples` samples, for mono files."""
    numbers = np.arange(num_blocks)
    silent = np.tile(np.zeros(3, dtype=np.uint8), (1, channels))
    frames = np.empty(num_blocks, dtype=object)
    is_sound = numbers % sound_every == 0 if sound is not None else np.zeros(num_blocks, dtype=bool)
    for selected, payload in ((~is_sound, silent), (is_sound, _verbatim(sound))):
        # The frame number is coded like a UTF-8 character, so frames of one length are made together.
        lengths = np.array([len(_coded(int(n))) for n in numbers])
        for length in np.unique(lengths[selected]):
            rows = numbers[selected & (lengths == length)]
            made = _frames(rows, block_samples, channels, payload)
            for number, row in zip(rows, made, strict=True):
                frames[number] = row.tobytes()
    return _streaminfo(rate_hz, channels, block_samples, num_blocks * block_samples) + b"".join(frames)


def _verbatim(sound: npt.NDArray[np.int16] | None) -> Bytes2D:
    body = b"" if sound is None else b"\x02" + sound.astype(">i2").tobytes()
    return np.frombuffer(body, dtype=np.uint8)[None, :]


def _coded(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass")


def _frames(numbers: npt.NDArray[np.int64], block_samples: int, channels: int, payload: Bytes2D) -> Bytes2D:
    size = struct.pack(">H", block_samples - 1)
    heads = [b"\xff\xf8\x70" + bytes([(channels - 1) << 4 | 8]) + _coded(int(n)) + size for n in numbers]
    head = np.frombuffer(b"".join(heads), dtype=np.uint8).reshape(len(numbers), -1)
    crc8 = _crc(head, 0x07, 8).astype(np.uint8)[:, None]
    body = np.concatenate([head, crc8, np.repeat(payload, len(numbers), axis=0)], axis=1)
    crc16 = _crc(body, 0x8005, 16)
    return np.concatenate([body, np.stack([crc16 >> 8, crc16 & 0xFF], axis=1).astype(np.uint8)], axis=1)


def opus_silence(duration_s: int) -> bytes:
    """Ogg Opus of 20 ms packets of coded silence, 250 to a page of 5 s."""
    silence, per_page = b"\xf8\xff\xfe", 250
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 4) + b"none" + struct.pack("<I", 0)
    pages = [_page(0, 0, 2, [head]), _page(0, 1, 0, [tags])]
    num_pages = duration_s // 5
    for index in range(num_pages):
        granule, is_last = (index + 1) * per_page * 960, index == num_pages - 1
        pages.append(_page(granule, index + 2, 4 if is_last else 0, [silence] * per_page))
    lengths = [len(page) for page in pages]
    assert len(set(lengths[2:])) == 1
    body = np.frombuffer(b"".join(pages[2:]), dtype=np.uint8).reshape(num_pages, -1)
    return b"".join(_signed(np.frombuffer(page, dtype=np.uint8)[None]).tobytes() for page in pages[:2]) + (
        _signed(body).tobytes()
    )


def _page(granule: int, sequence: int, kind: int, packets: list[bytes]) -> bytes:
    head = b"OggS" + struct.pack("<BBqIIIB", 0, kind, granule, 7, sequence, 0, len(packets))
    return head + bytes(len(packet) for packet in packets) + b"".join(packets)


def _signed(pages: Bytes2D) -> Bytes2D:
    signed = pages.copy()
    crc = _crc(pages, 0x04C11DB7, 32)
    signed[:, 22:26] = crc.astype("<u4").view(np.uint8).reshape(len(pages), 4)
    return signed

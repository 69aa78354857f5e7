"""Requests that no client of ours sends, by number: the same number is the same request."""

from __future__ import annotations

import random
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from tests.bad_audio.bombs import TERABYTE
from tests.bad_audio.bulk import flac, opus_silence
from tests.bad_audio.cases import all_cases
from tests.bad_audio.containers import encoded, wav16
from tests.bad_audio.signals import voice

TRANSCRIPTIONS, ANALYSES, JOBS = "/v1/audio/transcriptions", "/v1/audio/analyses", "/v1/jobs"
FIELDS = (
    "model", "language", "languages[]", "keywords[]", "prompt", "temperature", "response_format", "stream", "include[]",
    "timestamp_granularities[]", "chunking_strategy", "known_speaker_names[]", "known_speaker_references[]",
    "audio_url", "user", "file", "__proto__", "",
)  # fmt: skip
VALUES = (
    "", "0", "-1", "1e309", "nan", "true", "whisper-1", "en", "xx", "json", "verbose_json", "diarized_json", "srt",
    "word", "auto", '{"type":"server_vad"}', "[" * 2_000, "{" * 2_000, "\x00", "\ud7ff\uffff", "a" * 70_000, "🙂" * 500,
    "data:audio/wav;base64,AAAA", "data:text/html,<script>", "data:audio/wav;base64," + "A" * 9_000,
    "file:///etc/passwd", "http://169.254.169.254/latest/meta-data", "https://[::1]/a.wav", "https://user@host/%2e%2e/",
    "'; DROP TABLE jobs; --", "$(id)", "../../../etc/passwd",
)  # fmt: skip
PATHS = (
    "/../../etc/passwd", "/page/../../../etc/passwd", "/page/%2e%2e/%2e%2e/etc/passwd", "/page/..%2f..%2fetc/passwd",
    "/page/%00", "/page//etc/passwd", "//evil.example/", "/\\evil.example", "/%ED%A0%80", "/%ff%fe", "/v1/jobs/%2e%2e",
    "/v1/jobs/' OR 1=1", "/v1/jobs/" + "a" * 5_000, "/v1/models/%2fetc%2fpasswd", "/v1/jobs?limit=-1",
    "/v1/jobs?after=%00", "/v1/jobs?limit=99999999999999999999", "/?" + "a=b&" * 500, "/" + "a" * 30_000, "*",
    "http://evil.example/v1/models", "/docs/%0d%0aSet-Cookie:%20a=b", "/metrics", "/healthz", "/openapi.json",
)  # fmt: skip
TYPES = (
    "application/json", "text/plain", "audio/wav", "multipart/form-data", "multipart/mixed; boundary=x", "", "\xff",
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=" + "x" * 300,
    'multipart/form-data; boundary="',
)  # fmt: skip
MAX_CASE_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What goes over the wire."""

    kind: str
    sent: bytes
    hangs_up: bool = False
    """The client leaves at once; nothing is to be answered."""
    is_http: bool = True
    """Whether it is a request at all, so that an answer must come."""


@cache
def real_files() -> tuple[bytes, ...]:
    """A second and a half of voice, as people record it."""
    sound, fine = voice(1.5), voice(1.5, rate_hz=48_000)
    return (
        wav16(sound),
        encoded(sound, "flac", "flac"),
        encoded(fine, "mp3", "libmp3lame", 48_000),
        encoded(fine, "ogg", "libopus", 48_000),
        encoded(fine, "ipod", "aac", 48_000),
        encoded(fine, "webm", "libopus", 48_000),
    )


@cache
def bombs() -> tuple[bytes, ...]:
    """Small files that say or hold much."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("a.wav", bytes(16 << 20))
    huge = bytearray(wav16(voice(0.5)))
    huge[40:44] = b"\xff\xff\xff\xff"
    gzipped = zlib.compress(bytes(16 << 20), wbits=31)
    return (
        flac(21_095),
        flac(10_548, rate_hz=192_000, channels=8),
        opus_silence(3_600),
        archive.getvalue(),
        bytes(huge),
        gzipped,
    )


def bad_files(folder: Path) -> list[bytes]:
    """The files of the bad-audio corpus that a client could upload."""
    folder.mkdir()
    files = []
    for case in all_cases():
        path = folder / case.id
        if case.is_long or not isinstance(case.name, str):
            continue
        try:
            case.make(path)
            size_bytes = path.stat().st_size
        except (OSError, ValueError):
            # Cases of names and links need the corpus's own folder.
            continue
        if path.is_file() and size_bytes < min(MAX_CASE_BYTES, TERABYTE):
            files.append(path.read_bytes())
    return files


class Fuzz:
    """Makes requests. `key`: one that is taken."""

    def __init__(self, key: str, bad: list[bytes], seed: int = 0) -> None:
        self._key, self._bad, self._seed = key, bad, seed
        self._kinds: tuple[tuple[int, Callable[[random.Random], Fuzzed]], ...] = (
            (3, self._random_file), (3, self._cut_file), (3, self._flipped_file), (2, self._bad_file), (1, self._bomb),
            (3, self._odd_fields), (2, self._odd_type), (3, self._broken_form), (2, self._odd_head),
            (3, self._odd_path), (2, self._junk), (2, self._hung_up), (1, self._odd_key), (1, self._socket),
        )  # fmt: skip

    def request(self, number: int) -> Fuzzed:
        """One of endlessly many."""
        chance = random.Random(f"{self._seed}/{number}")
        [make] = chance.choices([make for _, make in self._kinds], [weight for weight, _ in self._kinds])
        return make(chance)

    def _random_file(self, chance: random.Random) -> Fuzzed:
        start = chance.choice(
            [b"", b"RIFF", b"fLaC", b"OggS\x00\x02", b"ID3\x04", b"\xff\xfb\x90", b"\x00\x00\x00\x20ftyp"]
        )
        return self._file("random bytes", chance, start + chance.randbytes(chance.choice([0, 1, 40, 5_000, 200_000])))

    def _cut_file(self, chance: random.Random) -> Fuzzed:
        whole = chance.choice(real_files())
        begin = 0 if chance.random() < 0.7 else chance.randrange(len(whole))
        return self._file("a truncated file", chance, whole[begin : chance.randrange(begin, len(whole))])

    def _flipped_file(self, chance: random.Random) -> Fuzzed:
        data = bytearray(chance.choice(real_files()))
        for _ in range(chance.choice([1, 8, 64])):
            data[chance.randrange(min(len(data), chance.choice([64, 1 << 20])))] = chance.randrange(256)
        return self._file("a damaged file", chance, bytes(data))

    def _bad_file(self, chance: random.Random) -> Fuzzed:
        return self._file("a file of the bad-audio corpus", chance, chance.choice(self._bad))

    def _bomb(self, chance: random.Random) -> Fuzzed:
        return self._file("a bomb", chance, chance.choice(bombs()))

    def _odd_fields(self, chance: random.Random) -> Fuzzed:
        fields = [(chance.choice(FIELDS), chance.choice(VALUES)) for _ in range(chance.randrange(6))]
        return self._file("odd fields", chance, chance.choice(real_files()), fields)

    def _odd_type(self, chance: random.Random) -> Fuzzed:
        method = chance.choice(["POST", "POST", "PUT", "GET", "DELETE", "PATCH", "OPTIONS", "BREW", "TRACE"])
        body = chance.choice([b"{}", b"[" * 5_000, b"model=whisper-1&file=%00", b"\xff" * 100, b""])
        path = chance.choice([TRANSCRIPTIONS, ANALYSES, JOBS, "/healthz"])
        return Fuzzed("an odd type", self._head(path, len(body), chance.choice(TYPES), method=method) + body)

    def _broken_form(self, chance: random.Random) -> Fuzzed:
        body = bytearray(_form([("model", "whisper-1")], chance.choice(real_files())[:3_000]))
        if chance.random() < 0.5:
            del body[chance.randrange(len(body)) :]
        else:
            for _ in range(chance.choice([1, 10])):
                at = chance.randrange(min(len(body), 300))
                body[at : at + chance.randrange(3)] = chance.choice(
                    [b"\r\n", b"--b\r\n", b"\x00", b'"', b"--b--", b"\xff"]
                )
        return Fuzzed("a broken form", self._head(TRANSCRIPTIONS, len(body)) + bytes(body))

    def _odd_head(self, chance: random.Random) -> Fuzzed:
        name, value = chance.choice(
            [
                ("X-Long", "a" * chance.choice([9_000, 60_000])),
                ("Cookie", "a=b; " * 5_000),
                ("X-Request-Id", "a b\tc"),
                ("Accept", "*/*, " * 3_000),
                ("Host", "evil.example"),
                ("Expect", "100-continue"),
                ("Expect", "the moon"),
                ("Prefer", "respond-async, " * 100),
                ("Idempotency-Key", chance.choice(["", "a" * 5_000, "\x80", "same"])),
                ("Content-Encoding", "gzip"),
                ("X-Forwarded-For", "127.0.0.1"),
                ("Range", "bytes=0-18446744073709551616"),
                ("Upgrade", "h2c"),
            ]
        )
        body = _form([("model", "whisper-1")], real_files()[0][:8_000])
        head = self._head(chance.choice([TRANSCRIPTIONS, JOBS]), len(body), extra=[(name, value)])
        many = b"".join(b"X-%d: a\r\n" % number for number in range(chance.choice([0, 0, 500])))
        return Fuzzed("an odd head", head[:-2] + many + b"\r\n" + body)

    def _odd_path(self, chance: random.Random) -> Fuzzed:
        method = chance.choice(["GET", "GET", "POST", "DELETE", "HEAD"])
        target = chance.choice(PATHS)
        # Blanks end a target: such a line is no request.
        return Fuzzed(f"the path {target[:60]}", self._head(target, 0, method=method), is_http=" " not in target)

    def _junk(self, chance: random.Random) -> Fuzzed:
        start = f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._key}\r\n".encode()
        junk = chance.choice(
            [
                chance.randbytes(chance.choice([1, 100, 10_000])) + b"\r\n\r\n",
                b"GET / HTTP/9.9\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00" + chance.randbytes(500),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                start + b"Content-Length: -1\r\n\r\n",
                start + b"Content-Length: 99999999999999999999999\r\n\r\n",
                start + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                start + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                start + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
                start + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
                start + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            ]
        )
        return Fuzzed("junk", junk, is_http=False)

    def _hung_up(self, chance: random.Random) -> Fuzzed:
        body = _form([("model", "whisper-1")], chance.choice(real_files()))
        whole = self._head(TRANSCRIPTIONS, len(body)) + body
        return Fuzzed(
            "a client that leaves", whole[: chance.choice([len(whole), chance.randrange(len(whole))])], hangs_up=True
        )

    def _odd_key(self, chance: random.Random) -> Fuzzed:
        key = chance.choice(
            ["", "Bearer", "Bearer wrong", "Basic YTpi", "Bearer " + "a" * 20_000, "Bearer \x80\xff", self._key]
        )
        return Fuzzed("an odd key", self._head(TRANSCRIPTIONS, 8 << 10, key=key) + bytes(8 << 10))

    def _socket(self, chance: random.Random) -> Fuzzed:
        head = (
            "GET /v1/audio/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Version: {chance.choice([8, 13, 13, 99])}\r\n"
            f"Authorization: Bearer {chance.choice([self._key, 'wrong'])}\r\n\r\n"
        )
        return Fuzzed(
            "frames that are none", head.encode() + chance.randbytes(chance.choice([0, 10, 10_000])), hangs_up=True
        )

    def _file(
        self, kind: str, chance: random.Random, sound: bytes, fields: list[tuple[str, str]] | None = None
    ) -> Fuzzed:
        path = chance.choice([TRANSCRIPTIONS, TRANSCRIPTIONS, ANALYSES, JOBS])
        model = [] if path != TRANSCRIPTIONS else [("model", "whisper-1")]
        body = _form(model if fields is None else model + fields, sound, chance)
        return Fuzzed(kind, self._head(path, len(body)) + body)

    def _head(
        self,
        path: str,
        length: int,
        kind: str = "multipart/form-data; boundary=b",
        *,
        method: str = "POST",
        key: str | None = None,
        extra: list[tuple[str, str]] | None = None,
    ) -> bytes:
        headers = [("Host", "x"), ("Connection", "close"), ("Content-Type", kind), ("Content-Length", str(length))]
        headers += [("Authorization", f"Bearer {self._key}" if key is None else key), *(extra or [])]
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        return "\r\n".join(lines).encode("latin-1")


def _form(fields: list[tuple[str, str]], sound: bytes, chance: random.Random | None = None) -> bytes:
    names = ["a.wav", "", "a\x00b.wav", "../../../etc/passwd", "CON", "a" * 3_000, "🙂.mp3", "a.wav\\", "-rf"]
    filename = "a.wav" if chance is None else chance.choice(names)
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + text.encode() + b"\r\n"
        for name, text in fields
    ]
    file = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'.encode()
    return b"".join(parts) + file + sound + b"\r\n--b--\r\n"

"""Audio that the endpoint fetches itself: the form's field `audio_url` in place of `file`. Off unless hosts are listed.

Whoever names an address could have the endpoint ask services that only it can reach. So the host must be listed, all
its addresses must be public, the connection goes to one of the very addresses that were looked at, and no redirect is
followed. What is refused is refused before a socket opens.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from mmer_ray import __version__
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.api_errors import ApiError, invalid, no_room
from mmer_ray.serving.public_addresses import is_public
from mmer_ray.serving.upload import Form, Upload

FIELD = "audio_url"
HTTPS_PORT = 443
MAX_URL_CHARS = 2_048
CONNECT_S = 10.0
CHUNK_BYTES = 1 << 20

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) -> its numeric addresses. Raises `OSError`."""


async def resolved(host: str, port: int) -> Sequence[str]:
    """What the system's resolver says, in a thread. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True, slots=True)
class _Place:
    """An address as it was asked for."""

    host: str
    port: int
    target: bytes
    """Path and query."""

    @property
    def authority(self) -> str:
        return self.host if self.port == HTTPS_PORT else f"{self.host}:{self.port}"


class AudioUrls:
    """Fetches audio. `resolve`, `is_allowed` and `tls` are the internet's own unless a test brings others."""

    def __init__(
        self,
        options: ServeOptions,
        *,
        resolve: Resolve = resolved,
        is_allowed: Callable[[str], bool] = is_public,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._options = options
        self._resolve, self._is_allowed, self._tls = resolve, is_allowed, tls
        self._num_fetching = 0

    async def fetched(self, url: str, max_bytes: int, folder: Path | None = None) -> bytes | Path:
        """Fetch a file; into a new one in `folder`, which the caller removes, or into memory.

        Raises `ApiError`: 400 for an address that is not allowed, 413 for more than `max_bytes`, 422 where the host
        does not give the file, 503 where too many are being fetched or the disk is full.
        """
        place = self._place(url)
        if self._num_fetching >= self._options.max_in_flight_per_key:
            raise no_room("too_many_fetches", "too much audio is being fetched", self._options.retry_after_s)
        self._num_fetching += 1
        try:
            async with asyncio.timeout(self._options.body_timeout_s):
                address = await self._address(place)
                async with self._answer(place, address) as response:
                    return await _kept(_bounded(response, max_bytes), folder)
        except (TimeoutError, httpx.TimeoutException) as exc:
            raise _failed("the host did not answer in time") from exc
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as exc:
            raise _failed("the host cannot be reached by https, or its answer cannot be read") from exc
        except OSError as exc:
            # Of the network httpx makes errors of its own: this is the disk.
            raise no_room("no_space", "the sound cannot be kept at the moment", self._options.retry_after_s) from exc
        finally:
            self._num_fetching -= 1

    async def filled(self, form: Form, max_bytes: int, folder: Path | None = None) -> Form:
        """A form with the file that its field names in place of the field. Raises as `fetched`, and `ApiError` 400 for
        two addresses, or a file beside one."""
        urls = [value for name, value in form.fields if name == FIELD and value]
        fields = [(name, value) for name, value in form.fields if name != FIELD]
        if not urls:
            return Form(fields, form.files)
        if len(urls) > 1 or form.files:
            raise invalid(FIELD, "send one sound in a request: a file, or one address")
        sound = await self.fetched(urls[0], max_bytes, folder)
        size_bytes = len(sound) if isinstance(sound, bytes) else sound.stat().st_size
        return Form(fields, [Upload("file", "", size_bytes, sound)])

    def _place(self, url: str) -> _Place:
        """Take an address apart. Raises `ApiError` unless it is https at a listed host."""
        hosts = [host.lower() for host in self._options.audio_url_hosts]
        if not hosts:
            raise invalid(FIELD, "this endpoint fetches no audio; send the file")
        if len(url) > MAX_URL_CHARS or not url.isascii() or not url.isprintable() or set(url) & set(' \\"<>^`{|}'):
            raise invalid(FIELD, f"is no URL of at most {MAX_URL_CHARS} ASCII characters")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or HTTPS_PORT
        except ValueError as exc:
            raise invalid(FIELD, "is no URL") from exc
        if parts.scheme != "https":
            raise invalid(FIELD, "must begin with https://")
        if "@" in parts.netloc:
            raise invalid(FIELD, "must not hold a user's name or password")
        place = _Place(host, port, f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}".encode())
        if place.authority not in hosts:
            raise invalid(FIELD, "is at a host that this endpoint does not fetch from")
        return place

    async def _address(self, place: _Place) -> str:
        """The address to connect to. Raises `ApiError` unless all that the host has are allowed."""
        try:
            addresses = await self._resolve(place.host, place.port)
        except (OSError, UnicodeError) as exc:
            raise _failed("the host has no address") from exc
        if not addresses:
            raise _failed("the host has no address")
        if not all(map(self._is_allowed, addresses)):
            raise invalid(FIELD, "is at a host whose address is not public")
        return addresses[0]

    @asynccontextmanager
    async def _answer(self, place: _Place, address: str) -> AsyncIterator[httpx.Response]:
        if self._tls is None:
            # Reads the certificates of all authorities.
            self._tls = await asyncio.to_thread(httpx.create_ssl_context)
        silence_s = self._options.body_silence_s
        waits = {"connect": min(CONNECT_S, silence_s), "read": silence_s, "write": silence_s, "pool": silence_s}
        request = httpx.Request(
            "GET",
            httpx.URL(scheme="https", host=address, port=place.port, raw_path=place.target),
            headers={
                "Host": place.authority,
                # A packed answer could unpack to any size.
                **{"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": f"mmer/{__version__}"},
            },
            # The certificate must be that of the host, not of the address.
            extensions={"timeout": waits, "sni_hostname": place.host},
        )
        # The transport alone: a client would follow proxies of the environment and log the address.
        async with httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            try:
                _check(response)
                yield response
            finally:
                await response.aclose()


def _check(response: httpx.Response) -> None:
    if response.is_redirect or 300 <= response.status_code < 400:
        raise _failed("the host sends elsewhere, and redirects are not followed")
    if response.status_code != httpx.codes.OK:
        raise _failed(f"the host answered with status {response.status_code}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise _failed("the host sends the file packed")


async def _bounded(response: httpx.Response, max_bytes: int) -> AsyncIterator[bytes]:
    """The parts of an answer. Raises `ApiError` 413, at once where the host tells the size."""
    too_big = ApiError(413, "file_too_big", f"{FIELD}: the file is larger than {max_bytes} bytes", FIELD)
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:18]) > max_bytes:
        raise too_big
    num_bytes = 0
    async for part in response.aiter_raw():
        num_bytes += len(part)
        if num_bytes > max_bytes:
            raise too_big
        yield part


async def _kept(parts: AsyncIterator[bytes], folder: Path | None) -> bytes | Path:
    if folder is None:
        return b"".join([part async for part in parts])
    path, waiting = folder / f"{secrets.token_hex(16)}.sound", bytearray()
    try:
        async for part in parts:
            waiting += part
            if len(waiting) >= CHUNK_BYTES:
                await asyncio.to_thread(_append, path, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(_append, path, bytes(waiting))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def _failed(why: str) -> ApiError:
    return ApiError(422, "audio_url_failed", f"{FIELD}: {why}", FIELD)

"""The form of a request: its fields, and its files in memory or, the big ones of jobs, in a folder.

Names are never used as paths: they are cut to their last part and shown to nobody but the client.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.api_errors import ApiError, invalid, no_room

MAX_FILES, MAX_FIELDS = 16, 1_000
MAX_NAME_CHARS = 64
"""Of a field's name; ours have 31 at most."""
MAX_FILENAME_CHARS = 255
SOUND_FIELDS = frozenset({"known_speaker_references", "known_speaker_references[]"})
"""Fields that hold sound as text (`data:` URLs), for which `max_field_bytes` is too little."""
MAX_SOUND_FIELD_BYTES = 4 << 20
"""Ten seconds of 48 kHz stereo, 16 bit, in base64 have 2.6 MB."""
CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii"})
"""Python knows more, among them some that fail on everything, or take long."""
SPOOL_BYTES = 256 << 10
"""Files in a form that is still arriving are in memory up to this size, then in a file without a name."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a form."""

    field: str
    filename: str
    """The last part of the name that the client gave, cut to `MAX_FILENAME_CHARS`; it may be empty."""
    size_bytes: int
    sound: bytes | Path
    """Its bytes; a file in the folder that was given to `received_form`, which the caller removes."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a request asks."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    """Name and text in the order of the form; a name may come more than once."""
    files: list[Upload] = field(default_factory=list)


async def received_form(request: Request, options: ServeOptions, folder: Path | None = None) -> Form:
    """Read a form to its end, as `multipart/form-data` or, without files, URL-encoded.

    With a `folder` files larger than `SPOOL_BYTES` go there instead of into memory.

    Raises `ApiError`: 415 for another content type or charset, 400 for a broken form, too many parts, or a field that
    is too big or has a name that none of ours has, 503 where a disk has no room for a file. Raises `ClientDisconnect`.
    """
    try:
        return await _received(request, options, folder)
    except OSError as exc:
        raise no_room("no_space", "the sound cannot be kept at the moment", options.retry_after_s) from exc


async def _received(request: Request, options: ServeOptions, folder: Path | None) -> Form:
    form = await _parsed(request)
    try:
        items = form.multi_items()
        fields = [(name, value) for name, value in items if isinstance(value, str)]
        files = [(name, value) for name, value in items if isinstance(value, UploadFile)]
        _check(fields, options, [name for name, _ in files])
        return Form(fields, [await _upload(name, file, folder) for name, file in files])
    finally:
        await form.close()


async def _parsed(request: Request) -> FormData:
    content_type, parameters = parse_options_header(request.headers.get("content-type"))
    if parameters.get(b"charset", b"utf-8").lower() not in CHARSETS:
        raise ApiError(415, "unsupported_charset", "the form must be in UTF-8")
    try:
        if content_type == b"multipart/form-data":
            parser = _Multipart(
                request.headers,
                request.stream(),
                max_files=MAX_FILES,
                max_fields=MAX_FIELDS,
                max_part_size=MAX_SOUND_FIELD_BYTES,
            )
            form = await parser.parse()
            if parser.is_whole:
                return form
            await form.close()
            raise MultiPartException("its last boundary is missing.")
        if content_type == b"application/x-www-form-urlencoded":
            return await FormParser(
                request.headers, request.stream(), max_fields=MAX_FIELDS, max_part_size=MAX_SOUND_FIELD_BYTES
            ).parse()
    except MultiPartException as broken:
        raise ApiError(400, "broken_form", f"the form cannot be read: {broken.message}") from broken
    except FormParserError as broken:
        raise ApiError(400, "broken_form", "the form cannot be read") from broken
    raise ApiError(415, "unsupported_media_type", "the body must be a form: Content-Type multipart/form-data")


class _Multipart(MultiPartParser):
    """Knows whether the form's end was seen: the parser leaves out what was cut, and says nothing."""

    spool_max_size = SPOOL_BYTES
    is_whole = False

    def on_end(self) -> None:
        self.is_whole = True


def _check(fields: list[tuple[str, str]], options: ServeOptions, file_names: list[str]) -> None:
    for name in [*(name for name, _ in fields), *file_names]:
        if len(name) > MAX_NAME_CHARS or not name.isprintable():
            raise ApiError(400, "unknown_field", "the form has a field whose name is none of ours")
    for name, text in fields:
        max_bytes = MAX_SOUND_FIELD_BYTES if name in SOUND_FIELDS else options.max_field_bytes
        if len(text.encode("utf-8", "surrogatepass")) > max_bytes:
            raise invalid(name, f"more than {max_bytes} bytes")


async def _upload(name: str, file: UploadFile, folder: Path | None) -> Upload:
    size_bytes = file.size or 0
    sound: bytes | Path
    if folder is not None and size_bytes > SPOOL_BYTES:
        sound = folder / f"{secrets.token_hex(16)}.sound"
        await asyncio.to_thread(_written, file.file, sound)
    else:
        sound = await file.read()
    return Upload(name, plain_name(file.filename or ""), size_bytes, sound)


def _written(source: BinaryIO, path: Path) -> None:
    try:
        with path.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def plain_name(filename: str) -> str:
    """The last part of a file's name, without control characters.

    >>> plain_name("../../etc/passwd")
    'passwd'
    """
    last = PurePosixPath(filename.replace("\\", "/")).name
    return "".join(char for char in last if char.isprintable())[:MAX_FILENAME_CHARS]

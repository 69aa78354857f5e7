"""A form is read whole or refused, and nothing of it is left behind."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.api_errors import ApiError
from mmer_ray.serving.upload import MAX_FIELDS, MAX_FILES, SPOOL_BYTES, Form, plain_name, received_form

CHUNK_BYTES = 1 << 16


def read(
    content_type: str | None,
    body: bytes,
    *,
    is_cut: bool = False,
    options: Mapping[str, Any] = {},
    folder: Path | None = None,
) -> Form:
    """Read a body that arrives in pieces; `is_cut`: the client hangs up before its end."""
    pieces = [body[start : start + CHUNK_BYTES] for start in range(0, max(len(body), 1), CHUNK_BYTES)]
    messages: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.disconnect"} if is_cut else {"type": "http.request", "body": b""})
    queue = iter(messages)

    async def receive() -> Message:
        return next(queue)

    headers = [] if content_type is None else [(b"content-type", content_type.encode("latin-1"))]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
    return asyncio.run(received_form(request, ServeOptions(**options), folder))


def multipart(*parts: tuple[str, Any]) -> tuple[str, bytes]:
    request = httpx.Request("POST", "http://x", files=list(parts))
    return request.headers["content-type"], request.read()


def refused(content_type: str | None, body: bytes, **more: Any) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        read(content_type, body, **more)
    return caught.value.status, caught.value.code


def test_fields_keep_their_order_and_files_their_bytes() -> None:
    sound = bytes(range(256)) * 4_096
    form = read(
        *multipart(
            ("languages[]", (None, "en")),
            ("file", ("a.wav", sound)),
            ("languages[]", (None, "de")),
            ("prompt", (None, "ü")),
        )
    )
    assert form.fields == [("languages[]", "en"), ("languages[]", "de"), ("prompt", "ü")]
    [upload] = form.files
    kind, body = multipart(("prompt", (None, "hello")))
    assert read(kind, body.rstrip()).fields == read(kind, body + b"\r\nmore").fields == [("prompt", "hello")]
    assert (upload.field, upload.filename, upload.size_bytes, upload.sound) == ("file", "a.wav", len(sound), sound)


def test_a_form_without_files_may_be_url_encoded() -> None:
    form = read("application/x-www-form-urlencoded; charset=utf-8", b"model=whisper-1&prompt=a+b%21")
    assert form == Form([("model", "whisper-1"), ("prompt", "a b!")], [])


@pytest.mark.parametrize("charset", ["undefined", "utf-16", "utf-7", "idna"])
def test_a_form_in_another_charset_is_refused(charset: str) -> None:
    kind, body = multipart(("file", ("a.wav", b"sound")), ("prompt", (None, "hello")))
    assert refused(f"{kind}; charset={charset}", body) == (415, "unsupported_charset")
    assert read(f"{kind}; charset=UTF-8", body).fields == [("prompt", "hello")]


@pytest.mark.parametrize("kind", [None, "", "application/json", "audio/wav", "multipart/mixed; boundary=x", "\xff"])
def test_other_kinds_of_bodies_are_refused(kind: str | None) -> None:
    assert refused(kind, b"{}") == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x--\r\n"),
        ("multipart/form-data; boundary=", b"--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 300, b""),
        ("multipart/form-data; boundary=x", b"no boundary here"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nbad header\r\n\r\na\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: " + b"a" * 20_000 + b"\r\n\r\na\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: b\r\n" * 100 + b"\r\na\r\n--x--\r\n"),
        ("application/x-www-form-urlencoded", b"&&a=b;c=%zz&" + b"a=b&" * 2_000),
    ],
)
def test_broken_forms_are_refused(kind: str, body: bytes) -> None:
    assert refused(kind, body)[0] == 400


def test_too_many_parts_are_refused() -> None:
    fields = multipart(*[("languages[]", (None, "en"))] * (MAX_FIELDS + 1))
    assert refused(*fields) == (400, "broken_form")
    assert refused(*multipart(*[("file", ("a.wav", b""))] * (MAX_FILES + 1))) == (400, "broken_form")


def test_a_field_is_bounded_and_one_that_holds_sound_less_so() -> None:
    large = "a" * 300_000
    with pytest.raises(ApiError) as caught:
        read(*multipart(("prompt", (None, large))))
    assert (caught.value.status, caught.value.param) == (400, "prompt")
    assert read(*multipart(("known_speaker_references[]", (None, large)))).fields[0][1] == large
    assert refused(*multipart(("known_speaker_references[]", (None, large * 16)))) == (400, "broken_form")


@pytest.mark.parametrize("name", ["a" * 65, "a\x00b", "a\x1bb"])
def test_a_field_name_that_is_none_of_ours_is_not_repeated(name: str) -> None:
    body = f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\na\r\n--x--\r\n'.encode()
    with pytest.raises(ApiError) as caught:
        read("multipart/form-data; boundary=x", body)
    assert (caught.value.status, caught.value.code) == (400, "unknown_field")
    assert name not in caught.value.message


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("clip.wav", "clip.wav"),
        ("../../etc/passwd", "passwd"),
        ("C:\\calls\\a.wav", "a.wav"),
        ("a\x00.wav", "a.wav"),
        ("..", ".."),
        ("", ""),
        ("a" * 10_000, "a" * 255),
    ],
)
def test_names_of_files_are_cut_to_their_last_part(given: str, kept: str) -> None:
    assert plain_name(given) == kept


def test_big_files_of_jobs_go_to_their_folder(tmp_path: Path) -> None:
    small, big = b"a" * SPOOL_BYTES, b"b" * (SPOOL_BYTES + 1)
    form = read(*multipart(("file", ("../x.wav", small)), ("file", ("../y.wav", big))), folder=tmp_path)
    first, second = form.files
    assert first.sound == small
    assert isinstance(second.sound, Path)
    assert second.sound.parent == tmp_path
    assert second.sound.read_bytes() == big
    assert [path.name for path in tmp_path.iterdir()] == [second.sound.name]


def test_a_disk_without_room_for_what_arrives_is_a_refusal_to_try_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert read(*multipart(("file", ("a.wav", bytes(SPOOL_BYTES))))).files
    with pytest.raises(ApiError) as caught:
        read(*multipart(("file", ("a.wav", bytes(SPOOL_BYTES + 1)))), options={"retry_after_s": 7})
    assert (caught.value.status, caught.value.code) == (503, "no_space")
    assert caught.value.headers == {"Retry-After": "7"}


def test_no_file_is_left_open_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    from starlette import formparsers

    def spooled(*args: Any, **named: Any) -> Any:
        opened.append(made(*args, **named))
        return opened[-1]

    made = formparsers.SpooledTemporaryFile
    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", spooled)
    kind, body = multipart(("file", ("a.wav", bytes(SPOOL_BYTES * 2))), ("prompt", (None, "a" * 70_000)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        with pytest.raises(ClientDisconnect):
            read(kind, body[: SPOOL_BYTES * 2], is_cut=True)
        assert refused(kind, body) == (400, "invalid_value")
        assert refused(kind, body[:-40]) == (400, "broken_form")
        read(kind, body, options={"max_field_bytes": 80_000})
        gc.collect()
    assert len(opened) == 4
    assert all(file.closed for file in opened)

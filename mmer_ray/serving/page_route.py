"""The page at `/` and the API reference at `/docs`: files of the package, which ask no other host for anything."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Protocol

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mmer_ray.profiles import Profile
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.api_errors import ApiError
from mmer_ray.stages.caution import caution_about

FOLDER = resources.files("mmer_ray") / "serving" / "page"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
EXAMPLE = resources.files("mmer_ray") / "demo" / "calls" / "call_03_stereo.opus"
"""A call of the demo: two people on two channels, in synthetic voices."""
PAGES = {"/": "index.html", "/docs": "docs.html"}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    # What was recorded is played from memory.
    "media-src": "blob:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
HEADERS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Asked for each time and sent when it has changed.
    "cache-control": "no-cache",
}


class PageService(Protocol):
    """What the page needs of a `Service`."""

    @property
    def profile(self) -> Profile: ...
    @property
    def options(self) -> ServeOptions: ...
    @property
    def keys(self) -> object | None: ...


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page."""

    content: bytes
    media_type: str
    etag: str


def page_router(service: PageService) -> APIRouter:
    """The routes of the page. None needs a key, and none is in the OpenAPI document."""
    router = APIRouter(include_in_schema=False)
    about = about_json(service)

    async def show(request: Request) -> Response:
        return _answer(request, PAGES[request.scope["route"].path])

    for path in PAGES:
        router.add_api_route(path, show, methods=["GET", "HEAD"])

    @router.get("/page/about.json")
    async def tell() -> Response:
        return JSONResponse(about, headers={**HEADERS, "cache-control": "no-store"})

    @router.api_route("/page/{name}", methods=["GET", "HEAD"])
    async def file(request: Request, name: str) -> Response:
        if name in PAGES.values():
            raise _not_there()
        return _answer(request, name)

    return router


def about_json(service: PageService) -> dict[str, object]:
    """What the page tells people and holds itself to."""
    options = service.options
    return {
        "needs_key": service.keys is not None,
        "max_body_bytes": options.max_body_bytes,
        "max_job_body_bytes": options.max_job_body_bytes,
        "max_audio_s": options.max_audio_s,
        "max_stream_s": options.max_stream_s,
        "caution": caution_about(service.profile),
    }


@cache
def page_files() -> Mapping[str, PageFile]:
    """All files by name, in memory: what is not among them cannot be asked for."""
    files = {"example.opus": _file(EXAMPLE, "audio/ogg")}
    for entry in FOLDER.iterdir():
        media_type = MEDIA_TYPES.get(f".{entry.name.rpartition('.')[2]}")
        if media_type is not None:
            files[entry.name] = _file(entry, media_type)
    return files


def _file(entry: Traversable, media_type: str) -> PageFile:
    content = entry.read_bytes()
    return PageFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _answer(request: Request, name: str) -> Response:
    file = page_files().get(name)
    if file is None:
        raise _not_there()
    headers = {**HEADERS, "etag": file.etag}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _not_there() -> ApiError:
    return ApiError(404, "not_found", "there is no such file of the page")

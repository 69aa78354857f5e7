"""The dashboard's server: Streamlit's pages and our own routes in one process, settings included."""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard.access import LOCAL_NAMES, Mode, is_loopback
from dashboard.session import Dashboard, Settings, serve_pages_of
from dashboard.warming import warm_up
from mmer_ray.errors import PreflightError, UsageError

if TYPE_CHECKING:
    import uvicorn
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import RedirectResponse
    from starlette.routing import BaseRoute
    from streamlit.web.server.starlette.starlette_app import App

MAIN = Path(__file__).with_name("main.py")

STREAMLIT: dict[str, Any] = {
    # Else each browser reports to the makers of Streamlit.
    "browser.gatherUsageStats": False,
    "server.headless": True,
    "server.showEmailPrompt": False,
    # A message of an exception may quote a transcript.
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "viewer",
    # The download of a table would pass by our escaping, our limits and the audit log.
    "client.disableDataExport": True,
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "server.allowRunOnSave": False,
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "server.maxUploadSize": 1,
    "runner.magicEnabled": False,
    # Python collects by itself; all of it, after each run of a page, takes as long as the run, and nothing else runs.
    "runner.postScriptGC": False,
    # A widget with a default may be set by code too: filters are carried from page to page.
    "global.disableWidgetStateDuplicationWarning": True,
    "logger.level": "warning",
    "secrets.files": [],
}
"""Stronger than a `.streamlit/config.toml` that the user may have."""

THEME: dict[str, Any] = {
    "theme.primaryColor": "#0072B2",
    # Captions are drawn at 60 % of it: so they keep a contrast of 4.5 on white (WCAG 2.2, 1.4.3).
    "theme.light.textColor": "#14171C",
    "theme.baseRadius": "0.4rem",
    "theme.dark.primaryColor": "#56B4E9",
    "theme.headingFontSizes": ["2rem", "1.5rem", "1.3rem", "1.1rem", "1rem", "1rem"],
    # Of commands in captions, which are drawn at 60 % too.
    "theme.light.codeTextColor": "#14171C",
    "theme.dark.codeTextColor": "#FAFAFA",
}


def configure_streamlit(settings: Settings, port: int) -> None:
    """Set Streamlit up for this process, before any of its parts is used."""
    from streamlit import config

    names = [*LOCAL_NAMES] if settings.access.mode is Mode.LOCAL else []
    options = {**STREAMLIT, **THEME, "server.port": port, "server.allowedHosts": [_bare(name) for name in names]}
    config.get_config_options(force_reparse=True, options_from_flags=options)


def make_app(dashboard: Dashboard, on_start: Callable[[], None] = lambda: None) -> App:
    """The ASGI application; pages of this process show `dashboard` from now on. `on_start` is called once it can
    answer."""
    import streamlit as st
    from streamlit.file_util import get_static_dir
    from streamlit.runtime.pages_manager import PagesManager

    serve_pages_of(dashboard)
    # Else the first address that names a page runs its script alone, without the menu: Streamlit takes a folder `pages`
    # for its older way of having several, until the menu has run once.
    PagesManager.uses_pages_directory = False
    static = Path(get_static_dir())

    @asynccontextmanager
    async def started(_: App) -> AsyncIterator[None]:
        on_start()
        yield

    return st.App(
        MAIN,
        secrets=_secrets(dashboard),
        routes=_routes(dashboard, static),
        middleware=_middleware(dashboard, static),
        lifespan=started,
    )


def _routes(dashboard: Dashboard, static: Path) -> list[BaseRoute]:
    """Our own, beside Streamlit's; what they need ends with the dashboard."""
    from starlette.routing import Route

    from dashboard.conversation_file import conversation_route
    from dashboard.downloads import export_route
    from dashboard.early import EarlySounds
    from dashboard.front import front_routes
    from dashboard.heard import Sounds

    sounds = Sounds(dashboard)
    dashboard.at_close(sounds.close)
    early = EarlySounds(dashboard)
    dashboard.at_close(early.close)
    return [
        Route("/overview", _to_first_page),
        export_route(dashboard),
        conversation_route(dashboard),
        *sounds.routes(),
        *front_routes(static, early),
    ]


def _middleware(dashboard: Dashboard, static: Path) -> list[Middleware]:
    """What requests pass, the first one first."""
    from starlette.middleware import Middleware

    from dashboard.asked import Asked
    from dashboard.front import Files
    from dashboard.guard import Guard

    access = dashboard.access
    passed = [Middleware(Guard, access=access, audit=dashboard.audit), Middleware(Files, static=static)]
    if access.mode is Mode.OIDC:
        passed.append(Middleware(Asked, redirect_uri=access.oidc["redirect_uri"]))
    return passed


def _to_first_page(request: Request) -> RedirectResponse:
    """Streamlit has the first page of the menu at `/` alone; asked for it by its name, it says that there is none."""
    from starlette.responses import RedirectResponse

    query = request.url.query
    return RedirectResponse(f"./?{query}" if query else "./")


def serve(settings: Settings, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve until interrupted; `on_ready` is told the address as soon as the pages can answer.

    Raises `UsageError` for a host that others reach while nobody is asked who they are, `PreflightError` for a port
    that is taken, `LakeError` where there is no lake.
    """
    check_host(settings, host)
    dashboard = Dashboard(settings)
    try:
        listening = _listen(host, port)
        port = listening.getsockname()[1]
        configure_streamlit(settings, port)
        app = make_app(dashboard, lambda: on_ready(f"http://{_in_address(host)}:{port}"))
        warm_up(dashboard)
        _uvicorn(app, host, port).run(sockets=[listening])
    finally:
        serve_pages_of(None)
        dashboard.close()
        # What `warm_up` froze would be left at the end, and DuckDB's bindings complain of it on stderr.
        gc.unfreeze()


def check_host(settings: Settings, host: str) -> None:
    """Raise `UsageError` for a host that others reach, where nobody is asked who they are."""
    if settings.access.mode is Mode.LOCAL and not is_loopback(host):
        raise UsageError(
            f"--host {host} is reached by others, and nobody is asked who they are: leave --host out, or name who may "
            "look with --access FILE"
        )


def _uvicorn(app: App, host: str, port: int) -> uvicorn.Server:
    import uvicorn

    # X-Forwarded-For must not stand in for the peer: anybody can send it, and the guard asks for the real one.
    config = uvicorn.Config(app, host=host, port=port, proxy_headers=False, access_log=False, log_level="warning")
    logging.getLogger("streamlit").setLevel(logging.WARNING)
    return uvicorn.Server(config)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections; raises `PreflightError` where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        # From here on a browser may ask; it waits until the pages are ready.
        listening.listen()
    except OSError as exc:
        listening.close()
        raise PreflightError(
            f"the dashboard cannot listen at {host}:{port}: {exc.strerror or exc}; choose another one with --port"
        ) from exc
    return listening


def _secrets(dashboard: Dashboard) -> dict[str, Any] | None:
    """What `st.login` needs. Its cookies are signed with a secret of this process: a restart signs everybody out."""
    import secrets

    if dashboard.access.mode is not Mode.OIDC:
        return None
    return {"auth": {**dashboard.access.oidc, "cookie_secret": secrets.token_hex(32)}}


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _bare(name: str) -> str:
    return name.strip("[]")

"""The HTML that each page begins with: Streamlit's own, told beforehand what the page will need; and its files.

Streamlit's script asks for the server below the page's own address, waits after the 404, asks at the root, and only
then opens the web socket; the parts that draw charts and tables are fetched once the first of them is to be drawn. Told
the server's address it opens the web socket at once, and the browser fetches the parts meanwhile. Both are read from
the files of the installed Streamlit; what is not found there is left out, and the page begins as Streamlit's would.

A page needs about 150 of these files. They are sent from memory: Streamlit reads each from the disk in pieces, in
threads, which takes the processor longer than all the rest of a page.
"""

from __future__ import annotations

import html
import mimetypes
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.early import EarlyHtml

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send

    from dashboard.early import EarlySounds

_FILTERS = ("Html", "DataFrame", "DateInput", "Multiselect", "TextInput", "Slider", "Checkbox")
PARTS: Mapping[str, tuple[str, ...]] = {
    "overview": (*_FILTERS, "Metric", "ArrowVegaLiteChart"),
    "recordings": (*_FILTERS, "Selectbox", "Pagination"),
    "recording": ("Html", "BidiComponent", "DataFrame"),
    "search": (*_FILTERS, "Selectbox", "NumberInput", "BidiComponent", "ArrowVegaLiteChart", "Pagination"),
    "compare": (*_FILTERS, "Selectbox", "Metric", "ArrowVegaLiteChart", "BidiComponent"),
    "runs": (*_FILTERS, "Selectbox", "Metric", "ArrowVegaLiteChart"),
    "models": ("Html", "DataFrame"),
    "method": ("Html", "DataFrame"),
}
"""Page -> parts of Streamlit's script that draw it, by the names of their files."""

CONNECT = """<script>
      {
        const server = new URL("./", window.location.href).href;
        const config = { allowedOrigins: [window.location.origin], useExternalAuthToken: false };
        window.__streamlit = { BACKEND_BASE_URL: server, HOST_CONFIG: config };
      }
    </script>
    """
"""Where the server is: there, where the page's own files are. Nobody else's page may speak to it."""

HISTORY = Path(__file__).parent / "assets" / "history.js"

FOR_EVER = "public, immutable, max-age=31536000"

_ENTRY = re.compile(r'<script type="module"[^>]* src="\./static/js/(index\.[^"]+\.js)"')
_FILES = re.compile(r"m\.f=\[([^\]]*)\]")
_PART = re.compile(r"import\(`\./(\w+)\.[^`]+`\)(?:\.then\([^)]*\))?,__vite__mapDeps\(\[([\d,]*)\]\)")


def front_routes(static: Path, early: EarlySounds) -> list[Route]:
    """The routes of all pages; `static` is Streamlit's folder of files, `early` finds the sound of a recording's."""
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    def route(path: str, page: str) -> Route:
        text = front_html(static, PARTS[page])

        begun = EarlyHtml(text) if page == "recording" else None

        async def send(request: Request) -> Response:
            sound = await early.of(request) if begun and request.method == "GET" else None
            if begun is None or sound is None:
                return HTMLResponse(text, headers={"cache-control": "no-cache"})
            # What opens a recording is kept nowhere.
            return HTMLResponse(begun.with_sound(sound), headers={"cache-control": "no-store"})

        return Route(path, send, methods=["GET"])

    return [route("/" if page == "overview" else f"/{page}", page) for page in PARTS]


class Files:
    """ASGI middleware that sends Streamlit's files, each of which it reads once: their names hold a digest of what is
    in them."""

    def __init__(self, app: ASGIApp, static: Path) -> None:
        """`static` is Streamlit's folder of files."""
        found = (path for path in (static / "static").rglob("*") if path.is_file())
        self._paths = {f"/{path.relative_to(static)}": path for path in found}
        self._app = app
        self._read: dict[str, bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what is no such file is Streamlit's to answer."""
        from starlette.responses import Response

        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        name = scope["path"]
        if name not in self._read:
            self._read[name] = self._paths[name].read_bytes()
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        await Response(self._read[name], media_type=media_type, headers={"cache-control": FOR_EVER})(
            scope, receive, send
        )


def front_html(static: Path, parts: Sequence[str]) -> str:
    """Streamlit's HTML with the server's address, and links to the files of these parts."""
    text = (static / "index.html").read_text(encoding="utf-8")
    entry = _ENTRY.search(text)
    if entry is None:
        return text
    known = part_files((static / "static" / "js" / entry[1]).read_text(encoding="utf-8"))
    wanted = dict.fromkeys(name for part in parts for name in known.get(part, ()))
    links = "".join(
        f'  <link rel="modulepreload" crossorigin href="./static/js/{html.escape(name)}">\n  '
        for name in wanted
        if name.endswith(".js") and f"/{name}" not in text
    )
    history = f"<script>\n{HISTORY.read_text(encoding='utf-8')}</script>\n    "
    begun = text[: entry.start()] + CONNECT + history + text[entry.start() :]
    # After the links of Streamlit's own: what every page needs comes first.
    return begun.replace("</head>", f"{links}</head>", 1)


def part_files(script: str) -> dict[str, list[str]]:
    """Part -> its files, its own first, as Streamlit's script lists them."""
    listed = _FILES.search(script)
    if listed is None:
        return {}
    files = [name.strip().strip('"').removeprefix("./") for name in listed[1].split(",")]
    return {
        name: [files[int(number)] for number in numbers.split(",") if number] for name, numbers in _PART.findall(script)
    }

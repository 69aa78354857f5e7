"""The HTML that pages begin with: Streamlit's own, and what it is told beforehand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from streamlit.file_util import get_static_dir

from dashboard.front import PARTS, Files, front_html, part_files

STATIC = Path(get_static_dir())
SCRIPT = """const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./Table.a1.js","./lib.b2.js"])))=>1;
x=()=>H(()=>import(`./Table.a1.js`),__vite__mapDeps([0,1]),import.meta.url),
y=()=>H(()=>import(`./Code.c3.js`).then(e=>e.t),__vite__mapDeps([1]),import.meta.url)"""
INDEX = '<html><head><script type="module" crossorigin src="./static/js/index.x.js"></script>{}</head></html>'


def static(folder: Path, script: str = SCRIPT, more: str = "") -> Path:
    """A folder like Streamlit's."""
    (folder / "static" / "js").mkdir(parents=True)
    (folder / "static" / "js" / "index.x.js").write_text(script)
    (folder / "index.html").write_text(INDEX.format(more))
    return folder


def test_parts_are_known_with_the_files_they_need() -> None:
    assert part_files(SCRIPT) == {"Table": ["Table.a1.js", "lib.b2.js"], "Code": ["lib.b2.js"]}


@pytest.mark.parametrize("page", PARTS)
def test_the_installed_streamlit_has_every_part_that_pages_name(page: str) -> None:
    html = front_html(STATIC, PARTS[page])

    for part in PARTS[page]:
        (name,) = re.findall(rf"/static/js/({part}\.[^\"]+\.js)", html)
        assert (STATIC / "static" / "js" / name).is_file()


def test_what_streamlit_links_itself_is_linked_once(tmp_path: Path) -> None:
    linked = '<link rel="modulepreload" crossorigin href="./static/js/lib.b2.js">'
    html = front_html(static(tmp_path, more=linked), ["Table"])

    assert html.count("lib.b2.js") == 1
    assert html.index("lib.b2.js") < html.index("Table.a1.js") < html.index("</head>")


def test_the_server_is_named_before_streamlits_script_runs(tmp_path: Path) -> None:
    html = front_html(static(tmp_path), [])

    assert html.index("BACKEND_BASE_URL") < html.index("index.x.js")


def test_files_are_sent_from_memory_and_nothing_else_is(tmp_path: Path) -> None:
    folder = static(tmp_path)
    (tmp_path / "static" / "js" / "gone.d4.js").write_text("1")
    (tmp_path / "secret.js").write_text("2")
    client = TestClient(Files(PlainTextResponse("Streamlit's answer"), folder))
    (tmp_path / "static" / "js" / "new.e5.js").write_text("3")

    found = client.get("/static/js/gone.d4.js")
    assert (found.text, found.headers["content-type"]) == ("1", "text/javascript; charset=utf-8")
    assert "immutable" in found.headers["cache-control"]
    (tmp_path / "static" / "js" / "gone.d4.js").unlink()
    assert client.get("/static/js/gone.d4.js").text == "1"
    for other in (
        "/static/js/new.e5.js",
        "/static/../secret.js",
        "/static/%2e%2e/secret.js",
        "/secret.js",
        "/static/js",
    ):
        assert client.get(other).text == "Streamlit's answer"
    assert client.post("/static/js/gone.d4.js").text == "Streamlit's answer"


def test_another_streamlit_begins_as_it_would(tmp_path: Path) -> None:
    unknown = static(tmp_path, "no list of files")
    assert "modulepreload" not in front_html(unknown, ["Table"])

    (unknown / "index.html").write_text("<html><head></head></html>")
    assert front_html(unknown, ["Table"]) == "<html><head></head></html>"

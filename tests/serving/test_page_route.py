"""The page's files over HTTP: what is served, what is not, and what the page may do in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mmer_ray.serving.page_route import FOLDER, POLICY, page_files
from tests.serving.cheap_scorers import CheapScorers
from tests.serving.endpoint import endpoint


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Without a key."""
    with (
        endpoint(CheapScorers(), tmp_path_factory.mktemp("state")) as one,
        httpx.Client(base_url=one.address) as client,
    ):
        yield client


def test_the_pages_are_open_and_may_ask_no_other_host(client: httpx.Client) -> None:
    for path, title in (("/", "mmer: speakers"), ("/docs", "mmer: API reference")):
        answer = client.get(path)
        assert answer.status_code == 200
        assert f"<title>{title}" in answer.text
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy == POLICY
        assert "'unsafe" not in str(policy)
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_every_file_that_the_page_names_is_there(client: httpx.Client) -> None:
    named = {
        name
        for entry in FOLDER.iterdir()
        for name in re.findall(r"(?:page/|from \"\./)([a-z_]+\.[a-z]+)", entry.read_text(encoding="utf-8"))
    }
    assert {"main.js", "style.css", "dom.js", "microphone.js"} <= named
    for name in named - {"about.json"}:
        assert client.get(f"/page/{name}").status_code == 200


def test_the_page_names_no_other_host() -> None:
    for entry in FOLDER.iterdir():
        named = re.findall(r"https?://[^\s\"'`<)]*|//[a-z0-9.-]+\.[a-z]{2,}/", entry.read_text(encoding="utf-8"))
        assert [one for one in named if one not in ("http://www.w3.org/2000/svg", "https://")] == [], entry.name


def test_text_is_never_set_as_markup() -> None:
    for entry in FOLDER.iterdir():
        text = entry.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text)
        assert not re.search(r"<script(?![^>]* src=)|\son[a-z]+=\"|style=\"|javascript:", text), entry.name


@pytest.mark.parametrize(
    "path",
    ["/page/", "/page/nothing.js", "/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page/index.html",
     "/page//etc/passwd", "/page/style.css/"],
)  # fmt: skip
def test_nothing_else_is_served(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (401, 404)
    assert set(answer.json()) == {"error"}


def test_a_file_is_sent_again_only_when_it_has_changed(client: httpx.Client) -> None:
    first = client.get("/page/style.css")
    assert first.headers["etag"] == page_files()["style.css"].etag
    again = client.get("/page/style.css", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_page_is_told_the_limits_the_caution_and_whether_keys_are_needed(tmp_path: Path) -> None:
    with endpoint(CheapScorers(), tmp_path) as one, httpx.Client(base_url=one.address) as client:
        about = json.loads(client.get("/page/about.json").text)
    assert about["max_body_bytes"] == 25 << 20
    assert about["needs_key"] is True
    assert "synthetic speech" in about["caution"]


def test_the_pages_routes_are_not_in_the_document(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert not [path for path in paths if path in ("/", "/docs") or path.startswith("/page")]

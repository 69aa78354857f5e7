"""The address that somebody asked for: kept until they have signed in, and never one of somebody else."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard.asked import COOKIE, MAX_CHARS, Asked, address_of, kept_of
from dashboard.front import PARTS


def client(redirect_uri: str = "https://calls.example/oauth2callback") -> TestClient:
    """Pages, a provider's way back and a way out, as Streamlit has them."""

    async def page(_: Request) -> Response:
        return PlainTextResponse("a page")

    async def to_base(_: Request) -> Response:
        return RedirectResponse("/", 302)

    pages = [Route("/" if name == "overview" else f"/{name}", page) for name in PARTS]
    routes = [*pages, *(Route(path, to_base) for path in ("/oauth2callback", "/auth/logout")), Route("/sound/1", page)]
    app = Asked(Starlette(routes=routes), redirect_uri)
    return TestClient(app, base_url="https://calls.example", follow_redirects=False)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("query", ["", "corpus=a%26b&text=it%27s+%C3%A9;x", "of=//evil.example"])
def test_the_way_back_leads_to_the_page_that_was_asked_for(name: str, query: str) -> None:
    asked = f"/{'' if name == 'overview' else name}{f'?{query}' if query else ''}"
    browser = client()
    browser.get(asked)

    assert browser.get("/oauth2callback?code=1&state=2").headers["location"] == f".{asked}"


def test_it_leads_there_once() -> None:
    browser = client()
    browser.get("/search?text=refund")
    browser.get("/oauth2callback")

    assert browser.get("/oauth2callback").headers["location"] == "/"


def test_what_is_no_page_is_not_kept() -> None:
    browser = client()
    for path in ("/sound/1", "/nothing", "/oauth2callback"):
        assert "set-cookie" not in browser.get(path).headers


def test_who_signs_out_leaves_no_address_for_the_next_one() -> None:
    browser = client()
    browser.get("/search?text=refund")
    browser.get("/auth/logout")

    assert browser.get("/oauth2callback").headers["location"] == "/"


@pytest.mark.parametrize(
    ("redirect_uri", "path", "more"),
    [
        ("https://calls.example/oauth2callback", "/oauth2callback", "; Secure"),
        ("http://127.0.0.1:8501/oauth2callback", "/oauth2callback", ""),
        ("https://x.example/calls/oauth2callback", "/calls/oauth2callback", "; Secure"),
    ],
)
def test_the_cookie_is_sent_to_the_way_back_alone(redirect_uri: str, path: str, more: str) -> None:
    cookie = client(redirect_uri).get("/runs").headers["set-cookie"]

    assert cookie == f"{COOKIE}=runs%3F; HttpOnly; Max-Age=3600; Path={path}; SameSite=lax{more}"


@pytest.mark.parametrize(
    "forged",
    [
        "//evil.example/", "https://evil.example/", "/search?x", "../search?x", "search/../..?x",
        "oauth2callback?code=1", "search?a\r\nset-cookie: b=c", "search?a b", "search?é", "search#?",
        "\\\\evil.example?", "",
    ],
)  # fmt: skip
def test_a_made_up_cookie_leads_nowhere(forged: str) -> None:
    assert address_of(quote(forged, safe="")) is None
    browser = client()
    browser.cookies.set(COOKIE, quote(forged, safe=""))
    assert browser.get("/oauth2callback").headers["location"] == "/"


def test_an_address_that_no_cookie_holds_is_not_kept_nor_is_the_one_before() -> None:
    browser = client()
    browser.get("/runs")
    long = "text=" + "a" * MAX_CHARS
    browser.get(f"/search?{long}")

    assert kept_of("search", long) == ""
    assert browser.get("/oauth2callback").headers["location"] == "/"

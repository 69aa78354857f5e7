"""Signing in through an identity provider, for real: to one's own corpora, out again, and in vain."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from dashboard.asked import COOKIE
from tests.dashboard.browser import chromium, dashboard_at, eventually
from tests.dashboard.makers import make_lake
from tests.dashboard.provider import CLIENT_ID, CLIENT_SECRET, Provider, provider_of

pytestmark = pytest.mark.xdist_group("sign-in")
WAIT_MS = 60_000
PEOPLE = {
    "ann": {"email": "ann@example.org", "email_verified": True},
    "mallory": {"email": "mallory@example.org", "email_verified": True},
    "made up": {"email": "ann@example.org", "email_verified": False},
    "in words": {"email": "ann@example.org", "email_verified": "false"},
}
ACCESS = """
[viewers."ann@example.org"]
corpora = ["sales"]
[oidc]
redirect_uri = "{address}/oauth2callback"
server_metadata_url = "{provider}/.well-known/openid-configuration"
client_id = "{client}"
client_secret_file = "{secret}"
"""


@dataclass
class SignedOut:
    """A dashboard that asks a provider, and a browser that nobody has signed in with."""

    address: str
    audit: Path
    provider: Provider
    browser: Any

    def page(self) -> Any:
        page = self.browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(WAIT_MS)
        return page

    def sign_in(self, person: str, asked: str = "") -> Any:
        """A page of its own browser, after the provider was told that one is this person; `asked` was asked for."""
        page = self.page()
        page.goto(f"{self.address}/{asked}")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name=person, exact=True).click()
        page.wait_for_url(f"{self.address}/**")
        return page

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@pytest.fixture(scope="module")
def signed_out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedOut]:
    folder = tmp_path_factory.mktemp("sign-in")
    make_lake(folder / "lake")
    (folder / "secret").write_text(f"{CLIENT_SECRET}\n")
    with ExitStack() as stack:
        provider = stack.enter_context(provider_of(PEOPLE))
        # The provider must know the address beforehand.
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        content = ACCESS.format(
            address=f"http://127.0.0.1:{port}", provider=provider.address, client=CLIENT_ID, secret=folder / "secret"
        )
        (folder / "access.toml").write_text(content)
        options = ["--access", str(folder / "access.toml"), "--audit-log", str(folder / "audit"), "--port", str(port)]
        address = stack.enter_context(dashboard_at(folder / "lake", folder / "cache", *options))
        browser = stack.enter_context(chromium())
        yield SignedOut(address, folder / "audit", provider, browser)


def test_nobody_who_is_not_signed_in_sees_more_than_a_button(signed_out: SignedOut) -> None:
    page = signed_out.page()
    page.goto(f"{signed_out.address}/recordings?corpus=sales")
    page.get_by_role("button", name="Sign in").wait_for()

    assert page.locator("[data-testid=stDataFrame], [data-testid=stMetric], [data-testid=stMultiSelect]").count() == 0
    assert page.get_by_text("Show the SQL").count() == 0
    assert page.get_by_text("Method and limits").count() == 0


@pytest.mark.parametrize("asked", ["recordings?corpus=sales&text=se%27cret%26%C3%A9", "search?text=secret", "method"])
def test_a_sign_in_leads_to_the_address_that_was_asked_for(signed_out: SignedOut, asked: str) -> None:
    page = signed_out.sign_in("ann", asked)
    page.get_by_text("Signed in as ann@example.org").wait_for()

    wanted = urlsplit(f"{signed_out.address}/{asked}")
    eventually(lambda: urlsplit(page.url)._replace(query=""), wanted._replace(query=""), page)
    eventually(lambda: parse_qs(urlsplit(page.url).query), parse_qs(wanted.query), page)


def test_a_made_up_cookie_leads_no_sign_in_elsewhere(signed_out: SignedOut) -> None:
    page = signed_out.page()
    page.goto(f"{signed_out.address}/search")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="ann", exact=True).wait_for()
    (cookie,) = [one for one in page.context.cookies(f"{signed_out.address}/oauth2callback") if one["name"] == COOKIE]
    page.context.add_cookies([cookie | {"value": quote("//evil.example/?", safe="")}])
    page.get_by_role("link", name="ann", exact=True).click()
    page.get_by_text("Signed in as ann@example.org").wait_for()

    assert page.url == f"{signed_out.address}/"
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/oauth2callback")


def test_who_signs_in_sees_their_corpora_alone_on_every_later_page(signed_out: SignedOut) -> None:
    page = signed_out.sign_in("ann")
    page.get_by_text("Signed in as ann@example.org").wait_for()
    eventually(page.locator("[data-testid=stMetricValue]").first.inner_text, "1", page)

    page.goto(f"{signed_out.address}/recordings")
    page.get_by_text("1 recording", exact=True).wait_for()
    page.goto(f"{signed_out.address}/method")
    page.get_by_text("The sign-in is kept in a cookie for up to 30 days").wait_for()
    page.goto(f"{signed_out.address}/recordings?corpus=support")
    page.get_by_text("You may not see the corpus 'support', or there is none.").wait_for()
    line = signed_out.lines()[-1]
    assert (line["event"], line["viewer"], line["corpus"]) == ("refused", "ann@example.org", "support")


def test_the_sign_in_is_a_cookie_that_scripts_cannot_read_and_other_sites_cannot_send(signed_out: SignedOut) -> None:
    page = signed_out.sign_in("ann")
    page.get_by_text("Signed in as ann@example.org").wait_for()
    (cookie,) = [one for one in page.context.cookies() if one["name"] == "_streamlit_user"]

    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert urlsplit(signed_out.address).hostname == cookie["domain"]


def test_who_signs_out_is_signed_out_here_and_at_the_provider(signed_out: SignedOut) -> None:
    page = signed_out.sign_in("ann", "search?text=secret")
    before = signed_out.provider.num_ended
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()

    # What one person looked for is not told to the next one.
    assert page.url == f"{signed_out.address}/"
    assert signed_out.provider.num_ended == before + 1
    assert [one["name"] for one in page.context.cookies() if one["name"].startswith("_streamlit_user")] == []
    page.goto(f"{signed_out.address}/recordings")
    page.get_by_role("button", name="Sign in").wait_for()


def test_a_stranger_is_told_why_nothing_is_shown_is_logged_and_can_sign_out(signed_out: SignedOut) -> None:
    page = signed_out.sign_in("mallory")
    page.get_by_text("Not shown to you.").wait_for()
    page.get_by_text("'mallory@example.org' is not among the viewers of this dashboard").wait_for()

    assert page.locator("[data-testid=stDataFrame], [data-testid=stMetric], [data-testid=stMultiSelect]").count() == 0
    line = signed_out.lines()[-1]
    assert (line["event"], line["viewer"]) == ("refused", "mallory@example.org")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()


@pytest.mark.parametrize("person", ["made up", "in words"])
def test_an_address_that_the_provider_has_not_verified_is_nobodys(signed_out: SignedOut, person: str) -> None:
    page = signed_out.sign_in(person)
    page.get_by_text("does not say that your e-mail address is verified").wait_for()

    assert page.locator("[data-testid=stDataFrame], [data-testid=stMetric]").count() == 0


def test_a_cookie_that_somebody_made_up_signs_nobody_in(signed_out: SignedOut) -> None:
    page = signed_out.page()
    made_up = '{"email": "ann@example.org", "email_verified": true, "is_logged_in": true}'
    page.context.add_cookies([{"name": "_streamlit_user", "value": made_up, "url": signed_out.address}])
    page.goto(f"{signed_out.address}/overview")

    page.get_by_role("button", name="Sign in").wait_for()

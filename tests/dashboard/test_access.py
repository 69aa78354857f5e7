"""Who may look, and how that is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.access import LOCAL_VIEWER, Access, Mode, Refused, Viewer, access_from, is_loopback
from mmer_ray.errors import UsageError
from tests.dashboard.makers import of_viewers

ANNA = Viewer("anna", ("support",))
FILE = """
[viewers."anna@example.org"]
corpora = ["support"]
annotate = true
[viewers.boss]
corpora = "all"
"""
OIDC = """
[oidc]
redirect_uri = "https://calls.example.org/oauth2callback"
server_metadata_url = "https://id.example.org/.well-known/openid-configuration"
client_id = "calls"
client_secret_file = "{secret}"
"""


def written(folder: Path, content: str) -> Path:
    path = folder / "access.toml"
    path.write_text(content)
    return path


def test_without_a_file_one_viewer_on_this_machine_sees_everything() -> None:
    access = access_from(None, None, [])

    assert access.viewer(None) == LOCAL_VIEWER
    assert LOCAL_VIEWER.may_see("whatever")
    assert LOCAL_VIEWER.annotate


def test_a_file_says_who_sees_which_corpora_and_who_may_write(tmp_path: Path) -> None:
    access = access_from(written(tmp_path, FILE), "X-User", ["10.0.0.5"])

    anna, boss = access.viewer("anna@example.org"), access.viewer("boss")
    assert access.mode is Mode.PROXY
    assert (anna.corpora, anna.annotate) == (("support",), True)
    assert (boss.corpora, boss.annotate) == (None, False)
    assert anna.of_lake(["sales", "support"]) == ("support",)
    assert not anna.may_see("sales")


def test_a_stranger_is_refused() -> None:
    access = of_viewers(ANNA)

    for name in (None, "", "mallory", "Anna"):
        with pytest.raises(Refused):
            access.viewer(name)


@pytest.mark.parametrize("peer", ["10.0.0.6", "127.0.0.1", "::1", "10.0.0.5.evil.example", None, "testclient"])
def test_only_the_proxys_own_requests_count(peer: str | None) -> None:
    with pytest.raises(Refused, match="through its proxy only"):
        of_viewers(ANNA).check_origin(peer, "calls.example.org")


def test_the_proxy_is_heard_by_address_or_network() -> None:
    of_viewers(ANNA).check_origin("10.0.0.5", "calls.example.org")
    Access(Mode.PROXY, {}, "x-user", ("10.0.0.0/8", "fd00::/8")).check_origin("fd00::7", None)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8501", "localhost.evil.example", "", None, "10.0.0.1"])
def test_a_page_elsewhere_whose_name_points_here_is_refused(host: str | None) -> None:
    with pytest.raises(Refused, match="localhost only"):
        Access().check_origin("127.0.0.1", host)


@pytest.mark.parametrize("host", ["localhost", "localhost:8501", "127.0.0.1:8501", "[::1]:8501", "[::1]", "LOCALHOST"])
def test_this_machine_is_answered_by_every_name_of_its_own(host: str) -> None:
    Access().check_origin("127.0.0.1", host)


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3000", "null", "http://localhost", ""])
def test_a_page_of_another_address_opens_no_web_socket(origin: str) -> None:
    with pytest.raises(Refused, match="its own pages only"):
        Access().check_page(origin, "localhost:8501")


def test_its_own_pages_and_programs_that_name_none_open_web_sockets() -> None:
    Access().check_page("http://localhost:8501", "localhost:8501")
    Access().check_page("https://Calls.example.org", "calls.example.org")
    Access().check_page(None, "localhost:8501")


def test_a_header_that_comes_twice_is_refused() -> None:
    access = of_viewers(ANNA)

    assert access.name_in(["anna"]) == "anna"
    assert access.name_in([]) is None
    with pytest.raises(Refused, match="more than once"):
        access.name_in(["anna", "boss"])


@pytest.mark.parametrize(
    ("content", "header", "proxies", "said"),
    [
        (FILE, "X-User", [], "needs --trusted-proxy"),
        (FILE, None, ["10.0.0.5"], "needs --trusted-user-header"),
        (FILE, "X-User", ["proxy.example.org"], "no address or network"),
        (FILE, None, [], r"\[oidc\]"),
        ("", "X-User", ["10.0.0.5"], "names no viewer"),
        ("[viewers", "X-User", ["10.0.0.5"], "not TOML"),
        ("[viewers.anna]\ncorpora = 'support'", "X-User", ["10.0.0.5"], "must be a list of names"),
        ("[viewers.anna]\ncorpora = [1]", "X-User", ["10.0.0.5"], "must be a list of names"),
        ("[viewers.anna]\ncorpus = []", "X-User", ["10.0.0.5"], "unknown key 'corpus'"),
        ("[viewers.anna]\ncorpora = []\nannotate = 1", "X-User", ["10.0.0.5"], "true or false"),
        ("[viewers]\nanna = 1", "X-User", ["10.0.0.5"], "must be a table"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_what_to_write(
    tmp_path: Path, content: str, header: str | None, proxies: list[str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        access_from(written(tmp_path, content), header, proxies)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.toml"):
        access_from(tmp_path / "no.toml", "X-User", ["10.0.0.5"])


def test_a_header_without_a_file_is_refused() -> None:
    with pytest.raises(UsageError, match="needs --access"):
        access_from(None, "X-User", ["10.0.0.5"])


def test_an_identity_provider_takes_its_secret_from_a_file_of_its_own(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    access = access_from(written(tmp_path, FILE + OIDC.format(secret=secret)), None, [])

    assert access.mode is Mode.OIDC
    assert access.oidc["client_secret"] == "s3cret"
    assert "client_secret_file" not in access.oidc
    secret.unlink()
    with pytest.raises(UsageError, match="client_secret_file"):
        access_from(written(tmp_path, FILE + OIDC.format(secret=secret)), None, [])


def test_only_addresses_of_this_machine_are_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.0.0.2", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "calls.example.org", "")))

"""The server: what it is told of Streamlit, where it listens, whom it answers."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dashboard.server import MAIN, STREAMLIT, check_host, configure_streamlit, serve
from dashboard.session import Settings
from mmer_ray.cli import main
from mmer_ray.errors import LakeError, PreflightError, UsageError
from tests.dashboard.makers import dashboard_of, of_viewers

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@contextmanager
def running(lake: Path, home: Path) -> Iterator[str]:
    """The address of a dashboard of its own process, of a user who has settings of their own."""
    settings = home / ".streamlit" / "config.toml"
    settings.parent.mkdir()
    settings.write_text('[browser]\ngatherUsageStats = true\n[client]\nshowErrorDetails = "full"\n')
    command = [sys.executable, "-m", "mmer_ray", "dashboard", "--lake", str(lake), "--port", "0"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=home, env={**os.environ, "HOME": str(home)}
    )
    try:
        assert process.stderr is not None
        found = ADDRESS.search(process.stderr.readline())
        assert found, process.stderr.read()
        yield found.group()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    # Bindings of DuckDB write many lines where something of theirs is left at the end.
    assert "leaked" not in process.stderr.read()


def answer(address: str, host: str | None = None) -> tuple[int, str, dict[str, str]]:
    request = urllib.request.Request(address, headers={} if host is None else {"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=60) as found:
            return found.status, found.read().decode(), {name.lower(): value for name, value in found.headers.items()}
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read().decode(), {}


def test_the_command_serves_pages_and_tells_nobody(lake: Path, tmp_path: Path) -> None:
    with running(lake, tmp_path) as address:
        status, page, headers = answer(address)
        elsewhere = answer(address, "evil.example")
        made_up = answer(f"{address}/export/made.up")

    assert (status, headers["x-content-type-options"], headers["x-frame-options"]) == (200, "nosniff", "DENY")
    assert "<title>" in page
    assert "BACKEND_BASE_URL" in page
    assert elsewhere[0] == 403
    assert made_up[0] == 403


def test_the_first_page_is_found_by_its_name_too(lake: Path, tmp_path: Path) -> None:
    """Streamlit has it at `/` alone."""
    with running(lake, tmp_path) as address:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        connection.request("GET", "/overview?corpus=a%26b&text=it%27s")
        found = connection.getresponse()
        connection.close()

    assert (found.status, found.headers["location"]) == (307, "./?corpus=a%26b&text=it%27s")


def test_our_settings_are_stronger_than_those_of_the_user(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamlit import config

    monkeypatch.setenv("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "true")
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    try:
        configure_streamlit(Settings(str(lake)), 8501)
        assert {name: config.get_option(name) for name in STREAMLIT} == STREAMLIT
        assert config.get_option("server.allowedHosts") == ["localhost", "127.0.0.1", "::1"]
    finally:
        config.get_config_options(force_reparse=True, options_from_flags={})


def test_others_are_let_in_only_where_somebody_asks_who_they_are(lake: Path) -> None:
    with pytest.raises(UsageError, match="--access FILE"):
        check_host(Settings(str(lake)), "0.0.0.0")
    check_host(Settings(str(lake), of_viewers()), "0.0.0.0")
    check_host(Settings(str(lake)), "::1")


def test_a_port_that_is_taken_is_named(lake: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PreflightError, match=f"127.0.0.1:{port}: Address already in use; choose another"):
            serve(Settings(str(lake)), "127.0.0.1", port, lambda _: None)


def test_a_folder_without_a_lake_is_named(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="nothing"):
        serve(Settings(str(tmp_path / "nothing")), "127.0.0.1", 0, lambda _: None)


def test_without_streamlit_the_command_says_what_to_install(
    lake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mmer_ray.cli.dashboard.find_spec", lambda name: None)

    assert main(["dashboard", "--lake", str(lake)]) == 4
    assert "uv pip install --override overrides.txt '.[dashboard]'" in capsys.readouterr().err


def test_without_authlib_signing_in_says_what_to_install(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mmer_ray.cli.dashboard.find_spec", lambda name: None if name == "authlib" else object())
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "access.toml").write_text(
        '[viewers.anna]\ncorpora = "all"\n[oidc]\nredirect_uri = "http://localhost/oauth2callback"\n'
        f'server_metadata_url = "https://id.example/x"\nclient_id = "calls"\nclient_secret_file = "{tmp_path}/secret"\n'
    )

    assert main(["dashboard", "--lake", str(lake), "--access", str(tmp_path / "access.toml")]) == 4
    assert "uv pip install --override overrides.txt '.[dashboard-oidc]'" in capsys.readouterr().err


def test_pages_need_neither_torch_nor_ray(lake: Path) -> None:
    code = (
        "import sys, dashboard.server, dashboard.overview_view, dashboard.recordings_view; "
        "print(sorted({'torch', 'ray', 'transformers'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_the_menu_opens_the_overview(lake: Path) -> None:
    from streamlit.testing.v1 import AppTest

    with dashboard_of(lake):
        page = AppTest.from_file(str(MAIN), default_timeout=240).run()

    assert not page.exception
    assert page.title[0].value == "Overview"

"""`mmer serve` refuses what it must before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mmer_ray.cli import main
from mmer_ray.cli.serve import require_loopback, say_if_keyless
from mmer_ray.errors import UsageError
from mmer_ray.runners import endpoint
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.key_file import KeyFile


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_an_address_of_this_machine_alone_needs_no_keys(host: str) -> None:
    require_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "no-such-host.invalid"])
def test_another_address_does(host: str) -> None:
    with pytest.raises(UsageError, match=host):
        require_loopback(host)


def test_no_keys_on_an_open_address_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--insecure-no-auth", "--host", "0.0.0.0"]) == 2
    assert "make keys with `mmer keys add NAME`" in " ".join(capsys.readouterr().err.split())


def test_the_host_of_the_profile_counts_too() -> None:
    assert main(["serve", "--insecure-no-auth", "--set", 'serve.host="0.0.0.0"']) == 2


def test_a_missing_model_and_a_taken_port_end_the_command_with_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "cluster", lambda *_, **__: pytest.fail("Ray was started"))
    words = ["serve", "--profile", "synthetic", "--set", f'serve.state="{tmp_path}"']
    assert main([*words, "--set", f"emotion.model={tmp_path}/none"]) == 4
    assert "emotion.model" in capsys.readouterr().err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main([*words, "--port", str(taken.getsockname()[1])]) == 4
    assert "another program listens there" in " ".join(capsys.readouterr().err.split())


def test_an_endpoint_without_a_valid_key_says_how_one_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> str:
        say_if_keyless(ServeOptions(state=str(tmp_path)))
        return capsys.readouterr().out

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    keys = KeyFile(tmp_path / "keys.json")
    assert "mmer keys add NAME" in told()
    keys.add("ana")
    assert told() == ""
    keys.revoke("ana")
    assert "mmer keys add NAME" in told()
    keys.path.write_text("{")
    assert "keys cannot be read" in told()

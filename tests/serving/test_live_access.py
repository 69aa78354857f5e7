"""Live calls at the whole endpoint: keys, the audit log, and clients that take nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mmer_ray.serving import live_route
from mmer_ray.serving.key_file import KeyFile, key_file_path
from mmer_ray.serving.live_call import HungUpError
from mmer_ray.serving.live_route import SocketClient
from tests.serving.call_sounds import demo_call
from tests.serving.cheap_scorers import CheapScorers
from tests.serving.endpoint import Endpoint, endpoint
from tests.serving.live_client import PATH, call


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with endpoint(CheapScorers(), tmp_path_factory.mktemp("state")) as one:
        yield one


@pytest.mark.parametrize("key", [None, "mmer_wrong"])
def test_without_a_good_key_no_call_is_opened(running: Endpoint, key: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(call(running.address, demo_call(num_s=1), key=key))
    assert refused.value.response.status_code == 401
    error = json.loads(refused.value.response.body or b"")["error"]
    assert error["code"] == ("missing_api_key" if key is None else "invalid_api_key")


def test_a_browsers_key_comes_as_a_subprotocol(running: Endpoint) -> None:
    async def ready() -> tuple[str | None, Any]:
        address = running.address.replace("http", "ws") + PATH
        async with connect(address, subprotocols=["mmer.stream", f"mmer.bearer.{running.key}"]) as socket:  # type: ignore[list-item]
            await socket.send('{"type": "start", "sample_rate": 16000}')
            return socket.subprotocol, json.loads(await socket.recv())["type"]

    assert asyncio.run(ready()) == ("mmer.stream", "ready")


def test_a_call_ends_soon_after_its_key_is_revoked(running: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_route, "KEY_LOOK_S", 0.05)
    keys = KeyFile(key_file_path(running.service.options))
    key = keys.add("bob")

    async def held() -> tuple[Any, int | None]:
        address = running.address.replace("http", "ws") + PATH
        async with connect(address, additional_headers={"Authorization": f"Bearer {key}"}) as socket:
            await socket.send('{"type": "start", "sample_rate": 16000}')
            assert json.loads(await socket.recv())["type"] == "ready"
            await asyncio.sleep(0.3)
            keys.revoke("bob")
            told = json.loads(await socket.recv())
            await socket.wait_closed()
            return told, socket.close_code

    told, close_code = asyncio.run(held())
    assert (told["type"], told["status"], told["error"]["code"]) == ("error", 401, "invalid_api_key")
    assert close_code == 4401


def test_a_call_has_a_line_in_the_audit_log_without_its_words(running: Endpoint) -> None:
    heard = asyncio.run(call(running.address, demo_call(num_s=5), key=running.key))
    assert heard.last["type"] == "final"
    request_id = heard.messages[0]["request_id"]
    running.service.audit.close()
    lines = [
        line
        for file in (Path(running.service.options.state) / "audit").iterdir()
        for line in file.read_text().splitlines()
        if request_id in line
    ]
    (line,) = lines
    told = json.loads(line)
    assert (told["route"], told["status"], told["audio_s"], told["key"]) == (PATH, 200, 5.0, "tests")
    assert "good morning" not in line


class DeafSocket:
    """A client's socket that is full: sending to it never ends."""

    scope: dict[str, Any] = {"state": {"request_id": "r"}}  # noqa: RUF012 - read only

    async def send_text(self, text: str) -> None:
        await asyncio.Event().wait()


def test_a_client_that_takes_nothing_is_given_up() -> None:
    client = SocketClient(DeafSocket(), patience_s=0.05)  # type: ignore[arg-type]
    with pytest.raises(HungUpError):
        asyncio.run(client.send({"type": "progress"}))

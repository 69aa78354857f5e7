"""What every request passes first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboard.access import LOCAL, Access, Viewer
from dashboard.audit import Audit
from dashboard.guard import Guard
from tests.dashboard.makers import of_viewers

STREAM = "ws://localhost:8501/stream"


def client(access: Access, audit: Path) -> TestClient:
    """A server that greets over a web socket, behind the guard; requests come from the proxy."""

    async def greet(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    app = Starlette(
        routes=[WebSocketRoute("/stream", greet)], middleware=[Middleware(Guard, access=access, audit=Audit(audit))]
    )
    return TestClient(app, client=("10.0.0.5", 1))


@pytest.mark.parametrize("access", [LOCAL, of_viewers(Viewer("ann", None))], ids=["local", "proxy"])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3000", "null"])
def test_a_web_socket_of_another_page_is_closed_and_logged(tmp_path: Path, access: Access, origin: str) -> None:
    opening = client(access, tmp_path / "audit").websocket_connect(STREAM, headers={"origin": origin, "x-user": "ann"})
    with pytest.raises(WebSocketDisconnect) as closed, opening:
        pass

    assert closed.value.code == 1008
    (line,) = [json.loads(one) for one in (tmp_path / "audit").read_text().splitlines()]
    assert (line["event"], "its own pages only" in line["detail"]) == ("refused", True)


@pytest.mark.parametrize("headers", [{"origin": "http://localhost:8501"}, {}])
def test_its_own_pages_are_served(tmp_path: Path, headers: dict[str, str]) -> None:
    with client(LOCAL, tmp_path / "audit").websocket_connect(STREAM, headers=headers) as socket:
        assert socket.receive_text() == "hello"

"""A dashboard as users have it, in a process of its own, and Debian's Chromium to look at it."""

from __future__ import annotations

import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pytest

START_S = 90
WAIT_S = 60
DRAWN = """() => {
    const app = document.querySelector("[data-testid=stApp]");
    const ours = [...document.querySelectorAll("[data-testid=stBidiComponentIsolated]")];
    return app?.dataset.testScriptState === "notRunning"
        && !document.querySelector("[data-testid=stSkeleton], [data-stale=true]")
        && ours.every((one) => one.shadowRoot?.querySelector(".hits, .player"));
}"""
"""Streamlit has run the page's script, and every part of the page is there: none is still being fetched or is of an
earlier run."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
)


@contextmanager
def dashboard_at(lake: Path | str, cache: Path, *options: str) -> Iterator[str]:
    """The address of `mmer dashboard`; it is ended by Ctrl-C, as users do."""
    command = [sys.executable, "-m", "mmer_ray", "dashboard", "--lake", str(lake), "--port", "0", *options]
    environment = os.environ | {"MMER_DASHBOARD_CACHE": str(cache)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment) as process:
        assert process.stderr is not None
        try:
            yield _address(process.stderr)
        finally:
            process.terminate()
            process.wait(30)


def _address(lines: IO[bytes]) -> str:
    """What the command says when it is ready; the rest is read on, so that it never waits for a reader."""
    said: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in lines:
            said.put(line.decode(errors="replace"))
        said.put("")

    threading.Thread(target=read, daemon=True).start()
    heard: list[str] = []
    while True:
        line = said.get(timeout=START_S)
        heard.append(line)
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            return found[0]
        assert line, "".join(heard)


class Watched:
    """A page of the browser, and what must not happen on it."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.strangers: list[str] = []
        self.errors: list[str] = []
        page.on("request", self._note_request)
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note_request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != urlsplit(self.address).netloc:
            self.strangers.append(request.url)

    def _note_console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url', '')}")


def wait_until_drawn(page: Any) -> None:
    """Until all of a page of the dashboard is there."""
    page.wait_for_function(DRAWN)


def eventually(read: Callable[[], Any], expected: Any, page: Any) -> None:
    """Until the page shows this; fails with what it shows instead. What is read may not be there yet."""
    from playwright.sync_api import Error

    until = time.monotonic() + WAIT_S
    while True:
        # A page that is being drawn anew has rows, tiles and parts of its address that go while they are read.
        try:
            found = read()
        except (ValueError, LookupError, Error) as exc:
            found = exc
        if found == expected:
            return
        assert time.monotonic() < until, f"shown: {found!r}; expected: {expected!r}"
        page.wait_for_timeout(100)


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; the test is skipped where there is none."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, headless=True, args=[*FLAGS])
        try:
            yield browser
        finally:
            browser.close()

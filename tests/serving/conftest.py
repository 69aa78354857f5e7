"""What tests of the endpoint share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.serving.live_endpoint import Endpoint


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser with a microphone that hears a call of the demo, again and again.

    No longer than its module: Playwright keeps an event loop in this thread, where others could not run theirs.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    from tests.serving.call_sounds import demo_call, wav

    heard = tmp_path_factory.mktemp("microphone") / "heard.wav"
    heard.write_bytes(wav(demo_call("call_02_mono", num_s=10)))
    with ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        arguments = [
            "--no-sandbox",
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={heard}",
        ]
        opened = playwright.chromium.launch(executable_path=chromium, args=arguments)
        stack.callback(opened.close)
        yield opened


@pytest.fixture(scope="module")
def shared_live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A server of live calls, started once for its module."""
    from tests.serving.live_endpoint import endpoint

    with endpoint(tmp_path_factory.mktemp("state")) as one:
        yield one


@pytest.fixture
def live(shared_live: Endpoint) -> Endpoint:
    """That server, as if it had just started."""
    shared_live.scorers.__init__()  # type: ignore[misc]
    shared_live.admission.__init__()  # type: ignore[misc]
    shared_live.ended.clear()
    return shared_live

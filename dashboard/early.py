"""The sound of a recording's page before Streamlit has come: its address, and a button, in the HTML that the page
begins with.

Streamlit takes about a second before any script of ours runs. The sound of a link to a second needs none of it: the
server looks the recording up while it answers with the HTML, by the same question and for the same viewer as the page.
`assets/early.js` begins to load it and plays it when the button is pressed; the player of the page takes the audio
element over, playing or not. Where nothing may be heard, or the lake does not answer soon, the page is as without it.

Streamlit's 130 files would be sent, and run, before the sound: they wait in a template until it is there, for a moment.
"""

from __future__ import annotations

import asyncio
import html
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.access import Refused
from dashboard.filters import CORPUS
from dashboard.guard import viewer_who_asks
from dashboard.heard import addresses_of, sound_of
from dashboard.links import AT, MAX_ID_CHARS, OF_CORPUS, RECORDING, second_of
from dashboard.numbers import clock
from dashboard.questions.corpora import all_corpora
from dashboard.questions.recording import recording
from dashboard.stored_sound import SoundOf

if TYPE_CHECKING:
    from starlette.requests import Request

    from dashboard.access import Viewer
    from dashboard.session import Dashboard

ASSETS = Path(__file__).with_name("assets")
LONGEST_WAIT_S = 0.5
"""A page does not wait longer for a lake: its sound then comes with the player."""
NUM_LOOKUPS = 2
"""At a time; a lake that does not answer keeps no more threads than these."""

_SCRIPTS = re.compile(r'\s*(?:<script type="module"[^>]*></script>|<link rel="modulepreload"[^>]*>)')

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EarlySound:
    """What one page's HTML has of its sound."""

    address: str
    is_converted: bool
    """Whether it is decoded for the browser."""
    start_s: float
    corpus: str
    recording_id: str


class EarlySounds:
    """Looks them up for one server, off its event loop."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard
        self._lookups = ThreadPoolExecutor(NUM_LOOKUPS, "early-sound")

    def close(self) -> None:
        """Begin no lookup any more."""
        self._lookups.shutdown(wait=False, cancel_futures=True)

    async def of(self, request: Request) -> EarlySound | None:
        """The sound for a request of a recording's page; None where there is none for who asks. Never raises: the page
        says what is wrong, where something is."""
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                return await asyncio.get_running_loop().run_in_executor(self._lookups, self.find, request)
        except TimeoutError:
            _log.warning("the lake took longer than %.1f s to name a sound: the page begins without it", LONGEST_WAIT_S)
        except Exception as exc:
            # Whatever it is, it must not cost the page.
            _log.warning("a page begins without its sound: %s: %s", type(exc).__name__, exc)
        return None

    def find(self, request: Request) -> EarlySound | None:
        """As `of`, in the thread that calls it. Raises as `Dashboard.ask` does."""
        query = request.query_params
        wanted, corpus = query.get(RECORDING, "")[:MAX_ID_CHARS], query.get(OF_CORPUS)
        start_s = second_of(query.get(AT))
        viewer = self._viewer(request)
        # Without a second the page chooses one, by all that was said.
        if not wanted or start_s is None or viewer is None:
            return None
        corpora = viewer.of_lake(row["corpus"] for row in self._dashboard.ask(all_corpora()).to_pylist())
        named = [*query.getlist(CORPUS), *([] if corpus is None else [corpus])]
        if any(one not in corpora for one in named):
            return None
        for row in self._dashboard.ask(recording(wanted, corpus, corpora)).to_pylist():
            if row["status"] == "scored":
                return self._early(viewer, sound_of(row), start_s)
        return None

    def _viewer(self, request: Request) -> Viewer | None:
        try:
            return viewer_who_asks(self._dashboard.access, request)
        except Refused:
            # The page tells them, and logs it.
            return None

    def _early(self, viewer: Viewer, sound: SoundOf, start_s: float) -> EarlySound | None:
        addresses = addresses_of(self._dashboard, viewer, sound)
        address = addresses.sound or addresses.wav
        if address is None:
            return None
        within_s = min(start_s, sound.duration_ms / 1000)
        return EarlySound(address, addresses.sound is None, within_s, sound.corpus, sound.recording_id)


class EarlyHtml:
    """A page's HTML with the place for an early sound."""

    def __init__(self, text: str) -> None:
        """`text` is the page's HTML; what has no such places stays as it is."""
        # Before the first file of Streamlit's is linked: of all files the sound is asked for first.
        first, link, rest = text.partition("<link")
        middle, body, last = rest.partition("<body>")
        self._text = text
        self._parts = (first, _held(link + middle) + body, last) if link and body and "</head>" in middle else None
        style, self._script = ((ASSETS / name).read_text(encoding="utf-8") for name in ("early.css", "early.js"))
        self._style = f"<style>\n{style}</style>\n"

    def with_sound(self, early: EarlySound) -> str:
        """The HTML in which this sound begins."""
        if self._parts is None:
            return self._text
        head, middle, last = self._parts
        data = {
            "sound": early.address,
            "converted": str(early.is_converted).lower(),
            "start": f"{early.start_s:.3f}",
            "recording": early.recording_id,
            "of": early.corpus,
        }
        given = " ".join(f'data-{name}="{html.escape(value)}"' for name, value in data.items())
        script = f"<script {given}>\n{self._script}</script>\n"
        return f"{head}{self._style}{script}{middle}{_bar(early.start_s)}{last}"


def _held(head: str) -> str:
    """The head of a page with Streamlit's scripts, in their order, in a template."""
    held = "".join(_SCRIPTS.findall(head))
    return _SCRIPTS.sub("", head).replace("</head>", f'<template id="held">{held}</template>\n</head>', 1)


def _bar(start_s: float) -> str:
    """The button; `assets/early.js` makes it work and takes it away."""
    return f"""
    <div id="early-sound" role="region" aria-label="Sound">
      <button type="button">
        <svg viewBox="0 0 24 24" aria-hidden="true"><path class="to-play" d="M7 4.5v15l12-7.5z"></path>
        <path class="to-pause" d="M6 4.5h4v15H6zM14 4.5h4v15h-4z"></path></svg>
        <span class="to-play">Play from {clock(round(start_s * 1000))}</span>
        <span class="to-pause">Pause</span>
      </button>
    </div>"""

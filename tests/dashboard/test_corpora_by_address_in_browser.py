"""Who may see one corpus asks for another's page, sound and export by address: refused, logged, and nothing told."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from dashboard.server import MAIN
from mmer_ray.lake.queries import open_lake
from tests.dashboard.browser import chromium, dashboard_at, eventually, wait_until_drawn
from tests.dashboard.lakes import call_lake
from tests.dashboard.proxy import HEADER, proxy_to

pytestmark = pytest.mark.xdist_group("corpora")
WAIT_MS = 60_000
PAGES = sorted(script.stem for script in (MAIN.parent / "pages").glob("*.py"))
MINE, THEIRS = "alpha-calls", "bravo-calls"
ACCESS = f"""
[viewers.ann]
corpora = ["{MINE}"]
[viewers.ben]
corpora = ["{THEIRS}"]
annotate = true
"""


@dataclass
class Seat:
    """One viewer's browser, and all that came to it."""

    name: str
    address: str
    page: Any
    received: list[bytes] = field(default_factory=list)
    """Messages of web sockets."""
    asked: list[str] = field(default_factory=list)

    def open(self, name: str, more: dict[str, str] | None = None) -> None:
        self.page.goto(f"{self.address}/{name}?{urlencode(more or {})}")
        self.page.locator("[data-testid=stExpander], [data-testid=stAlert]").first.wait_for()
        wait_until_drawn(self.page)

    def addresses(self, start: str) -> list[str]:
        """Those that the page links to or has asked for."""
        links = self.page.locator(f'a[href*="{start}"]').all()
        found = [one.get_attribute("href") for one in links] + self.asked
        return [f"{start}{one.split(start, 1)[1]}" for one in found if start in one]


@dataclass
class Guarded:
    """A dashboard of two corpora, with a seat for each of their viewers."""

    address: str
    audit: Path
    ann: Seat
    ben: Seat
    ids: dict[str, str]
    """Corpus -> its recording."""

    def refusals(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.audit.read_text().splitlines()]
        return [line for line in lines if line["event"] == "refused"]

    def get(self, path: str, *names: str) -> httpx.Response:
        """What the dashboard answers when the proxy names these viewers."""
        return httpx.get(f"{self.address}{path}", headers=[(HEADER, name) for name in names], timeout=30)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    call_lake(folder, (30.0,), MINE)
    lake = call_lake(folder, (40.0,), THEIRS)
    with open_lake(lake.address) as reader:
        ids = {row["corpus"]: row["recording_id"] for row in reader.rows("FROM recordings", {})}
    (folder / "access.toml").write_text(ACCESS)
    options = ["--access", str(folder / "access.toml"), "--trusted-user-header", HEADER]
    options += ["--trusted-proxy", "127.0.0.1", "--audit-log", str(folder / "audit")]
    with ExitStack() as stack:
        address = stack.enter_context(dashboard_at(lake.address, folder / "cache", *options))
        browser = stack.enter_context(chromium())
        seats = []
        for name in ("ann", "ben"):
            page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
            page.set_default_timeout(WAIT_MS)
            seat = Seat(name, stack.enter_context(proxy_to(address, name)), page)
            listen(seat)
            seats.append(seat)
        yield Guarded(address, folder / "audit", seats[0], seats[1], ids)


def listen(seat: Seat) -> None:
    def frame(payload: str | bytes) -> None:
        seat.received.append(payload.encode() if isinstance(payload, str) else payload)

    seat.page.on("websocket", lambda socket: socket.on("framereceived", frame))
    seat.page.on("request", lambda request: seat.asked.append(request.url))


def test_each_viewer_is_shown_their_corpus_alone_on_every_page(guarded: Guarded) -> None:
    guarded.ann.received.clear()
    for name in PAGES:
        mine = {"recording": guarded.ids[MINE], "of": MINE} if name == "recording" else {"text": "the"}
        guarded.ann.open(name, mine)
    told = b"\n".join(guarded.ann.received)

    assert MINE.encode() in told
    assert THEIRS.encode() not in told
    assert guarded.ids[THEIRS].encode() not in told


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_anothers_corpus_is_refused_and_says_nothing_of_it(guarded: Guarded, name: str) -> None:
    before = len(guarded.refusals())
    address = {"corpus": THEIRS}
    if name == "recording":
        address = {"recording": guarded.ids[THEIRS], "of": THEIRS}
    guarded.ann.open(name, address)

    guarded.ann.page.get_by_text("Not shown to you.").wait_for()
    guarded.ann.page.get_by_text(f"You may not see the corpus '{THEIRS}', or there is none.").wait_for()
    assert guarded.ann.page.locator("[data-testid=stMetric], [data-testid=stDataFrame], .player").count() == 0
    line = guarded.refusals()[before]
    assert (line["viewer"], line["corpus"]) == ("ann", THEIRS)


def test_a_recording_without_its_corpus_in_the_address_is_refused_like_one_that_is_not_there(guarded: Guarded) -> None:
    guarded.ann.received.clear()
    guarded.ann.open("recording", {"recording": guarded.ids[THEIRS]})

    guarded.ann.page.get_by_text("or it is not yours to see").wait_for()
    assert THEIRS.encode() not in b"\n".join(guarded.ann.received)


def test_addresses_of_sound_are_no_use_to_another_viewer(guarded: Guarded) -> None:
    for seat, corpus in ((guarded.ann, MINE), (guarded.ben, THEIRS)):
        seat.open("recording", {"recording": guarded.ids[corpus], "of": corpus})
        seat.page.locator(".player[data-waveform=drawn]").wait_for()
    mine, theirs = guarded.ann.addresses("/peaks/")[-1], guarded.ben.addresses("/peaks/")[-1]
    before = len(guarded.refusals())

    assert guarded.get(mine, "ann").status_code == 200
    assert guarded.get(mine.replace("/peaks/", "/sound/"), "ann").status_code == 200
    for path in (theirs, theirs.replace("/peaks/", "/sound/"), f"{theirs.replace('/peaks/', '/sound/')}?as=wav"):
        answer = guarded.get(path, "ann")
        assert (answer.status_code, "made for somebody else" in answer.text) == (403, True)
    assert [(one["viewer"], one["corpus"]) for one in guarded.refusals()[before:]] == [("ben", THEIRS)] * 3


def test_an_address_of_ones_own_cannot_be_changed_to_open_anothers(guarded: Guarded) -> None:
    guarded.ann.open("recording", {"recording": guarded.ids[MINE], "of": MINE})
    guarded.ann.page.locator(".player[data-waveform=drawn]").wait_for()
    body, _, mark = guarded.ann.addresses("/peaks/")[-1].removeprefix("/peaks/").partition(".")
    claim = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert json.loads(claim[2]) == [MINE, guarded.ids[MINE]]
    claim[2] = json.dumps([THEIRS, guarded.ids[THEIRS]])
    forged = base64.urlsafe_b64encode(json.dumps(claim).encode()).decode().rstrip("=")

    for path in (f"/sound/{forged}.{mark}", f"/peaks/{forged}.{mark}", f"/export/{body}.{mark}"):
        assert guarded.get(path, "ann").status_code == 403


def test_exports_are_of_ones_own_corpora_and_no_use_to_another_viewer(guarded: Guarded) -> None:
    for seat in (guarded.ann, guarded.ben):
        seat.open("recordings")
        eventually(seat.page.locator('a[href*="/export/"]').count, 4, seat.page)
    mine, theirs = guarded.ann.addresses("/export/"), guarded.ben.addresses("/export/")

    own = guarded.get(mine[2], "ann")
    assert own.status_code == 200
    assert MINE in own.text
    assert THEIRS not in own.text
    assert {guarded.get(path, "ann").status_code for path in theirs} == {403}
    assert {guarded.get(path).status_code for path in mine} == {403}


def test_the_transcript_of_a_recording_is_for_its_viewers_alone(guarded: Guarded) -> None:
    guarded.ben.open("recording", {"recording": guarded.ids[THEIRS], "of": THEIRS})
    eventually(guarded.ben.page.locator('a[href*="/export/recording/"]').count, 2, guarded.ben.page)
    theirs = guarded.ben.addresses("/export/recording/")
    before = len(guarded.refusals())

    assert [guarded.get(path, "ben").status_code for path in theirs] == [200, 200]
    assert [guarded.get(path, "ann").status_code for path in theirs] == [403, 403]
    assert [(one["viewer"], one["corpus"]) for one in guarded.refusals()[before:]] == [("ben", THEIRS)] * 2


def test_a_client_that_names_itself_beside_the_proxy_is_refused(guarded: Guarded) -> None:
    assert guarded.get("/", "ann", "ben").status_code == 403
    assert "more than once" in guarded.get("/", "ann", "ben").text


def test_who_may_not_annotate_has_nothing_to_annotate_with(guarded: Guarded) -> None:
    guarded.ann.open("recording", {"recording": guarded.ids[MINE], "of": MINE})
    guarded.ann.page.locator(".row").first.wait_for()
    assert guarded.ann.page.locator(".verdict").count() == 0
    assert guarded.ann.page.get_by_text("Name, join or part speakers").count() == 0

    guarded.ben.open("recording", {"recording": guarded.ids[THEIRS], "of": THEIRS})
    guarded.ben.page.locator(".verdict").first.wait_for()
    guarded.ben.page.get_by_text("Name, join or part speakers").wait_for()

"""The HTML of a recording's page: whose sound begins in it, and what else it says."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from streamlit.file_util import get_static_dir

from dashboard import early
from dashboard.access import LOCAL, Access, Mode, Viewer
from dashboard.cache import CACHE_VARIABLE
from dashboard.early import EarlyHtml, EarlySound, EarlySounds
from dashboard.front import front_routes
from dashboard.guard import Guard
from dashboard.heard import Sounds
from dashboard.question import Question
from dashboard.session import Dashboard, Settings
from mmer_ray.errors import LakeError
from mmer_ray.lake.queries import open_lake
from tests.dashboard.lakes import call_lake
from tests.dashboard.makers import make_lake, of_viewers

STATIC = Path(get_static_dir())
ANN, BEN = Viewer("ann", ("calls",)), Viewer("ben", ("sales",))
HOSTILE = "\"'><script>alert(1)</script>&amp;"


class Given(HTMLParser):
    """What the first script with a sound is given, and how many scripts there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.data: dict[str, str | None] = {}
        self.num_scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.num_scripts += tag == "script"
        if tag == "script" and "data-sound" in dict(attrs):
            self.data = dict(attrs)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("early")
    call_lake(folder, (12.0,))
    return Path(call_lake(folder, (9.0,), container="au").address)


@contextmanager
def asking(
    lake: Path, cache: Path, patch: pytest.MonkeyPatch, access: Access = LOCAL
) -> Iterator[tuple[Dashboard, TestClient]]:
    """A dashboard, and a client of its pages' HTML and sound that comes from the proxy."""
    patch.setenv(CACHE_VARIABLE, str(cache))
    # However busy the machine is.
    patch.setattr(early, "LONGEST_WAIT_S", 60)
    dashboard = Dashboard(Settings(str(lake), access, cache / "audit"))
    try:
        sounds, begun = Sounds(dashboard), EarlySounds(dashboard)
        dashboard.at_close(sounds.close)
        dashboard.at_close(begun.close)
        app = Starlette(
            routes=[*sounds.routes(), *front_routes(STATIC, begun)],
            middleware=[Middleware(Guard, access=access, audit=dashboard.audit)],
        )
        with TestClient(app, base_url="http://localhost", client=("10.0.0.5", 1)) as client:
            yield dashboard, client
    finally:
        dashboard.close()


def id_of(lake: Path, uri: str = "call_0.wav") -> str:
    with open_lake(str(lake)) as reader:
        return str(reader.find_recording(uri)["recording_id"])


def page(**query: Any) -> str:
    return f"/recording?{urlencode(query, doseq=True)}"


def plain(client: TestClient) -> str:
    """The page's HTML as it is where nothing is chosen."""
    answer = client.get("/recording", headers={"x-user": "ann"})
    assert "data-sound" not in answer.text
    return answer.text


def test_a_link_to_a_second_has_the_address_of_its_sound_which_plays_for_who_asked(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = id_of(lake)
    with asking(lake, tmp_path, monkeypatch, of_viewers(ANN, BEN)) as (_, client):
        answer = client.get(page(recording=wanted, of="calls", at="7.25"), headers={"x-user": "ann"})
        given = Given(answer.text).data
        statuses = {
            name: client.get(str(given["data-sound"]), headers={"x-user": name, "range": "bytes=0-9"}).status_code
            for name in ("ann", "ben")
        }
    assert (given["data-start"], given["data-recording"], given["data-of"]) == ("7.250", wanted, "calls")
    assert given["data-converted"] == "false"
    assert "Play from 0:07" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert statuses == {"ann": 206, "ben": 403}
    lines = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert [(one["event"], one["viewer"]) for one in lines] == [("heard", "ann"), ("refused", "ann")]


def test_the_sound_is_asked_for_before_any_file_of_streamlits(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asking(lake, tmp_path, monkeypatch) as (_, client):
        text = client.get(page(recording=id_of(lake), of="calls", at="1")).text
    assert text.index("data-sound") < text.index("<link") < text.index('id="early-sound"') < text.index('id="root"')


@pytest.mark.parametrize(
    ("named", "query"),
    [
        ("ben", {}),
        ("stranger", {}),
        (None, {}),
        ("ann", {"recording": "f" * 32}),
        ("ann", {"of": "sales"}),
        ("ann", {"of": HOSTILE}),
        ("ann", {"corpus": ["calls", "sales"]}),
        ("ann", {"recording": HOSTILE}),
        ("ann", {"recording": "\0" * 5000}),
        ("ann", {"recording": "' OR 1=1 --"}),
        ("ann", {"recording": ""}),
        ("ann", {"at": "nan"}),
        ("ann", {"at": "inf"}),
        ("ann", {"at": HOSTILE}),
        ("ann", {"at": ""}),
    ],
)
def test_who_may_not_hear_it_or_asks_for_what_is_not_there_gets_the_page_alone(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None, query: dict[str, Any]
) -> None:
    with asking(lake, tmp_path, monkeypatch, of_viewers(ANN, BEN)) as (_, client):
        whole: dict[str, Any] = {"recording": id_of(lake), "of": "calls", "at": "1"}
        headers = {} if named is None else {"x-user": named}
        answer = client.get(page(**(whole | query)), headers=headers)
        assert (answer.status_code, answer.text) == (200, plain(client))
        assert answer.headers["cache-control"] == "no-cache"


def test_the_address_may_leave_the_corpus_out_and_a_second_behind_the_end_is_the_end(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asking(lake, tmp_path, monkeypatch) as (_, client):
        given = Given(client.get(page(recording=id_of(lake), at="1e300")).text).data
        before = Given(client.get(page(recording=id_of(lake), at="-3")).text).data
    assert (given["data-start"], given["data-of"]) == ("12.000", "calls")
    assert before["data-start"] == "0.000"


def test_a_file_that_browsers_do_not_play_begins_converted(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asking(lake, tmp_path, monkeypatch) as (_, client):
        given = Given(client.get(page(recording=id_of(lake, "call_0.au"), of="calls", at="2")).text).data
        sound = client.get(str(given["data-sound"]), headers={"range": "bytes=0-3"})
    assert given["data-converted"] == "true"
    assert (sound.status_code, sound.content) == (206, b"RIFF")


def test_with_oidc_the_request_does_not_say_who_asks_and_nothing_begins(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(Mode.OIDC, {"ann": ANN})
    with asking(lake, tmp_path, monkeypatch, access) as (_, client):
        answer = client.get(page(recording=id_of(lake), of="calls", at="1"), headers={"x-user": "ann"})
        assert answer.text == plain(client)


def test_a_recording_that_failed_has_no_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Path(make_lake(tmp_path / "lake").address)
    with asking(lake, tmp_path, monkeypatch) as (_, client):
        answer = client.get(page(recording="e" * 32, of="support", at="1"))
        assert answer.text == plain(client)


def test_other_pages_and_head_requests_ask_the_lake_nothing(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asking(lake, tmp_path, monkeypatch) as (dashboard, client):
        monkeypatch.setattr(dashboard, "ask", lambda question: pytest.fail(str(question)))
        query = page(recording=id_of(lake), of="calls", at="1")
        assert client.head(query).status_code == 200
        assert "data-sound" not in client.get(query.replace("/recording?", "/search?")).text


@pytest.mark.parametrize("fault", [LakeError("the lake is damaged"), RuntimeError("a fault of ours")])
def test_a_fault_costs_the_sound_alone_and_is_logged(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    def fail(_: Question) -> None:
        raise fault

    with asking(lake, tmp_path, monkeypatch) as (dashboard, client):
        monkeypatch.setattr(dashboard, "ask", fail)
        answer = client.get(page(recording=id_of(lake), of="calls", at="1"))
        assert (answer.status_code, answer.text) == (200, plain(client))
    assert str(fault) in caplog.text


def test_a_lake_that_does_not_answer_is_not_waited_for(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    with asking(lake, tmp_path, monkeypatch) as (dashboard, client):
        monkeypatch.setattr(early, "LONGEST_WAIT_S", 0.01)
        monkeypatch.setattr(dashboard, "ask", lambda _: go_on.wait(60))
        try:
            for _ in range(early.NUM_LOOKUPS + 1):
                answer = client.get(page(recording=id_of(lake), of="calls", at="1"))
                assert (answer.status_code, answer.text) == (200, plain(client))
        finally:
            go_on.set()
    assert "the page begins without it" in caplog.text


def test_what_a_lake_calls_things_is_no_markup() -> None:
    text = "<html><head><link><title>x</title></head><body><div></div></body></html>"
    made = EarlyHtml(text).with_sound(EarlySound("/sound/a.b?as=wav", True, 3.0, HOSTILE, "-->" + HOSTILE))
    given = Given(made)
    assert given.num_scripts == 1
    assert (given.data["data-of"], given.data["data-recording"]) == (HOSTILE, "-->" + HOSTILE)
    assert not re.search("<script>alert", made)


def test_streamlits_scripts_wait_in_a_template_in_their_order_and_all_else_stays() -> None:
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r'<(?:script type="module"|link rel="modulepreload")[^>]*>', text)
    made = EarlyHtml(text).with_sound(EarlySound("/sound/a.b", False, 3.0, "calls", "a"))
    (held,) = re.findall(r'<template id="held">(.*?)</template>', made, re.DOTALL)

    assert len(scripts) > 20
    assert re.findall(r'<(?:script type="module"|link rel="modulepreload")[^>]*>', held) == scripts
    assert made.replace(held, "").count("./static/js/") == 0
    for stays in ('rel="stylesheet"', "prerenderReady", '<div id="root"></div>'):
        assert stays in made.replace(held, "")


def test_html_without_the_places_stays_as_it_is() -> None:
    sound = EarlySound("/sound/a.b", False, 3.0, "calls", "a")
    without = ("<html><head><link></head></html>", "<link><body></body>", "<html><head></head><body></body></html>", "")
    for text in without:
        assert EarlyHtml(text).with_sound(sound) == text

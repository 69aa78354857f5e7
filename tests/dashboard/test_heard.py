"""Who may hear what: by address, whatever a page would have shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from dashboard.access import Access, Viewer
from dashboard.cache import CACHE_VARIABLE
from dashboard.guard import Guard
from dashboard.heard import Sounds, addresses_of, sound_of
from dashboard.questions.recording import recording
from dashboard.session import Dashboard
from dashboard.stored_sound import SoundOf
from dashboard.tokens import Claim, Purpose
from mmer_ray.errors import LakeError
from mmer_ray.lake.erasure import erase_recordings, find_recordings
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from tests.dashboard.lakes import call_lake
from tests.dashboard.makers import dashboard_of, of_viewers

ANN, BEN = Viewer("ann", ("calls",)), Viewer("ben", ("sales",))


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return call_lake(tmp_path, (12.0,))


@contextmanager
def asking(lake: Lake, access: Access, audit: Path) -> Iterator[tuple[Dashboard, TestClient, SoundOf]]:
    """A dashboard, a client of its routes that comes from the proxy, and the recording."""
    with dashboard_of(Path(lake.address), access, audit) as dashboard:
        sounds = Sounds(dashboard)
        dashboard.at_close(sounds.close)
        guard = Middleware(Guard, access=access, audit=dashboard.audit)
        app = Starlette(routes=sounds.routes(), middleware=[guard])
        with open_lake(lake.address) as reader:
            (row,) = reader.rows("SELECT recording_id FROM recordings", {})
        (found,) = dashboard.ask(recording(row["recording_id"], "calls", ("calls",))).to_pylist()
        with TestClient(app, client=("10.0.0.5", 1)) as client:
            yield dashboard, client, sound_of(found)


def noted(audit: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in audit.read_text().splitlines()]


def test_a_viewer_hears_what_is_theirs_and_it_is_logged_once(lake: Lake, tmp_path: Path) -> None:
    with asking(lake, of_viewers(ANN, BEN), tmp_path / "audit") as (dashboard, client, sound):
        addresses = addresses_of(dashboard, ANN, sound)
        for part in ("bytes=0-99", "bytes=100-199"):
            answer = client.get(str(addresses.sound), headers={"x-user": "ann", "range": part})
            assert answer.status_code == 206
        assert client.get(str(addresses.peaks), headers={"x-user": "ann"}).status_code == 200
    (line,) = noted(tmp_path / "audit")
    assert (line["event"], line["viewer"], line["corpus"], line["recording_id"]) == (
        "heard", "ann", "calls", sound.recording_id,
    )  # fmt: skip


def test_an_address_is_no_use_to_somebody_else_nor_for_another_corpus(lake: Lake, tmp_path: Path) -> None:
    with asking(lake, of_viewers(ANN, BEN), tmp_path / "audit") as (dashboard, client, sound):
        anns = str(addresses_of(dashboard, ANN, sound).sound)
        bens = str(addresses_of(dashboard, BEN, sound).sound)
        answers = [
            client.get(anns, headers={"x-user": "ben"}),
            client.get(bens, headers={"x-user": "ben"}),
            client.get(bens, headers={"x-user": "ann"}),
            client.get(anns),
            client.get(f"{anns}x", headers={"x-user": "ann"}),
            client.get("/sound/made.up", headers={"x-user": "ann"}),
            client.get(bens.replace("/sound/", "/peaks/"), headers={"x-user": "ben"}),
        ]
    assert [one.status_code for one in answers] == [403] * 7
    lines = noted(tmp_path / "audit")
    assert [one["event"] for one in lines] == ["refused"] * 7
    assert lines[1]["viewer"] == "ben"
    assert lines[1]["recording_id"] == sound.recording_id


def test_a_token_for_an_export_opens_no_sound(lake: Lake, tmp_path: Path) -> None:
    with asking(lake, of_viewers(ANN), tmp_path / "audit") as (dashboard, client, sound):
        subject = json.dumps([sound.corpus, sound.recording_id])
        token = dashboard.tokens.sign(Claim("ann", Purpose.EXPORT, subject))
        old = dashboard.tokens.sign(Claim("ann", Purpose.SOUND, subject), lifetime_s=-1)
        for one in (token, old):
            assert client.get(f"/sound/{one}", headers={"x-user": "ann"}).status_code == 403


def test_a_viewer_who_was_removed_hears_nothing_more(lake: Lake, tmp_path: Path) -> None:
    with asking(lake, of_viewers(BEN), tmp_path / "audit") as (dashboard, client, sound):
        address = str(addresses_of(dashboard, ANN, sound).sound)
        assert client.get(address, headers={"x-user": "ann"}).status_code == 403


def test_erased_audio_is_not_sent_though_its_file_is_still_there(lake: Lake, tmp_path: Path) -> None:
    with asking(lake, of_viewers(ANN), tmp_path / "audit") as (dashboard, client, sound):
        address = str(addresses_of(dashboard, ANN, sound).sound)
        assert client.head(address, headers={"x-user": "ann"}).status_code == 200
        erase_recordings(lake, find_recordings(lake, ["call_0.wav"]), None)
        dashboard.reader.refresh()
        assert Path(sound.uri).exists()
        assert client.get(address, headers={"x-user": "ann"}).status_code == 404
        assert client.get(address.replace("/sound/", "/peaks/"), headers={"x-user": "ann"}).status_code == 404


def test_a_lake_that_does_not_answer_is_told_of_as_something_that_passes(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise LakeError("the bucket is away")

    with asking(lake, of_viewers(ANN), tmp_path / "audit") as (dashboard, client, sound):
        address = str(addresses_of(dashboard, ANN, sound).sound)
        monkeypatch.setattr(Dashboard, "ask", lambda _, question: away(question))
        answers = [
            client.get(one, headers={"x-user": "ann"}) for one in (address, address.replace("sound", "peaks", 1))
        ]

    assert [one.status_code for one in answers] == [503, 503]
    assert "the bucket is away" in answers[0].text

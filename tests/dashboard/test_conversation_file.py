"""The transcript of one recording as a file, and who gets it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dashboard.access import Viewer
from dashboard.conversation_file import TextFormat, conversation_route
from dashboard.session import Dashboard
from dashboard.tokens import LIFETIME_S, Claim, Purpose
from mmer_ray.export.formats import export
from mmer_ray.lake.conversation import Conversation
from mmer_ray.lake.queries import open_lake
from mmer_ray.records import Emotion, Utterance
from tests.dashboard.makers import HOSTILE, of_viewers, served

ANN, BEN = Viewer("ann", ("support",)), Viewer("ben", ("sales",))
CALL, FAILED, OF_SALES = "b" * 32, "e" * 32, "d" * 32
RECORDING = {"corpus": "support", "recording_id": CALL, "uri": "/calls/b.opus", "status": "scored"}


def address(
    dashboard: Dashboard, viewer: str, form: TextFormat, recording_id: str = CALL, corpus: str = "support"
) -> str:
    subject = json.dumps([corpus, recording_id, form.value])
    return f"/export/recording/{dashboard.tokens.sign(Claim(viewer, Purpose.TRANSCRIPT, subject))}"


def noted(audit: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in audit.read_text().splitlines()]


@pytest.mark.parametrize(("form", "media_type"), [("vtt", "text/vtt; charset=utf-8"), ("json", "application/json")])
def test_a_transcript_is_that_of_the_command_line(lake: Path, form: str, media_type: str) -> None:
    with served(lake, conversation_route) as (dashboard, client):
        answer = client.get(address(dashboard, "local", TextFormat(form)))
    with open_lake(lake) as reader:
        conversation = reader.conversation(CALL)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"] == f'attachment; filename="b.{form}"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text == export("/calls/b.opus", conversation.utterances, form)


def test_markup_in_a_transcript_is_text_in_the_file(lake: Path) -> None:
    with served(lake, conversation_route) as (dashboard, client):
        vtt = client.get(address(dashboard, "local", TextFormat.VTT)).text
        held = client.get(address(dashboard, "local", TextFormat.JSON)).json()

    assert "<img" not in vtt
    assert "&lt;img src=x onerror=alert(1)&gt;" in vtt
    assert held["utterances"][1]["text"] == HOSTILE


def test_it_is_logged_before_it_is_sent_without_a_word_of_it(lake: Path, tmp_path: Path) -> None:
    with served(lake, conversation_route, of_viewers(ANN), tmp_path / "audit") as (dashboard, client):
        assert client.get(address(dashboard, "ann", TextFormat.VTT), headers={"x-user": "ann"}).status_code == 200
    (line,) = noted(tmp_path / "audit")

    assert (line["event"], line["viewer"], line["corpus"], line["recording_id"], line["detail"]) == (
        "exported", "ann", "support", CALL, "transcript vtt",
    )  # fmt: skip


def test_it_is_refused_to_everybody_else_and_logged(lake: Path, tmp_path: Path) -> None:
    with served(lake, conversation_route, of_viewers(ANN, BEN), tmp_path / "audit") as (dashboard, client):
        anns = address(dashboard, "ann", TextFormat.JSON)
        answers = [
            client.get(anns, headers={"x-user": "ben"}),
            client.get(anns),
            client.get(address(dashboard, "ben", TextFormat.JSON), headers={"x-user": "ben"}),
            client.get(address(dashboard, "gone", TextFormat.JSON), headers={"x-user": "gone"}),
            client.get(f"{anns}x", headers={"x-user": "ann"}),
        ]

    assert [one.status_code for one in answers] == [403] * 5
    assert all("hello" not in one.text for one in answers)
    lines = noted(tmp_path / "audit")
    assert [one["event"] for one in lines] == ["refused"] * 5
    assert (lines[2]["viewer"], lines[2]["corpus"], lines[2]["recording_id"]) == ("ben", "support", CALL)
    assert "not yours to export" in lines[2]["detail"]


def test_a_token_that_is_too_old_or_for_something_else_is_refused(lake: Path) -> None:
    now = 1_000.0
    with served(lake, conversation_route) as (dashboard, client):
        dashboard.tokens = type(dashboard.tokens)(clock=lambda: now)
        link = address(dashboard, "local", TextFormat.VTT)
        sound = dashboard.tokens.sign(Claim("local", Purpose.SOUND, json.dumps(["support", CALL])))
        assert client.get(link).status_code == 200
        now += LIFETIME_S + 1
        answers = [client.get(link), client.get(f"/export/recording/{sound}")]

    assert [one.status_code for one in answers] == [403, 403]
    assert [one.text for one in answers] == [
        "this address is too old; open the page again", "this address is for sound, not for transcript",
    ]  # fmt: skip


def test_what_is_not_there_or_failed_is_not_found(lake: Path) -> None:
    with served(lake, conversation_route) as (dashboard, client):
        links = [
            address(dashboard, "local", TextFormat.VTT, FAILED),
            address(dashboard, "local", TextFormat.VTT, OF_SALES, "support"),
        ]
        assert [client.get(link).status_code for link in links] == [404, 404]


def test_what_a_policy_withholds_is_in_no_file(lake: Path) -> None:
    kept = Emotion("m", None, {"angry": 0.875}, 0.875, valence=-0.875, skip_reason="policy")
    one = Utterance(0, 5, 0, "S1", "hello", role="agent", emotions=(kept,))
    with served(lake, conversation_route) as (dashboard, client):
        dashboard.conversations = holding(Conversation(RECORDING, (one,), None, "m"))
        answer = client.get(address(dashboard, "local", TextFormat.JSON))

    (emotion,) = answer.json()["utterances"][0]["emotions"]
    assert (emotion["skip_reason"], emotion["probabilities"], emotion["valence"]) == ("policy", {}, None)
    assert "0.875" not in answer.text


def test_a_transcript_that_has_reached_its_age_is_gone(lake: Path, tmp_path: Path) -> None:
    with served(lake, conversation_route, audit=tmp_path / "audit") as (dashboard, client):
        dashboard.conversations = holding(Conversation(RECORDING, (), None, None, gone=("utterances",)))
        answer = client.get(address(dashboard, "local", TextFormat.VTT))

    assert (answer.status_code, "reached its age" in answer.text) == (404, True)
    assert (tmp_path / "audit").read_text() == ""


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("/calls/b.opus", "b"),
        ('/calls/a"; filename="x\r\nSet-Cookie: y.wav', "a_filename_x_Set-Cookie_y"),
        ("/calls/.wav", "wav"),
        ("/calls/日本.wav", "recording"),
        (f"/calls/{'a' * 300}.wav", "a" * 80),
    ],
)
def test_the_name_of_a_file_stays_within_its_header(lake: Path, uri: str, name: str) -> None:
    with served(lake, conversation_route) as (dashboard, client):
        dashboard.conversations = holding(Conversation(RECORDING | {"uri": uri}, (), None, None))
        answer = client.get(address(dashboard, "local", TextFormat.VTT))

    assert answer.headers["content-disposition"] == f'attachment; filename="{name}.vtt"'
    assert "set-cookie" not in answer.headers


def holding(conversation: Conversation) -> Any:
    """Conversations of a lake that holds this one alone."""
    return SimpleNamespace(of=lambda row: conversation)

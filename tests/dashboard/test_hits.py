"""What the list of utterances is given."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pytest

from dashboard.hits.component import show_hits
from dashboard.hits.payload import Around, contexts, hit_of, mark_of
from dashboard.palette import colour_of
from dashboard.player.payload import Addresses
from mmer_ray.tables import Row
from tests.dashboard.makers import HOSTILE

SOUND = Addresses("/sound/token", "/sound/token?as=wav", None)


def row(index: int, text: str = "hello", **more: object) -> Row:
    return {
        "corpus": "support", "recording_id": "a" * 32, "utterance_idx": index, "day": date(2026, 11, 1),
        "start_ms": 61_500, "end_ms": 63_000, "speaker": "S1", "speaker_name": None, "role": "agent", "text": text,
        "uri": "/calls/a b.opus", **more,
    }  # fmt: skip


def test_a_hit_opens_its_recording_at_its_second_and_plays_a_little_around_it() -> None:
    found = hit_of(row(0), SOUND, [])

    assert found["address"] == {"recording": "a" * 32, "of": "support", "at": "61.5"}
    assert found["link"] == f"recording?recording={'a' * 32}&of=support&at=61.5"
    assert (found["from"], found["until"]) == (61.2, 63.7)
    assert (found["name"], found["who"]) == ("a b.opus", "agent · S1")


def test_text_of_the_lake_goes_as_it_is_and_not_without_end() -> None:
    assert hit_of(row(0, HOSTILE), SOUND, [])["text"] == HOSTILE
    assert len(hit_of(row(0, "x" * 100_000), SOUND, [])["text"]) == 2_000


def test_an_emotion_has_its_colour_its_label_and_how_sure_it_is() -> None:
    sure, unsure = mark_of("angry", 0.81, None), mark_of("angry", 0.4, None)

    assert (sure.text, sure.colour, sure.is_unsure) == ("angry 81 %", colour_of("angry"), False)
    assert (unsure.text, unsure.is_unsure) == ("angry 40 %", True)


def test_no_answer_says_why() -> None:
    assert [mark_of(None, 0.2, why).text for why in ("low_confidence", "policy", None)] == [
        "not sure", "not scored: policy", "not scored",
    ]  # fmt: skip


def test_what_stands_around_is_of_the_same_recording() -> None:
    said = [
        row(0, "first"),
        row(1, "second", role=None),
        row(0, "other", recording_id="b" * 32, role=None, speaker=None),
    ]
    found = contexts(said, said)

    assert found["support", "a" * 32, 0] == Around("", "S1: second")
    assert found["support", "a" * 32, 1] == Around("agent: first", "")
    assert found["support", "b" * 32, 0] == Around("", "")


def test_the_file_may_be_gone() -> None:
    found = hit_of(row(0, uri=None), Addresses(None, None, None), [])

    assert (found["sound"], found["name"]) == (None, "a" * 32)


def opened_by(hits: list[Row], opened: object, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """The addresses that the page goes to where the list tells this."""
    addresses: list[Row] = []
    told = SimpleNamespace(opened=opened, renew=None)
    monkeypatch.setattr("streamlit.components.v2.component", lambda *_, **__: lambda **_: told)
    monkeypatch.setattr("streamlit.switch_page", lambda _, query_params: addresses.append(query_params))
    show_hits(hits, "hits")
    return addresses


def test_the_hit_that_was_clicked_is_opened_wherever_it_stands_by_now(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = hit_of(row(0), SOUND, []), hit_of(row(1, recording_id="b" * 32), SOUND, [])

    assert opened_by([second, first], first["key"], monkeypatch) == [first["address"]]
    assert opened_by([second], first["key"], monkeypatch) == []
    assert opened_by([first], None, monkeypatch) == []

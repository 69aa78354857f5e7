"""The page of one recording as Streamlit runs it: full, empty, failed, refused; what it gives its player."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import dashboard as package
from dashboard.access import Viewer
from dashboard.cache import CACHE_VARIABLE
from dashboard.page import sql_key
from dashboard.player.component import Asked
from dashboard.player.payload import Addresses, Shown, answer_in_words, payload_of
from mmer_ray.lake.activation import activate
from mmer_ray.lake.conversation import Conversation
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.verdicts import Judged, Judgement, judge
from mmer_ray.records import Emotion, Utterance
from tests.dashboard.lakes import call_lake
from tests.dashboard.makers import HOSTILE, SCORER, dashboard_of, make_lake, of_viewers, share_with_sales
from tests.dashboard.nights import OTHER_SCORER, add_other_answers

MAIN = Path(package.__file__).parent / "main.py"
ADDRESSES = Addresses("/sound/token", "/sound/token?as=wav", "/peaks/token")
ROW = {"corpus": "support", "recording_id": "a" * 32, "heard_key": "heard", "duration_ms": 10_000}
SHOWN = Shown(ADDRESSES, 3.0, "ann", True, {"recording": "b" * 32}, "at")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def opened(**address: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=240)
    for key, value in address.items():
        page.query_params[key] = value
    page.session_state[sql_key("recording")] = True
    return page.switch_page("pages/recording.py").run()


def said(page: AppTest) -> str:
    parts = [page.info, page.warning, page.error, page.text, page.markdown, page.caption, page.title, page.subheader]
    return "\n".join(str(one.value) for part in parts for one in part)


def test_a_recording_is_shown_with_its_speakers_and_what_was_asked(lake: Path, tmp_path: Path) -> None:
    with dashboard_of(lake, audit_log=tmp_path / "audit"):
        page = opened(recording="b" * 32, of="support")
        assert not page.exception
        assert not page.error
        assert [one.value for one in page.subheader] == ["Speakers"]
        assert any(f"recording_id = '{'b' * 32}'" in one.value for one in page.code)
        page.run()
    (line,) = (json.loads(one) for one in (tmp_path / "audit").read_text().splitlines())
    assert (line["event"], line["recording_id"]) == ("opened", "b" * 32)


def test_no_recording_says_how_to_choose_one(lake: Path) -> None:
    with dashboard_of(lake):
        page = opened()
    assert not page.exception
    assert "Choose one from the list" in page.info[0].value


def test_a_failed_recording_says_why_and_what_to_do(lake: Path) -> None:
    with dashboard_of(lake):
        page = opened(recording="e" * 32, of="support")
    assert not page.exception
    assert "empty_file at decode" in said(page)
    assert "mmer retry" in said(page)


@pytest.mark.parametrize(
    "address", [{"recording": "d" * 32, "of": "sales"}, {"recording": "d" * 32}, {"recording": "no such one"}]
)
def test_a_recording_of_others_and_one_that_is_not_there_are_refused_alike(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: dict[str, str]
) -> None:
    ann = Viewer("ann", ("support",))
    monkeypatch.setattr("dashboard.page._viewer", lambda dashboard: ann)
    with dashboard_of(lake, of_viewers(ann), tmp_path / "audit"):
        page = opened(**address)
    assert not page.exception
    assert page.error[0].value == "Not shown to you."
    assert "secret of sales" not in said(page)
    (line,) = (json.loads(one) for one in (tmp_path / "audit").read_text().splitlines())
    assert (line["event"], line["viewer"], line["recording_id"]) == ("refused", "ann", address["recording"])


def test_who_may_not_annotate_sees_no_forms(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.page._viewer", lambda dashboard: Viewer("ann", None, annotate=False))
    with dashboard_of(lake):
        page = opened(recording="b" * 32, of="support")
    assert not page.exception
    assert [one.value for one in page.subheader] == ["Speakers"]
    assert not page.expander or all("Name, join" not in one.label for one in page.expander)


def test_a_verdict_that_a_browser_sends_for_who_may_not_annotate_is_refused_and_logged(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As somebody sends it who leaves the page's own buttons aside."""
    ann = Viewer("ann", ("support",), annotate=False)
    judged = {"utterance": 0, "heard_key": "heard", "verdict": "wrong", "label": "sad", "text": None}
    monkeypatch.setattr("dashboard.page._viewer", lambda dashboard: ann)
    monkeypatch.setattr("dashboard.recording_view.show_player", lambda data, key: Asked(judged, False))
    with dashboard_of(lake, of_viewers(ann), tmp_path / "audit"):
        page = opened(recording="b" * 32, of="support")

    assert page.error[0].value == "Not shown to you."
    assert "not annotate" in said(page)
    lines = [json.loads(one) for one in (tmp_path / "audit").read_text().splitlines()]
    assert [one["event"] for one in lines] == ["opened", "refused"]
    with open_lake(lake) as reader:
        assert reader.rows("FROM annotations", {}) == []


def shared(folder: Path) -> None:
    """A call that `support` and `sales` both have, of whose second utterance somebody in each says something."""
    lake = make_lake(folder)
    share_with_sales(lake)
    for corpus, rater in (("sales", "cleo of sales"), ("support", "ben of support")):
        judge(lake, Judged(corpus, "b" * 32, "heard", 1), Judgement("right", SCORER), rater)


@pytest.mark.parametrize(
    ("corpora", "raters", "edits"),
    [(("support",), {"ben of support"}, False), (("sales", "support"), {"ben of support", "cleo of sales"}, True)],
)
def test_of_audio_that_two_corpora_have_each_viewer_reads_and_edits_what_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpora: tuple[str, ...], raters: set[str], edits: bool
) -> None:
    shown: list[dict[str, Any]] = []
    shared(tmp_path / "lake")
    monkeypatch.setattr("dashboard.page._viewer", lambda dashboard: Viewer("ann", corpora, annotate=True))
    monkeypatch.setattr(
        "dashboard.recording_view.show_player", lambda data, key: shown.append(data) or Asked(None, False)
    )
    with dashboard_of(tmp_path / "lake", of_viewers(Viewer("ann", corpora, annotate=True))):
        page = opened(recording="b" * 32, of="support")

    assert not page.exception
    assert {one.split(":")[0] for one in shown[0]["utterances"][1]["others"]} == raters
    assert [one.label for one in page.expander if "Name, join" in one.label] == ["Name, join or part speakers"] * edits
    assert ("in a corpus that you may not see" in said(page)) is not edits
    assert ("by cleo of sales" in str([one.options for one in page.selectbox])) is edits


def judged(verdict: str, utterance: int = 0, scorer: str = SCORER) -> Asked:
    """What the player tells when somebody judges the model's answer."""
    said = {"utterance": utterance, "heard_key": "heard", "scorer": scorer, "verdict": verdict, "label": None}
    return Asked({**said, "text": None}, False)


def tell_player(monkeypatch: pytest.MonkeyPatch, *asked: Asked) -> list[str]:
    """Let the player tell these one after the other, one each time that it is drawn; the notices that it is given."""
    waiting, notices = list(asked), []

    def draw(data: dict[str, Any], key: str) -> Asked:
        notices.append(data["notice"]["text"])
        return waiting.pop(0) if waiting else Asked(None, False)

    monkeypatch.setattr("dashboard.recording_view.show_player", draw)
    return notices


def verdicts(lake: Lake) -> list[tuple[int, str]]:
    with open_lake(lake.address) as reader:
        rows = reader.rows("SELECT utterance_idx, verdict FROM annotations ORDER BY utterance_idx", {})
    return [(row["utterance_idx"], row["verdict"]) for row in rows]


def test_all_that_cannot_be_written_waits_and_what_is_written_leaves_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = make_lake(tmp_path / "lake")
    tell_player(monkeypatch, judged("right", 0), judged("wrong", 1), judged("wrong", 0))
    with dashboard_of(tmp_path / "lake"):
        with Lake(tmp_path / "lake").lock():
            page = opened(recording="b" * 32, of="support")
        assert len(page.warning) == 2
        assert verdicts(lake) == []
        first, second = [one for one in page.button if one.label == "Try again"]
        # Of what was said of one utterance the last counts, and stands behind the other one.
        second.click().run()
        assert verdicts(lake) == [(0, "wrong")]
        (left,) = [one for one in page.button if one.label == "Try again"]
        assert (left.key, len(page.warning)) == (first.key, 1)
        left.click().run()

    assert verdicts(lake) == [(0, "wrong"), (1, "wrong")]
    assert not page.warning


def test_a_verdict_on_an_answer_of_a_model_that_is_in_use_no_longer_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = make_lake(tmp_path / "lake")
    notices = tell_player(monkeypatch, judged("right", scorer="mmer-before"))
    with dashboard_of(tmp_path / "lake"):
        opened(recording="b" * 32, of="support")

    assert "another emotion model is in use since this page was drawn: reload it" in notices[-1]
    assert verdicts(lake) == []


def test_the_transcript_is_offered_as_files(lake: Path) -> None:
    with dashboard_of(lake):
        page = opened(recording="b" * 32, of="support")
    links = [one.proto for one in page.get("link_button")]

    assert [one.label for one in links] == ["As WebVTT", "As JSON"]
    assert all(one.url.startswith("/export/recording/") for one in links)


def test_text_of_a_lake_reaches_the_player_as_it_is(lake: Path) -> None:
    found = payload_in(lake, "b" * 32)
    assert found["utterances"][1]["text"] == HOSTILE
    assert found["scorer"] == SCORER
    assert json.loads(json.dumps(found)) == found
    assert [one["start"] for one in found["moments"] if one["is_worst"]] == [60]


def test_what_people_said_stands_at_its_utterance(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake")
    about = Judged("support", "b" * 32, "heard", 1)
    judge(lake, about, Judgement("wrong", "mmer-12345678", "sad", "other words"), "ann")
    judge(lake, about, Judgement("right", "mmer-12345678"), "ben")
    one = payload_in(tmp_path / "lake", "b" * 32)["utterances"][1]
    assert (one["verdict"], one["heard"], one["corrected"]) == ("wrong", "sad", "other words")
    assert one["others"] == ["ben: right"]


def test_a_verdict_on_another_models_answer_tells_only_what_was_heard(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake")
    add_other_answers(lake, [(0, "angry", 0.9), (1, "neutral", 0.9)], "b" * 32)
    about = Judged("support", "b" * 32, "heard", 1)
    judge(lake, about, Judgement("right", SCORER), "ann")
    judge(lake, about, Judgement("wrong", SCORER), "ben")
    judge(lake, about, Judgement("wrong", SCORER, "happy"), "cy")
    before = payload_in(tmp_path / "lake", "b" * 32)["utterances"][1]
    activate(lake, OTHER_SCORER, "support")

    one = payload_in(tmp_path / "lake", "b" * 32)["utterances"][1]

    assert (before["verdict"], before["heard"]) == ("right", None)
    assert sorted(before["others"]) == ["ben: wrong", "cy: heard happy"]
    assert (one["label"], one["verdict"], one["heard"]) == ("neutral", None, before["label"])
    assert one["others"] == ["cy: heard happy"]


def payload_in(lake: Path, name: str) -> dict[str, Any]:
    with open_lake(lake) as reader:
        conversation = reader.conversation(name)
        annotations = reader.rows("FROM annotations WHERE recording_id = $id", {"id": name})
    return payload_of(conversation, range(len(conversation.utterances)), annotations, SHOWN)


@pytest.mark.parametrize(
    ("emotion", "short", "sentence"),
    [
        (None, "not scored", "This utterance was not scored."),
        (Emotion("m", "sad", {"sad": 0.8}, 0.8), "sad 80 %", "sad, confidence 80 %."),
        (Emotion("m", "sad", {"sad": 0.4}, 0.4), "sad 40 %", "sad, confidence 40 %, unsure."),
        (Emotion("m", "sad"), "sad", "sad, confidence unknown."),
        (
            Emotion("m", None, {"sad": 0.4, "happy": 0.3}, 0.4, skip_reason="low_confidence"),
            "not sure",
            "No answer: not sure; most likely sad (40%).",
        ),
        (Emotion("m", None, skip_reason="too_short"), "too short to judge", "No answer: too short to judge."),
        (Emotion("m", None, skip_reason="policy"), "not scored: policy", "No answer: not scored: policy."),
        (Emotion("m", None, skip_reason="something new"), "not scored", "No answer: not scored."),
    ],
)
def test_an_answer_is_told_in_words_and_no_answer_is_told_as_such(
    emotion: Emotion | None, short: str, sentence: str
) -> None:
    assert answer_in_words(emotion) == (short, sentence)


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return call_lake(tmp_path_factory.mktemp("call"), (90.0,))


def test_of_whom_nothing_may_be_scored_nothing_is_sent() -> None:
    shares = {"angry": 0.9, "sad": 0.1}
    kept = Emotion("m", None, shares, 0.9, valence=-0.8, arousal=0.7, skip_reason="policy")
    one = Utterance(0, 5, 0, "S1", "hello", role="agent", emotions=(kept,))
    found = payload_of(Conversation(ROW, (one,), None, "m"), [0], [], SHOWN)
    (shown,) = found["utterances"]
    assert "angry" not in json.dumps(found["utterances"])
    assert (shown["probabilities"], shown["valence"], shown["arousal"], shown["confidence"]) == ([], None, None, None)
    assert found["moments"] == []


def test_marks_and_dimensions_are_those_of_the_lake(call: Lake) -> None:
    with open_lake(call.address) as reader:
        conversation = reader.conversation("call_0.wav")
    found = payload_of(conversation, range(len(conversation.utterances)), [], SHOWN)
    assert conversation.measures is not None
    assert len(found["interruptions"]) == conversation.measures.interruptions > 0
    assert sum(one["interrupts"] for one in found["utterances"]) == conversation.measures.interruptions
    spans = sum(end_s - start_s for start_s, end_s in found["overlaps"])
    assert spans == pytest.approx(conversation.measures.overlap_s, abs=0.01)
    assert [one["valence"] for one in found["utterances"]] == [
        one.emotions[0].valence for one in conversation.utterances
    ]
    assert found["utterances"][0]["words"][0][0] == conversation.utterances[0].words[0].word

"""Erasing one speaker of a recording: their words go, the others' stay, and measures follow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.lake.erasure import erase_speaker, find_recordings
from mmer_ray.lake.heard_speakers import Rename, Undo
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.recluster import Recluster, recluster
from mmer_ray.lake.speaker_edits import edit_speakers, speakers_of
from mmer_ray.lake.store import Lake
from mmer_ray.lake.verdicts import Judged, Judgement, judge
from tests.lake.makers import EVERY_TABLE, KEYS, answer, audio_id, contents, job, listing, newer, plan_of, work
from tests.lake.removals import ERASED, WORDS, canary_lake, erase_first_speaker, traces, write

OTHERS = ("utterances", "words", "turns", "emotions")


@pytest.fixture
def made(tmp_path: Path) -> tuple[Lake, Path]:
    """The lake and its folder of audio; in `erased.wav`, S1 and S2 take turns twice."""
    lake, _ = canary_lake(tmp_path)
    return lake, tmp_path / "audio"


def said(lake: Lake, name: str = ERASED) -> list[tuple[str, str, list[str], str | None]]:
    """Speaker, text, words and label of each utterance."""
    with open_lake(lake.address) as reader:
        talk = reader.conversation(name).utterances
    return [
        (one.speaker, one.text, [word.word for word in one.words], one.emotions[0].label if one.emotions else None)
        for one in talk
    ]


def test_what_the_speaker_said_is_gone_to_the_byte_and_what_others_said_stays(made: tuple[Lake, Path]) -> None:
    lake, _ = made
    before, rest = said(lake), contents(lake.address)
    erase_first_speaker(lake)
    assert said(lake) == [one for one in before if one[0] != "S1"]
    assert [len(before), len(said(lake))] == [4, 2]
    assert [word for word in WORDS if traces(lake.address, word)] == []
    after = contents(lake.address)
    (erased,) = {row["recording_id"] for row in rest["recordings"] if row["uri"].endswith(ERASED)}
    for name in EVERY_TABLE:
        mine = [row for row in after[name] if row["recording_id"] != erased]
        assert mine == [row for row in rest[name] if row["recording_id"] != erased]
    assert {row["speaker"] for row in after["turns"] if row["recording_id"] == erased} == {"S2"}
    assert [row for row in after["pieces"] if row["recording_id"] == erased] == []


@pytest.mark.slow
def test_measures_are_those_of_who_is_left_and_the_ledger_still_sums(made: tuple[Lake, Path]) -> None:
    lake, _ = made
    erase_first_speaker(lake)
    with open_lake(lake.address) as reader:
        talk = reader.conversation(ERASED)
        status = reader.status()
        (shown,) = reader.sql(
            "SELECT num_utterances, num_speakers, speech_ms + non_speech_ms = duration_ms AS sums, recluster "
            "FROM results WHERE recording_id = $id",
            {"id": talk.recording["recording_id"]},
        ).to_pylist()
    assert talk.measures is not None
    assert talk.measures.num_utterances == 2
    assert talk.measures.talk_s == {"S2": 6.0}
    assert talk.num_erased_speakers == 1
    assert talk.gone == ()
    assert shown == {"num_utterances": 2, "num_speakers": 2, "sums": True, "recluster": '{"erased_speakers": 1}'}
    assert status.ledger.difference_s == 0.0


@pytest.mark.slow
def test_the_other_speaker_can_be_erased_too(made: tuple[Lake, Path]) -> None:
    lake, audio = made
    erase_first_speaker(lake)
    erase_speaker(lake, find_recordings(lake, [ERASED]), "S2", None)
    with open_lake(lake.address) as reader:
        talk = reader.conversation(ERASED)
    assert (talk.utterances, talk.num_erased_speakers) == ((), 2)
    assert plan_of(listing(audio), lake).is_empty


@pytest.mark.slow
def test_who_is_left_keeps_the_name_that_somebody_gave(made: tuple[Lake, Path]) -> None:
    lake, _ = made
    edit_speakers(lake, ERASED, Rename("S1", "Quokka"), "ann")
    edit_speakers(lake, ERASED, Rename("S2", "Bob"), "ann")
    erase_speaker(lake, find_recordings(lake, [ERASED]), "Quokka", None)
    left = speakers_of(lake, ERASED)
    assert [(one.speaker, one.name) for one in left.speakers] == [("S2", "Bob")]
    assert [(edit.speaker, edit.target, edit.author) for edit in left.edits] == [("S2", "Bob", "ann")]
    assert traces(lake.address, "Quokka") == []
    edit_speakers(lake, ERASED, Undo(), "ann")
    assert [(one.speaker, one.name) for one in speakers_of(lake, ERASED).speakers] == [("S2", None)]


@pytest.mark.slow
def test_hearings_that_nobody_looks_at_go_whole(made: tuple[Lake, Path]) -> None:
    lake, audio = made
    write(lake, listing(audio), newer("transcribe"))
    erase_first_speaker(lake)
    with open_lake(lake.address) as reader:
        recording = {"recording_id": reader.find_recording(ERASED)["recording_id"]}
        counted = reader.sql(
            "SELECT count(*) AS num FROM internal.results WHERE recording_id = $recording_id", recording
        ).to_pylist()
    assert counted == [{"num": 1}]
    assert [word for word in WORDS if traces(lake.address, word)] == []


@pytest.mark.slow
def test_it_is_not_heard_again_but_a_new_emotion_model_answers_for_who_is_left(made: tuple[Lake, Path]) -> None:
    lake, audio = made
    erase_first_speaker(lake)
    plan = plan_of(listing(audio), lake)
    assert (plan.is_empty, plan.num_done, plan.num_erased) == (True, 4, 0)
    plan = plan_of(listing(audio), lake, newer("transcribe"))
    assert (plan.todo.num_rows, plan.num_erased) == (2, 2)

    keys = newer("emotion")
    plan = plan_of(listing(audio), lake, keys)
    assert (plan.todo["restart"].to_pylist(), plan.num_erased) == (["emotion"] * 3, 0)
    (task,) = [one for one in plan.tasks(lake, plan.todo) if one.recording.uri.endswith("erased.wav")]
    assert task.known is not None
    assert [one.speaker for one in task.known.utterances] == ["S2", "S2"]


@pytest.mark.slow
def test_asked_for_the_recording_is_heard_anew_with_all_of_its_speakers(made: tuple[Lake, Path]) -> None:
    lake, audio = made
    before = said(lake)
    erase_first_speaker(lake)
    plan = plan_of(listing(audio), lake, erased=True)
    assert [uri.rpartition("/")[2] for uri in plan.todo["uri"].to_pylist()] == ["erased.wav"]
    _, ledger = work(lake, plan)
    assert (ledger.num_scored, ledger.difference_s) == (2, 0.0)
    assert [one[0] for one in said(lake)] == [one[0] for one in before]
    plan = plan_of(listing(audio), lake)
    assert (plan.is_empty, plan.num_done, plan.num_erased) == (True, 4, 0)


@pytest.mark.slow
def test_its_speakers_cannot_be_counted_again(made: tuple[Lake, Path]) -> None:
    lake, _ = made
    erase_first_speaker(lake)
    with pytest.raises(UsageError, match=r"a speaker of .* was erased"):
        recluster(lake, ERASED, Recluster(speakers=2))
    with pytest.raises(UsageError, match=r"a speaker of .* was erased"):
        recluster(lake, ERASED, Recluster())


@pytest.mark.slow
def test_a_name_that_nobody_has_is_refused_with_those_that_are_there(made: tuple[Lake, Path]) -> None:
    lake, audio = made
    with pytest.raises(UsageError, match=r"nobody is called 'S9' in these recordings; they have: S1, S2"):
        erase_speaker(lake, find_recordings(lake, [ERASED]), "S9", None)
    job(lake, [replace(one, corpus="other") for one in listing(audio)], newer("transcribe"))
    before = contents(lake.address)
    would = erase_speaker(lake, find_recordings(lake, [ERASED]), "S1", None, dry_run=True)
    assert would.num_recordings == 1
    assert contents(lake.address) == before


@pytest.mark.slow
def test_a_corpus_that_sees_other_speakers_in_the_same_sound_stops_it(made: tuple[Lake, Path]) -> None:
    lake, audio = made
    keys = newer("transcribe")
    plan = plan_of([replace(one, corpus="other") for one in listing(audio)], lake, keys)
    from mmer_ray.lake.writer import Writer
    from tests.lake.makers import a_run, taken

    with Writer(lake, a_run(keys), plan) as writer:
        for task in plan.tasks(lake, plan.todo):
            whole = answer(task, keys)
            named = tuple(replace(one, speaker=f"V{one.speaker}") for one in whole.utterances)
            turns = tuple(replace(one, speaker=f"V{one.speaker}") for one in whole.turns)
            writer.add(taken(replace(whole, utterances=named, turns=turns), keys=keys))
    with pytest.raises(UsageError, match="corpus other shows another hearing"):
        erase_first_speaker(lake)
    assert said(lake)[0][0] == "S1"
    assert KEYS.heard != keys.heard


@pytest.mark.slow
def test_what_the_file_was_before_it_changed_goes_whole(made: tuple[Lake, Path]) -> None:
    lake, audio = made
    old = audio_id((audio / ERASED).read_bytes())
    for name in (ERASED, "sub/erased-copy.wav"):
        (audio / name).write_bytes((audio / name).read_bytes() + b"more")
    write(lake, listing(audio))
    erase_first_speaker(lake)
    assert [one for one in (*WORDS, old) if traces(lake.address, one)] == []
    assert {one[0] for one in said(lake)} == {"S2"}


def test_what_people_said_of_who_is_left_stays_in_the_corpus_in_which_they_said_it(made: tuple[Lake, Path]) -> None:
    lake, audio = made
    write(lake, [replace(one, corpus="other") for one in listing(audio)])
    query = "FROM utterances WHERE corpus = 'other' AND speaker = 'S2' AND recording_id = $id LIMIT 1"
    with open_lake(lake.address) as reader:
        (row,) = reader.rows(query, {"id": reader.find_recording(ERASED)["recording_id"]})
    about = Judged("other", row["recording_id"], row["heard_key"], row["utterance_idx"])
    judge(lake, about, Judgement(text="what was said"), "ann")
    erase_first_speaker(lake)
    with open_lake(lake.address) as reader:
        kept = reader.rows("SELECT corpus, written_in, rater FROM annotations ORDER BY corpus", {})
    assert kept == [{"corpus": one, "written_in": "other", "rater": "ann"} for one in ("calls", "other")]

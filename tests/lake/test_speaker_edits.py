"""Speakers edited by people: what every reader sees of it, what jobs make of it, and that an undo leaves no trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.errors import LakeError, SourceError, UsageError
from mmer_ray.export.formats import export
from mmer_ray.lake.edited_speakers import SpeakerEdit, replayed
from mmer_ray.lake.heard_speakers import HeardSpeakers, Merge, Rename, Split, Spoken, Undo
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.recluster import Recluster, recluster
from mmer_ray.lake.speaker_edits import EditMade, Seen, edit_speakers, speakers_of
from mmer_ray.lake.store import Lake
from mmer_ray.records import Recording
from tests.lake.makers import (
    EVERY_TABLE,
    KEYS,
    audio_file,
    audio_id,
    contents,
    failed,
    job,
    listing,
    newer,
    plan_of,
    recording_at,
    work,
)
from tests.lake.recounts import recounted_lake

Scored = tuple[Lake, Recording]


@pytest.fixture
def scored(tmp_path: Path) -> Scored:
    """`talk`: the utterances 0 to 4 are S1, S2, S2, S2, S1."""
    return recounted_lake(tmp_path)


def edit(lake: Lake, *wanted: Rename | Merge | Split | Undo) -> EditMade:
    made = [edit_speakers(lake, "talk", one, "tester") for one in wanted]
    return made[-1]


def views(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """What readers see, but for the names of runs and commits, and for whether a commit held emotions too."""
    found = contents(lake.address)
    for row in found["calls"]:
        del row["has_emotions"]
    return found


def who(lake: Lake) -> list[str]:
    """The speaker of each utterance, as readers see them."""
    with open_lake(lake.address) as reader:
        return [one.speaker for one in reader.conversation("talk").utterances]


def rows(lake: Lake, query: str) -> list[dict[str, Any]]:
    with open_lake(lake.address) as reader:
        return reader.rows(query, {})


def test_a_name_stands_beside_the_id_and_is_what_people_are_shown(scored: Scored) -> None:
    lake, _ = scored
    made = edit(lake, Rename("S1", "Anna"))
    assert (made.edit.action, made.edit.author) == ("rename", "tester")
    assert who(lake) == ["S1", "S2", "S2", "S2", "S1"]
    named = rows(
        lake,
        "SELECT DISTINCT speaker, speaker_name FROM utterances UNION FROM (SELECT DISTINCT speaker, "
        "speaker_name FROM turns) ORDER BY speaker",
    )
    assert named == [{"speaker": "S1", "speaker_name": "Anna"}, {"speaker": "S2", "speaker_name": None}]
    (calls,) = rows(lake, "FROM calls")
    assert set(calls["talk_ms"]) == {"S1", "S2"}, "maps go by id"
    with open_lake(lake.address) as reader:
        found = reader.conversation("talk")
    for fmt in ("srt", "vtt", "rttm", "textgrid", "whisperx", "json"):
        text = export("talk.wav", found.utterances, fmt, found.turns, 32.0)
        assert "Anna" in text, fmt
        assert "S2" in text, fmt


def test_merged_speakers_are_one_everywhere(scored: Scored) -> None:
    lake, _ = scored
    made = edit(lake, Merge("S2", "S1"))
    assert [one.speaker for one in made.after.speakers] == ["S1"]
    assert who(lake) == ["S1"] * 5
    assert rows(lake, "SELECT DISTINCT speaker FROM turns") == [{"speaker": "S1"}]
    for view in ("results", "recordings"):
        assert rows(lake, f"SELECT num_speakers FROM {view}") == [{"num_speakers": 1}], view
    (calls,) = rows(lake, "FROM calls")
    assert set(calls["talk_ms"]) == set(calls["words_per_minute"]) == {"S1"}
    assert calls["interruptions"] == 0
    assert calls["longest_monologue_ms"] > 20_000, "nobody else starts in between"


def test_utterances_that_are_split_off_are_a_new_speaker_and_their_turns_follow(scored: Scored) -> None:
    lake, _ = scored
    before = contents(lake.address)
    made = edit(lake, Split("S2", (2, 3)))
    assert (made.edit.target, made.edit.utterances) == ("S3", (2, 3))
    assert who(lake) == ["S1", "S2", "S3", "S3", "S1"]
    after = contents(lake.address)
    assert [row["num_speakers"] for row in after["results"]] == [3]
    moved = [row for row in after["utterances"] if row["speaker"] == "S3"]
    kept = [row for row in after["utterances"] if row["speaker"] == "S2"]
    for old, turn in zip(before["turns"], after["turns"], strict=True):
        follows = old["speaker"] == "S2" and _shared_ms(turn, moved) > _shared_ms(turn, kept)
        assert turn["speaker"] == ("S3" if follows else old["speaker"])
    assert "S3" in {row["speaker"] for row in after["turns"]}


def _shared_ms(turn: dict[str, Any], utterances: list[dict[str, Any]]) -> int:
    return sum(
        max(0, min(turn["end_ms"], one["end_ms"]) - max(turn["start_ms"], one["start_ms"])) for one in utterances
    )


@pytest.mark.slow
def test_measures_are_those_of_the_edited_speakers_and_emotions_stay(scored: Scored) -> None:
    """A split and a merge give the measures of a conversation that was heard so."""
    lake, _ = scored
    before = contents(lake.address)
    edit(lake, Split("S2", (1,), "S7"), Merge("S7", "S1"))
    assert who(lake) == ["S1", "S1", "S2", "S2", "S1"]
    after = contents(lake.address)
    assert after["emotions"] == before["emotions"]
    assert after["words"] == before["words"]
    (calls,), talk = after["calls"], {}
    for row in after["utterances"]:
        talk[row["speaker"]] = talk.get(row["speaker"], 0) + row["end_ms"] - row["start_ms"]
    assert dict(calls["talk_ms"]) == talk
    same = (
        "num_utterances",
        "silence_ms",
        "valence_q1",
        "valence_q4",
        "worst_window_valence",
        "emotion_key",
        "link_key",
    )
    assert [calls[name] for name in same] == [before["calls"][0][name] for name in same]


ONE_OF_EACH = (Rename("S1", "Anna"), Split("S2", (1, 3), "S9"), Merge("S1", "S9"), Rename("S9", "Bea"))
ALONE = [(Rename("S1", "Anna"),), (Merge("S2", "S1"),), (Split("S2", (2,)),)]


@pytest.mark.parametrize("edits", [ONE_OF_EACH, *(pytest.param(one, marks=pytest.mark.slow) for one in ALONE)])
def test_undo_restores_every_view(scored: Scored, edits: tuple[Rename | Merge | Split, ...]) -> None:
    lake, _ = scored
    before = views(lake)
    states = []
    for one in edits:
        states.append(views(lake))
        edit(lake, one)
    for state in reversed(states):
        edit(lake, Undo())
        assert views(lake) == state
    assert views(lake) == before
    assert len(rows(lake, "FROM speaker_edits")) == 2 * len(edits), "nothing is deleted"
    with pytest.raises(UsageError, match="has no edit to be undone"):
        edit(lake, Undo())


@pytest.mark.slow
def test_an_earlier_edit_can_be_taken_back_unless_later_ones_rest_on_it(scored: Scored) -> None:
    lake, _ = scored
    named = edit(lake, Rename("S2", "Bea")).edit.edit_id
    parted = edit(lake, Split("S2", (1,))).edit.edit_id
    later = edit(lake, Rename("S3", "Cleo")).edit.edit_id
    edit(lake, Undo(named))
    assert [(one.speaker, one.name) for one in speakers_of(lake, "talk").speakers] == [
        ("S1", None), ("S2", None), ("S3", "Cleo")
    ]  # fmt: skip
    with pytest.raises(UsageError, match=f"undo {later} first"):
        edit(lake, Undo(parted))
    with pytest.raises(UsageError, match=f"{named!r} is no edit of .* that counts; these do: {parted}"):
        edit(lake, Undo(named))


REFUSED: list[tuple[Rename | Merge | Split | Undo, str]] = [
    (Rename("S9", "Anna"), r"'S9' is no speaker of .*talk\.wav; there are: S1 \(Anna\), S2"),
    (Merge("S2", "S3"), r"'S3' is no speaker"),
    (Merge("S2", "S2"), "cannot be merged with itself"),
    (Rename("S2", "Anna"), "another speaker of .* is called Anna"),
    (Rename("S2", "S1"), "another speaker of .* is called S1"),
    (Rename("S2", " \n "), "is no name"),
    (Rename("S2", "x\x1b[31m"), "is no name"),
    (Split("S2", (0, 1)), "S2 does not say the utterances 0 of"),
    (Split("S2", (99,)), "S2 does not say the utterances 99 of"),
    (Split("S2", ()), "none given"),
    (Split("S2", (1, 2, 3)), "all utterances of S2"),
    (Split("S2", (1,), "S1"), "S1 means a speaker"),
    (Split("S2", (1,), "a b"), "no id of a speaker"),
    (Undo("nonsense"), "'nonsense' is no edit of"),
]


@pytest.mark.slow
def test_an_edit_that_does_not_fit_is_refused_with_what_there_is(scored: Scored) -> None:
    lake, _ = scored
    edit(lake, Rename("S1", "Anna"))
    before = contents(lake.address)
    for wanted, why in REFUSED:
        with pytest.raises(UsageError, match=why):
            edit(lake, wanted)
    assert contents(lake.address) == before


@pytest.mark.slow
def test_a_merge_of_a_speaker_that_is_gone_is_refused(scored: Scored) -> None:
    lake, _ = scored
    edit(lake, Merge("S2", "S1"))
    with pytest.raises(UsageError, match=r"'S2' is no speaker of .*; there are: S1$"):
        edit(lake, Merge("S2", "S1"))


@pytest.mark.slow
def test_a_speaker_can_be_meant_by_its_name(scored: Scored) -> None:
    lake, _ = scored
    edit(lake, Rename("S2", "Bea"), Merge("Bea", "S1"))
    assert who(lake) == ["S1"] * 5


@pytest.mark.slow
def test_an_id_is_never_given_twice(scored: Scored) -> None:
    lake, _ = scored
    edit(lake, Merge("S2", "S1"))
    assert edit(lake, Split("S1", (1,))).edit.target == "S3"
    with pytest.raises(UsageError, match="S2 means a speaker"):
        edit(lake, Split("S1", (2,), "S2"))


@pytest.mark.slow
def test_what_cannot_be_edited_says_why(scored: Scored, tmp_path: Path) -> None:
    lake, _ = scored
    with pytest.raises(LakeError, match="is not a lake"):
        edit_speakers(Lake(tmp_path / "none"), "talk", Undo(), "tester")
    with pytest.raises(SourceError, match="no recording"):
        edit_speakers(lake, "nobody", Undo(), "tester")
    broken = recording_at(audio_file(tmp_path / "more", "broken.wav"), tmp_path / "more")
    code = failed(broken).failure
    assert code is not None
    job(lake, [broken], failing={"broken.wav": code.code})
    with pytest.raises(UsageError, match="so it has no speakers"):
        edit_speakers(lake, "broken", Undo(), "tester")


@pytest.mark.slow
def test_an_edit_waits_for_no_other_writer(scored: Scored) -> None:
    lake, _ = scored
    with Lake(lake.address).lock(), pytest.raises(LakeError):
        edit(lake, Merge("S2", "S1"))
    assert who(lake) == ["S1", "S2", "S2", "S2", "S1"]


@pytest.mark.slow
def test_no_job_has_anything_to_do_after_an_edit(scored: Scored) -> None:
    lake, recording = scored
    edit(lake, Merge("S2", "S1"))
    assert plan_of([recording], lake).is_empty


@pytest.mark.slow
def test_measures_that_a_job_makes_again_are_those_of_the_edited_speakers(scored: Scored) -> None:
    lake, recording = scored
    edit(lake, Merge("S2", "S1"))
    plan = plan_of([recording], lake, newer("link"))
    (task,) = plan.tasks(lake, plan.todo)
    assert task.known is not None
    assert {one.speaker for one in task.known.utterances} == {one.speaker for one in task.known.turns} == {"S1"}
    work(lake, plan)
    assert who(lake) == ["S1"] * 5


@pytest.mark.slow
def test_another_emotion_model_is_measured_with_the_edited_speakers_too(scored: Scored) -> None:
    lake, recording = scored
    work(lake, plan_of([recording], lake, newer("emotion")))
    edit(lake, Merge("S2", "S1"))
    measured = rows(
        lake,
        "SELECT scorer, talk_ms FROM internal.calls JOIN internal.felt USING (recording_id, "
        "heard_key, scorer) WHERE calls.commit_id = calls_commit ORDER BY scorer",
    )
    assert [(row["scorer"], set(row["talk_ms"])) for row in measured] == [("mmer-1", {"S1"}), ("mmer-2", {"S1"})]
    assert {row["scorer"] for row in rows(lake, "SELECT DISTINCT scorer FROM emotions")} == {"mmer-1", "mmer-2"}


@pytest.mark.slow
def test_edits_stay_with_their_hearing_and_come_back_with_it(scored: Scored) -> None:
    lake, _ = scored
    edit(lake, Merge("S2", "S1"), Rename("S1", "Anna"))
    edited = contents(lake.address)
    done = recluster(lake, "talk", Recluster(speakers=3))
    assert (done.num_edits_left, done.num_speakers_before) == (2, 1)
    assert who(lake) == ["S1", "S2", "S3", "S2", "S1"]
    assert speakers_of(lake, "talk").edits == ()
    assert {one.name for one in speakers_of(lake, "talk").speakers} == {None}
    assert recluster(lake, "talk", Recluster()).num_speakers == 1
    assert contents(lake.address) == edited


@pytest.mark.slow
def test_every_corpus_that_has_the_audio_sees_the_edits(scored: Scored) -> None:
    lake, recording = scored
    job(lake, [replace(recording, corpus="other")])
    edit_speakers(lake, recording.uri, Merge("S2", "S1"), "tester")
    seen = rows(lake, "SELECT DISTINCT corpus, speaker FROM utterances ORDER BY corpus")
    assert seen == [{"corpus": "calls", "speaker": "S1"}, {"corpus": "other", "speaker": "S1"}]


@pytest.mark.slow
def test_other_recordings_are_left_alone(scored: Scored, tmp_path: Path) -> None:
    lake, _ = scored
    audio_file(tmp_path / "more", "a.wav")
    job(lake, listing(tmp_path / "more"))
    query = (
        "FROM {} WHERE recording_id NOT IN (SELECT recording_id FROM recordings WHERE uri LIKE '%talk%') ORDER BY ALL"
    )
    before = {name: rows(lake, query.format(name)) for name in EVERY_TABLE}
    edit(lake, Merge("S2", "S1"), Rename("S1", "Anna"))
    assert {name: rows(lake, query.format(name)) for name in EVERY_TABLE} == before


@pytest.mark.slow
def test_what_was_heard_stays_as_it_was_written(scored: Scored) -> None:
    lake, _ = scored
    tables = ("results", "utterances", "turns")
    before = {name: {file.path: Path(file.path).read_bytes() for file in lake.files(name)} for name in tables}
    edit(lake, Split("S2", (1,)), Merge("S1", "S2"))
    after = {name: {file.path: Path(file.path).read_bytes() for file in lake.files(name)} for name in tables}
    assert after == before


@pytest.mark.slow
def test_a_lake_without_edits_joins_nothing(scored: Scored) -> None:
    lake, _ = scored
    assert rows(lake, "SELECT count(*) AS num FROM duckdb_tables() WHERE table_name = 'edited'") == [{"num": 0}]
    edit(lake, Rename("S1", "Anna"))
    assert rows(lake, "SELECT count(*) AS num FROM internal.edited") == [{"num": 1}]
    edit(lake, Undo())
    assert rows(lake, "SELECT count(*) AS num FROM duckdb_tables() WHERE table_name = 'edited'") == [{"num": 0}]


@pytest.mark.slow
def test_a_turn_follows_the_utterances_that_cover_most_of_it() -> None:
    """One long turn with three utterances, two of them split off, and a turn without words."""
    said = [Spoken(0, 0, "S1", 0, 1_000), Spoken(1, 0, "S1", 1_500, 2_000), Spoken(2, 0, "S1", 2_000, 2_400)]
    turns = [Spoken(0, 0, "S1", 0, 2_500), Spoken(1, 0, "S1", 5_000, 6_000), Spoken(2, 1, "S1", 1_500, 2_400)]
    heard = HeardSpeakers("r", "a.wav", "h", tuple(said), tuple(turns), ())
    assert heard.edit(Split("S1", (1, 2))).turns == (), "0.9 s go, 1.0 s stays; another channel has no such utterance"
    assert heard.edit(Split("S1", (0,))).turns == (0,)


@pytest.mark.slow
def test_replaying_follows_the_order_of_edits() -> None:
    edits = [
        SpeakerEdit("1", "split", "S1", "S3", (4,), (7,)),
        SpeakerEdit("2", "merge", "S3", "S2"),
        SpeakerEdit("3", "merge", "S2", "S1"),
        SpeakerEdit("4", "rename", "S1", "Anna"),
        SpeakerEdit("5", "undo", None, "3"),
    ]
    now = replayed(edits)
    assert [now.of_utterance(index, speaker) for index, speaker in ((0, "S1"), (4, "S1"), (5, "S2"))] == [
        "S1",
        "S2",
        "S2",
    ]
    assert (now.of_turn(7, "S1"), now.names, now.num_more) == ("S2", {"S1": "Anna"}, 0)


@pytest.mark.slow
def test_a_lake_of_version_1_can_be_edited(tmp_path: Path) -> None:
    import shutil

    fixture = Path(__file__).parent / "fixtures" / "lake_v1"
    lake = Lake(shutil.copytree(fixture, tmp_path / "lake"))
    before = views(lake)
    first = speakers_of(lake, "/calls/b.wav").speakers[0].speaker
    edit_speakers(lake, "/calls/b.wav", Rename(first, "Anna"), "tester")
    with open_lake(lake.address) as reader:
        assert "Anna" in {one.called for one in reader.conversation("/calls/b.wav").utterances}
    edit_speakers(lake, "/calls/b.wav", Undo(), "tester")
    assert views(lake) == before


def test_of_audio_that_two_corpora_heard_differently_the_named_corpus_is_edited(tmp_path: Path) -> None:
    lake, content = Lake(tmp_path / "lake"), b"the same bytes"
    for corpus, keys in (("calls", KEYS), ("copies", newer("transcribe"))):
        audio_file(tmp_path / corpus, "same.wav", content)
        job(lake, listing(tmp_path / corpus, corpus), keys)
    recording_id = audio_id(content)
    edit_speakers(lake, recording_id, Rename("S1", "Ann"), "tester", corpus="copies")
    query = "SELECT corpus, bool_or(speaker_name = 'Ann') AS is_named FROM utterances GROUP BY corpus ORDER BY corpus"
    with open_lake(lake.address) as reader:
        named = {row["corpus"]: bool(row["is_named"]) for row in reader.rows(query, {})}
    assert named == {"calls": False, "copies": True}
    with pytest.raises(SourceError, match="no recording in corpus 'other'"):
        edit_speakers(lake, recording_id, Rename("S1", "Ben"), "tester", corpus="other")


def test_who_may_not_see_all_corpora_of_a_hearing_does_not_edit_it(tmp_path: Path) -> None:
    lake, content = Lake(tmp_path / "lake"), b"the same bytes"
    for corpus in ("calls", "copies"):
        audio_file(tmp_path / corpus, "same.wav", content)
        job(lake, listing(tmp_path / corpus, corpus))
    recording_id = audio_id(content)
    ((heard,),) = [one.values() for one in rows(lake, "SELECT DISTINCT heard_key FROM recordings")]
    with pytest.raises(UsageError, match="also in a corpus that you may not see"):
        edit_speakers(lake, recording_id, Rename("S1", "Ann"), "ann", seen=Seen("calls", heard, ("calls",)))
    assert rows(lake, "FROM speaker_edits") == []
    for number, corpora in enumerate((("calls", "copies"), None)):
        edit_speakers(lake, recording_id, Rename("S1", f"Ann {number}"), "ann", seen=Seen("calls", heard, corpora))


def test_an_edit_of_a_hearing_that_is_shown_no_longer_is_refused(tmp_path: Path) -> None:
    lake, path = Lake(tmp_path / "lake"), audio_file(tmp_path / "audio", "talk.wav")
    job(lake, listing(tmp_path / "audio"))
    ((heard,),) = [one.values() for one in rows(lake, "SELECT DISTINCT heard_key FROM recordings")]
    job(lake, listing(tmp_path / "audio"), newer("transcribe"))
    with pytest.raises(UsageError, match=r"shows another hearing in corpus 'calls' by now.*open it again"):
        edit_speakers(lake, path.name, Rename("S1", "Ann"), "ann", seen=Seen("calls", heard, None))
    assert rows(lake, "FROM speaker_edits") == []

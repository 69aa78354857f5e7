"""What a rescore asks, of a lake of several profiles, copies, counts of speakers and versions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.errors import ErrorCode, UsageError
from mmer_ray.lake.activation import activate
from mmer_ray.lake.erasure import erase_speaker, find_recordings
from mmer_ray.lake.hearings import ERASED
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.recluster import Recluster, recluster
from mmer_ray.lake.rescoring import OF_VERSION_1, OTHER_DECODER, UNREADABLE, Rescoring, plan_rescore
from mmer_ray.lake.retention import Policy, retain
from mmer_ray.lake.run import begin_run
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.profiles import Profile, load_profile
from mmer_ray.sources.present import GONE, RESIZED
from mmer_ray.stages.keys import keys_of
from mmer_ray.transcripts.mark import GivenMark, with_mark
from tests.lake.makers import audio_file, contents, listing, plan_of, recording_at, scored, taken
from tests.lake.recounts import talk
from tests.lake.rescores import PROFILE, WIDE, do, rescore, score
from tests.lake.test_version_1 import FIXTURE
from tests.runners.tiny_lakes import another_model, files_of, rows

KEYS = keys_of(PROFILE)
UNTOUCHED = ("recordings", "results", "utterances", "words", "turns", "pieces", "active_scorers")


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.wav", "c.wav"):
        audio_file(tmp_path / "audio", name)
    return tmp_path / "audio"


@pytest.fixture
def lake(tmp_path: Path, audio: Path) -> Lake:
    """Three recordings, scored."""
    lake = Lake(tmp_path / "lake")
    score(lake, listing(audio))
    return lake


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(another_model(tmp_path))


def with_model(profile: Profile, model: str) -> Profile:
    return profile.model_copy(update={"emotion": profile.emotion.model_copy(update={"model": model})})


def seen(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """What readers see, but for the length that a file was expected to have: it is known once the file was heard."""
    found = contents(lake.address)
    return found | {"recordings": [{**row, "expected_ms": None} for row in found["recordings"]]}


def uris(recordings: list[dict[str, str]]) -> list[str]:
    return sorted(Path(row["uri"]).name for row in recordings)


def test_another_models_answers_lie_beside_the_others_and_no_other_table_gets_a_byte(lake: Lake, model: str) -> None:
    before, files = contents(lake.address), files_of(Path(lake.address))
    planned = rescore(lake, Rescoring(emotion=model))
    assert [portion.plan.todo["restart"].to_pylist() for portion in planned.portions] == [["emotion"] * 3]
    after = contents(lake.address)
    assert {name: after[name] for name in UNTOUCHED if name in after} == {
        name: before[name] for name in UNTOUCHED if name in before
    }
    assert len(after["emotions"]) == 2 * len(before["emotions"])
    assert [row for row in after["emotions"] if row["scorer"] == KEYS.scorer] == before["emotions"]
    now = files_of(Path(lake.address))
    tables = {name.split("/")[0] for name in now if now[name] != files.get(name)}
    assert tables == {"emotions", "calls", "runs", "commits", "checksums"}
    assert all(now[name] == content for name, content in files.items()), "what was written stays as it was"


def test_a_model_that_has_answered_has_nothing_to_do_unless_its_stage_is_named(lake: Lake, model: str) -> None:
    rescore(lake, Rescoring(emotion=model))
    known = plan_rescore(lake, Rescoring(emotion=model))
    assert (known.portions, known.num_done) == ((), 3)
    (scorer,) = known.scorers
    assert known.inactive == (("calls", scorer),)
    forced = plan_rescore(lake, Rescoring(emotion=model, stage="emotion"))
    assert forced.portions[0].plan.todo["restart"].to_pylist() == ["emotion"] * 3
    activate(lake, scorer)
    assert plan_rescore(lake, Rescoring(emotion=model)).inactive == ()


@pytest.mark.slow
def test_hearings_of_several_profiles_are_asked_under_their_own_keys(lake: Lake, tmp_path: Path, model: str) -> None:
    other = recording_at(audio_file(tmp_path / "more", "d.wav"), tmp_path / "more", corpus="more")
    score(lake, [other], WIDE)
    planned = rescore(lake, Rescoring(emotion=model))
    heard = {portion.plan.keys.heard: portion.profile.diarize.max_speakers for portion in planned.portions}
    assert heard == {KEYS.heard: 20, keys_of(WIDE).heard: 19}
    for profile, recordings in ((PROFILE, listing(tmp_path / "audio")), (WIDE, [other])):
        again = plan_of(recordings, lake, keys_of(with_model(profile, model)))
        assert again.num_done == len(recordings), "a job with that profile and model has nothing to do"
    felt = f"(SELECT DISTINCT recording_id, corpus FROM emotions WHERE scorer = '{planned.scorers[0]}')"
    asked = rows(Path(lake.address), f"SELECT uri FROM recordings JOIN {felt} USING (recording_id, corpus)")
    assert uris(asked) == ["a.wav", "b.wav", "c.wav", "d.wav"]


@pytest.mark.slow
def test_a_recording_whose_speakers_were_counted_again_keeps_that_count(tmp_path: Path, model: str) -> None:
    recording = recording_at(audio_file(tmp_path / "audio", "talk.wav"), tmp_path / "audio")
    lake = Lake(tmp_path / "lake")
    with Writer(lake, begin_run(PROFILE, KEYS), plan_of([recording], lake, KEYS)) as writer:
        writer.add(taken(talk(recording, KEYS), keys=KEYS))
    counted = recluster(lake, "talk", Recluster(speakers=3))
    planned = plan_rescore(lake, Rescoring(emotion=model))
    ((portion),) = planned.portions
    assert portion.plan.todo["heard_key"].to_pylist() == [counted.heard_key]
    (task,) = portion.plan.tasks(lake, portion.plan.todo)
    assert task.known is not None
    assert {one.speaker for one in task.known.utterances} == {"S1", "S2", "S3"}
    assert all(one.emotions == () for one in task.known.utterances)
    again = plan_rescore(lake, Rescoring(stage="decode"))
    assert again.portions[0].plan.num_recounted == 1
    assert again.portions[0].plan.todo["heard_key"].to_pylist() == [KEYS.heard]


@pytest.mark.slow
def test_audio_that_several_files_have_is_asked_once_and_of_a_file_that_is_there(
    lake: Lake, audio: Path, tmp_path: Path, model: str
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    shutil.copy(audio / "a.wav", copies / "z.wav")
    score(lake, listing(copies, "elsewhere"))
    (audio / "a.wav").unlink()
    (audio / "b.wav").unlink()
    planned = rescore(lake, Rescoring(emotion=model))
    assert uris(planned.portions[0].plan.todo.to_pylist()) == ["c.wav", "z.wav"]
    assert [(Path(one.uri).name, one.reason) for one in planned.left] == [("b.wav", GONE)]
    seen = rows(Path(lake.address), f"SELECT DISTINCT corpus FROM emotions WHERE scorer = '{planned.scorers[0]}'")
    assert sorted(row["corpus"] for row in seen) == ["calls", "elsewhere"]


@pytest.mark.slow
def test_a_file_of_another_size_is_not_asked(lake: Lake, audio: Path, model: str) -> None:
    with (audio / "b.wav").open("ab") as file:
        file.write(b"more")
    planned = plan_rescore(lake, Rescoring(emotion=model))
    assert [(Path(one.uri).name, one.reason) for one in planned.left] == [("b.wav", RESIZED)]
    assert plan_rescore(lake, Rescoring(stage="link")).left == (), "measures need no file"


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [Rescoring(stage="emotion"), Rescoring(stage="decode")], ids=["emotion", "decode"])
def test_a_recording_that_cannot_be_asked_keeps_its_answers_and_the_ledger_sums(wanted: Rescoring, lake: Lake) -> None:
    before = seen(lake)
    (portion,) = plan_rescore(lake, wanted).portions
    ledger = do(lake, portion.plan, portion.profile, failing={"b.wav": ErrorCode.DECODE_ERROR})
    assert (ledger.num_planned, ledger.num_scored, ledger.num_failed, ledger.num_kept) == (3, 2, 0, 1)
    assert seen(lake) == before
    (run,) = rows(Path(lake.address), "FROM runs ORDER BY started_at DESC LIMIT 1")
    assert (run["status"], run["num_planned"], run["num_unreached"]) == ("finished", 3, 1)


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [Rescoring(stage="emotion"), Rescoring(stage="decode")], ids=["emotion", "decode"])
def test_other_bytes_under_an_unchanged_size_give_no_answer(wanted: Rescoring, lake: Lake) -> None:
    before = seen(lake)
    (portion,) = plan_rescore(lake, wanted).portions
    ledger = do(lake, portion.plan, portion.profile, replaced=("b.wav",))
    assert (ledger.num_scored, ledger.num_kept) == (2, 1)
    assert seen(lake) == before


@pytest.mark.slow
def test_hearing_again_under_equal_keys_writes_everything_once_more_and_shows_the_same(lake: Lake) -> None:
    before, count = seen(lake), "SELECT count(*) AS num FROM internal.utterances"
    (written,) = rows(Path(lake.address), count)
    rescore(lake, Rescoring(stage="transcribe"))
    assert seen(lake) == before
    assert rows(Path(lake.address), count) == [{"num": 2 * written["num"]}]


@pytest.mark.slow
def test_hearing_again_with_another_profile_moves_every_file_of_the_audio(
    lake: Lake, audio: Path, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    shutil.copy(audio / "a.wav", copies / "z.wav")
    score(lake, listing(copies, "elsewhere"))
    planned = plan_rescore(lake, Rescoring(stage="decode", profile=WIDE))
    (portion,) = planned.portions
    assert (portion.plan.todo.num_rows, portion.plan.num_copies) == (3, 1)
    ledger = do(lake, portion.plan, portion.profile, failing={"a.wav": ErrorCode.DECODE_ERROR})
    assert (ledger.num_planned, ledger.num_scored, ledger.num_kept) == (4, 2, 2)
    heard = {Path(row["uri"]).name: row["heard_key"] for row in contents(lake.address)["recordings"]}
    wide = keys_of(WIDE).heard
    assert heard == {"a.wav": KEYS.heard, "z.wav": KEYS.heard, "b.wav": wide, "c.wav": wide}
    rescore(lake, Rescoring(stage="decode", profile=WIDE, where="heard_key <> '" + wide + "'"))
    assert {row["heard_key"] for row in contents(lake.address)["recordings"]} == {wide}
    assert {row["status"] for row in contents(lake.address)["recordings"]} == {"scored"}


@pytest.mark.slow
def test_measures_are_made_again_of_every_scorers_emotions(lake: Lake, model: str) -> None:
    (scorer,) = rescore(lake, Rescoring(emotion=model)).scorers
    before = contents(lake.address)
    planned = rescore(lake, Rescoring(stage="link", settings=('link.channel_roles=["agent", "customer"]',)))
    assert sorted(planned.scorers) == sorted([KEYS.scorer, scorer])
    after = contents(lake.address)
    assert after["emotions"] == before["emotions"]
    assert {tuple(row["channel_roles"]) for row in after["calls"]} == {("agent", "customer")}
    assert {row["role"] for row in after["utterances"]} <= {"agent", "customer"}
    # A new emotion answer keeps the roles that are shown.
    again = plan_rescore(lake, Rescoring(stage="emotion"))
    assert {portion.plan.keys.channel_roles for portion in again.portions} == {("agent", "customer")}


@pytest.mark.slow
def test_scope_is_a_corpus_a_condition_and_a_number(lake: Lake, tmp_path: Path, model: str) -> None:
    score(lake, [recording_at(audio_file(tmp_path / "more", "d.wav"), tmp_path / "more", corpus="more")])

    def asked(wanted: Rescoring) -> list[str]:
        return uris([row for portion in plan_rescore(lake, wanted).portions for row in portion.plan.todo.to_pylist()])

    assert asked(Rescoring(emotion=model, corpus="more")) == ["d.wav"]
    assert asked(Rescoring(emotion=model, where="ends_with(uri, '/b.wav') OR corpus = 'more'")) == ["b.wav", "d.wav"]
    assert len(asked(Rescoring(emotion=model, limit=2))) == 2
    with pytest.raises(UsageError, match="no corpus is called 'mor'; the lake has: calls, more"):
        asked(Rescoring(emotion=model, corpus="mor"))
    for bad in ("no_column = 1", "true) UNION SELECT", "1; DROP TABLE commits"):
        with pytest.raises(UsageError, match="is no condition over the view recordings"):
            asked(Rescoring(emotion=model, where=bad))


@pytest.mark.slow
def test_rows_of_version_1_are_left_alone_and_say_how_they_are_heard_again(tmp_path: Path, model: str) -> None:
    lake = Lake(shutil.copytree(FIXTURE, tmp_path / "lake"))
    planned = plan_rescore(lake, Rescoring(emotion=model))
    assert planned.portions == ()
    assert {one.reason for one in planned.left} == {OF_VERSION_1}
    assert {one.reason for one in plan_rescore(lake, Rescoring(stage="decode", profile=PROFILE)).left} == {GONE}


def test_what_has_lost_a_speaker_is_felt_again_but_never_heard_again(lake: Lake, model: str) -> None:
    said = "SELECT uri, speaker, text FROM utterances JOIN recordings USING (corpus, recording_id) ORDER BY ALL"
    erase_speaker(lake, find_recordings(lake, ["b.wav"]), "S1", None)
    left = rows(Path(lake.address), said)
    assert not [row for row in left if row["uri"].endswith("b.wav") and row["speaker"] == "S1"]
    feels = rescore(lake, Rescoring(emotion=model))
    assert (feels.left, [portion.plan.todo.num_rows for portion in feels.portions]) == ((), [3])
    assert rescore(lake, Rescoring(emotion=model)).portions == ()
    hears = rescore(lake, Rescoring(stage="decode"))
    assert [(Path(one.uri).name, one.reason) for one in hears.left] == [("b.wav", ERASED)]
    assert [portion.plan.todo.num_rows for portion in hears.portions] == [2]
    assert rows(Path(lake.address), said) == left


@pytest.mark.slow
def test_what_has_lost_rows_by_its_age_is_left_alone(lake: Lake, model: str) -> None:
    retain(lake, Policy(default={"words": 1}), today=date(2030, 1, 1))
    for wanted in (Rescoring(emotion=model), Rescoring(stage="link"), Rescoring(stage="decode")):
        planned = plan_rescore(lake, wanted)
        assert ([one.reason for one in planned.left], planned.portions) == ([ERASED] * 3, ())


@pytest.mark.slow
def test_what_another_decoder_or_other_options_made_is_left_alone(tmp_path: Path, audio: Path, model: str) -> None:
    old, strange = Lake(tmp_path / "old"), Lake(tmp_path / "strange")
    keys = replace(KEYS, decode="before", join="joined")
    with Writer(old, begin_run(PROFILE, keys), plan_of(listing(audio), old, keys)) as writer:
        writer.add(taken(*[scored(one, keys=keys) for one in listing(audio)], keys=keys))
    assert {one.reason for one in plan_rescore(old, Rescoring(emotion=model)).left} == {OTHER_DECODER}
    run = replace(begin_run(PROFILE, KEYS), options='{"name": "x", "later": {"key": 1}}')
    with Writer(strange, run, plan_of(listing(audio), strange, KEYS)) as writer:
        writer.add(taken(*[scored(one, keys=KEYS) for one in listing(audio)], keys=KEYS))
    assert {one.reason for one in plan_rescore(strange, Rescoring(emotion=model)).left} == {UNREADABLE}


@pytest.mark.slow
def test_given_words_are_never_replaced_by_those_of_a_model(tmp_path: Path, audio: Path, model: str) -> None:
    lake, mark = Lake(tmp_path / "given"), GivenMark(True, False, "ab" * 16)
    given = [replace(one, modified=with_mark(one.modified, mark)) for one in listing(audio)]
    score(lake, given)
    assert {one.reason for one in plan_rescore(lake, Rescoring(stage="decode")).left} == {
        "its words or turns were given: `mmer score --transcripts` scores it again"
    }
    (portion,) = plan_rescore(lake, Rescoring(emotion=model)).portions
    assert portion.plan.todo.num_rows == 3


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({}, "name an emotion model"),
        ({"stage": "feel"}, "no stage is called so; stages are: decode, diarize"),
        ({"stage": "link", "emotion": "m"}, "leave --emotion out"),
        ({"emotion": "m", "profile": PROFILE}, "--profile hears recordings again"),
        ({"emotion": "m", "settings": ("transcribe.beam_width=2",)}, "that stage is not done again; --from transcribe"),
        ({"stage": "link", "settings": ("emotion.batch_s=9",)}, "that stage is not done again; --from emotion"),
    ],
)
def test_what_does_not_go_together_is_refused(wanted: dict[str, object], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        Rescoring(**wanted)  # type: ignore[arg-type]


@pytest.mark.slow
def test_settings_change_what_is_done_again(lake: Lake) -> None:
    (portion,) = plan_rescore(
        lake, Rescoring(stage="emotion", settings=("emotion.batch_s=9", "run.batch_s=77"))
    ).portions
    assert (portion.profile.emotion.batch_s, portion.profile.run.batch_s) == (9, 77)
    (portion,) = plan_rescore(lake, Rescoring(stage="diarize", settings=("diarize.max_speakers=19",))).portions
    assert portion.plan.keys == keys_of(load_profile("synthetic", ["diarize.max_speakers=19"]))
    assert portion.plan.todo["restart"].to_pylist() == ["decode"] * 3


@pytest.mark.slow
def test_a_plan_writes_nothing(lake: Lake, model: str) -> None:
    before = files_of(Path(lake.address))
    plan_rescore(lake, Rescoring(emotion=model))
    assert files_of(Path(lake.address)) == before
    with open_lake(lake.address) as reader:
        assert reader.status().ledger.num_scored == 3


@pytest.mark.slow
def test_a_setting_that_no_profile_has_is_refused_by_its_name(lake: Lake) -> None:
    with pytest.raises(UsageError, match=r"unknown key 'emotion\.batch'"):
        plan_rescore(lake, Rescoring(stage="emotion", settings=("emotion.batch=9",)))

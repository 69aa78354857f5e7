"""What has reached its age goes, what has not stays, and nothing of it is scored again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.retention import Policy, age_in_days, read_policy, retain
from mmer_ray.lake.store import Lake
from mmer_ray.records import Recording
from tests.lake.makers import EVERY_TABLE, audio_id, contents, listing, newer, plan_of, recording_at, work
from tests.lake.removals import ERASED, WORDS, canary_lake, traces, write

TODAY = date(2026, 11, 25)
"""The recordings are of 2026-11-20."""


def aged(recordings: list[Recording], day: str = "2026-01-01") -> list[Recording]:
    """The canary recording and its copy are of that day, the others as they are."""
    return [replace(one, day=day) if "erased" in Path(one.uri).name else one for one in recordings]


@pytest.fixture
def made(tmp_path: Path) -> tuple[Lake, list[Recording]]:
    """A lake in which the canary recording is old, and its listing."""
    canary_lake(tmp_path / "other")
    recordings = aged(listing(tmp_path / "other" / "audio"))
    lake = Lake(tmp_path / "lake")
    write(lake, recordings)
    return lake, recordings


def names(lake: Lake) -> list[str]:
    with open_lake(lake.address) as reader:
        found = reader.sql("SELECT parse_filename(uri) AS name FROM recordings ORDER BY ALL").to_pylist()
    return [row["name"] for row in found]


def test_recordings_that_reached_their_age_go_to_the_byte_and_are_not_scored_again(
    made: tuple[Lake, list[Recording]],
) -> None:
    lake, recordings = made
    done = retain(lake, Policy(default={"recordings": 90}), today=TODAY)
    assert (done.num_recordings, done.num_files) == (1, 2)
    assert names(lake) == ["a.wav", "z.wav"]
    erased = audio_id(Path(next(one.uri for one in recordings if "erased" in Path(one.uri).name)).read_bytes())
    assert [one for one in (*WORDS, ERASED, erased) if traces(lake.address, one)] == []
    plan = plan_of(recordings, lake)
    assert (plan.is_empty, plan.num_erased, plan.num_done) == (True, 2, 2)
    assert retain(lake, Policy(default={"recordings": 90}), today=TODAY).commit_id is None


@pytest.mark.slow
def test_another_file_in_its_place_is_scored_and_asked_for_so_is_the_same(made: tuple[Lake, list[Recording]]) -> None:
    lake, recordings = made
    retain(lake, Policy(default={"recordings": 90}), today=TODAY)
    (old,) = [one for one in recordings if one.uri.endswith("/erased.wav")]
    Path(old.uri).write_bytes(b"another call, put where the old one was")
    new = replace(recording_at(Path(old.uri), Path(old.root)), day="2026-11-25")
    assert plan_of([new], lake).todo["uri"].to_pylist() == [old.uri]
    copy = [one for one in recordings if one.uri.endswith("erased-copy.wav")]
    assert plan_of(copy, lake).num_erased == 1
    _, ledger = work(lake, plan_of(copy, lake, erased=True))
    assert ledger.num_scored == 1
    assert plan_of(copy, lake).num_done == 1


@pytest.mark.slow
def test_a_tables_age_takes_its_rows_alone_and_nothing_is_scored_again(made: tuple[Lake, list[Recording]]) -> None:
    lake, recordings = made
    before = contents(lake.address)
    done = retain(lake, Policy(default={"words": 90, "emotions": 90}), today=TODAY)
    assert set(done.num_rows) == {"words", "emotions"}
    after = contents(lake.address)
    for name in EVERY_TABLE:
        old = [row for row in before[name] if name not in ("words", "emotions") or row["day"] > date(2026, 2, 1)]
        assert after[name] == old
    assert plan_of(recordings, lake).num_done == 4
    for stage in ("link", "emotion", "transcribe"):
        plan = plan_of(recordings, lake, newer(stage))
        assert (plan.todo.num_rows, plan.num_erased) == (2, 2)


@pytest.mark.slow
def test_a_recording_says_what_is_gone(made: tuple[Lake, list[Recording]]) -> None:
    lake, _ = made
    retain(lake, Policy(default={"words": 90, "emotions": 90, "turns": 90}), today=TODAY)
    with open_lake(lake.address) as reader:
        old, new = reader.conversation(ERASED), reader.conversation("a.wav")
    assert (old.gone, new.gone) == (("words", "turns", "emotions"), ())
    assert old.utterances[0].text == " ".join(WORDS)
    retain(lake, Policy(default={"utterances": 90}), today=TODAY)
    with open_lake(lake.address) as reader:
        assert reader.conversation(ERASED).gone == ("utterances", "words", "turns")
        assert reader.status().ledger.difference_s == 0.0
    assert [word for word in WORDS if traces(lake.address, word)] == []


@pytest.mark.slow
def test_each_corpus_has_its_ages_and_shared_audio_stays_as_long_as_one_keeps_it(
    made: tuple[Lake, list[Recording]],
) -> None:
    lake, recordings = made
    write(lake, [replace(one, corpus="study") for one in recordings])
    policy = Policy(default={"recordings": 90}, corpora={"study": {"words": 400}})
    done = retain(lake, policy, today=TODAY)
    assert set(done.num_rows) == {"recordings"}
    with open_lake(lake.address) as reader:
        left = reader.sql(
            "SELECT corpus, count(*) AS files, corpus IN (SELECT corpus FROM words) AS words "
            "FROM recordings GROUP BY corpus ORDER BY corpus"
        ).to_pylist()
    assert left == [{"corpus": "calls", "files": 2, "words": True}, {"corpus": "study", "files": 4, "words": True}]
    assert plan_of(recordings, lake).num_erased == 2
    assert plan_of([replace(one, corpus="study") for one in recordings], lake).num_done == 4
    retain(lake, Policy(corpora={"study": {"recordings": 90}}), today=TODAY)
    assert [word for word in WORDS if traces(lake.address, word)] == []


@pytest.mark.slow
def test_an_age_is_counted_in_days_of_the_recording(made: tuple[Lake, list[Recording]]) -> None:
    lake, _ = made
    days = (TODAY - date(2026, 1, 1)).days
    assert retain(lake, Policy(default={"recordings": days}), today=TODAY, dry_run=True).num_files == 0
    assert retain(lake, Policy(default={"recordings": days - 1}), today=TODAY, dry_run=True).num_files == 2
    assert len(names(lake)) == 4


def test_a_policy_is_read_and_what_is_no_rule_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[default]\nrecordings = "730d"\n[corpus.calls]\nwords = "90d"\nemotions = "365d"\n')
    assert read_policy(path) == Policy({"recordings": 730}, {"calls": {"words": 90, "emotions": 365}})
    for text, why in [
        ('[corpus.calls]\nwords = "3 months"', "is no age"),
        ('[corpus.calls]\nresults = "9d"', "goes with recordings"),
        ('[corpus.calls]\nwrods = "9d"', "there is no table 'wrods'"),
        ('[corpora.calls]\nwords = "9d"', r"it may have \[default\]"),
        ("", "has no rule"),
        ("words", "cannot be read"),
        ('corpus = "calls"', "has no rule"),
        ("[corpus]\ncalls = 9", "give tables and ages"),
    ]:
        path.write_text(text)
        with pytest.raises(UsageError, match=why):
            read_policy(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_policy(tmp_path / "none.toml")
    assert age_in_days("90d", "--older-than") == 90
    with pytest.raises(UsageError, match="--older-than: '90' is no age"):
        age_in_days("90", "--older-than")

"""Erasing recordings: not a byte is left, others are untouched, and a kill changes nothing about it."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmer_ray.errors import LakeError, SourceError, UsageError
from mmer_ray.failpoint import EXIT_STATUS
from mmer_ray.lake.erasure import erase_recordings, find_recordings
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.removal import INTENT_NAME, WITH_AUDIO
from mmer_ray.lake.store import Lake
from mmer_ray.tables import DATA_TABLES, DERIVED_TABLES, SCHEMAS
from tests.lake.makers import (
    EVERY_TABLE,
    a_run,
    audio_file,
    audio_id,
    contents,
    job,
    listing,
    newer,
    plan_of,
)
from tests.lake.removals import (
    ERASED,
    ERASURES,
    WORDS,
    canary_lake,
    erase_and_die,
    erase_one,
    rows_of_others,
    traces,
    write,
)
from tests.slow import slow_but

DRILLS = [
    *(
        ("recording", point)
        for point in (
            "before_removal",
            "after_intent",
            "before_append_commits",
            "after_append_commits",
            "after_rewrite_commits",
            "after_rewrite_utterances",
            "before_forget_recordings",
            "after_checkpoint_words",
            "before_removal_end",
        )
    ),
    *(
        ("speaker", point)
        for point in ("after_append_utterances", "after_append_erasures", "after_append_commits", "after_rewrite_words")
    ),
]
SOONEST = [("recording", "after_rewrite_commits")]
"""Where every run of the tests dies; the others are slow ones."""
"""What is erased, and where it is killed."""
LOOKS = (
    *(f"after_append_{name}" for name in ("erasures", "commits")),
    *(f"after_rewrite_{name}" for name in ("commits", "recordings", "words")),
    *(f"after_forget_{name}" for name in ("recordings", "words", "commits")),
)
"""Where somebody opens the lake while an erasure goes on."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A lake that is copied and never changed."""
    lake, canaries = canary_lake(tmp_path_factory.mktemp("canary"))
    return Path(lake.address), canaries


@pytest.fixture(scope="module")
def undisturbed(
    made: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """What a reader sees after each erasure that nothing interrupts."""
    found = {}
    for what, erase in ERASURES.items():
        address = tmp_path_factory.mktemp("undisturbed") / "lake"
        shutil.copytree(made[0], address)
        erase(Lake(address))
        found[what] = contents(address)
    return found


@pytest.fixture
def lake(made: tuple[Path, list[str]], tmp_path: Path) -> Lake:
    """A copy of it."""
    shutil.copytree(made[0], tmp_path / "lake")
    return Lake(tmp_path / "lake")


@pytest.fixture
def canaries(made: tuple[Path, list[str]]) -> list[str]:
    return made[1]


@pytest.fixture
def audio(made: tuple[Path, list[str]]) -> Path:
    return made[0].parent / "audio"


@pytest.fixture(scope="module")
def drill() -> multiprocessing.context.ForkServerContext:
    """Processes that have the lake's modules already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.lake.removals"])
    return context


def the_others(lake: Lake, audio: Path) -> dict[str, list[dict[str, Any]]]:
    return rows_of_others(lake.address, audio_id((audio / ERASED).read_bytes()))


def left(address: str | Path, canaries: list[str]) -> dict[str, list[str]]:
    """Canary -> the files that it is found in, those found nowhere left out."""
    found = {one: traces(address, one) for one in canaries}
    return {one: files for one, files in found.items() if files}


def test_not_a_byte_of_an_erased_recording_is_left_and_the_others_are_as_they_were(
    lake: Lake, canaries: list[str], audio: Path
) -> None:
    assert set(left(lake.address, canaries)) == set(canaries)
    before = the_others(lake, audio)
    done = erase_recordings(lake, find_recordings(lake, [ERASED]), "asked for")
    assert (done.num_recordings, done.num_files) == (1, 2)
    assert set(done.num_rows) == set(EVERY_TABLE)
    assert left(lake.address, canaries) == {}
    assert the_others(lake, audio) == before
    with open_lake(lake.address) as reader:
        assert reader.sql("SELECT DISTINCT parse_filename(uri) AS name FROM recordings ORDER BY ALL").to_pylist() == [
            {"name": "a.wav"},
            {"name": "z.wav"},
        ]
        assert reader.sql("SELECT scope, reason, count(*) AS num FROM erasures GROUP BY ALL").to_pylist() == [
            {"scope": "recording", "reason": "asked for", "num": 2}
        ]


@pytest.mark.slow
def test_every_hearing_every_scorer_and_every_corpus_goes(lake: Lake, canaries: list[str], audio: Path) -> None:
    files = listing(audio)
    write(lake, files, newer("transcribe"))
    write(lake, files, newer("emotion"))
    write(lake, [replace(one, corpus="other") for one in files])
    before = the_others(lake, audio)
    done = erase_recordings(lake, find_recordings(lake, where="ends_with(uri, 'erased-copy.wav') -- the copy"), None)
    assert (done.num_recordings, done.num_files) == (1, 4)
    assert left(lake.address, canaries) == {}
    assert the_others(lake, audio) == before


@pytest.mark.slow
def test_rows_of_commits_that_were_cut_short_go_too(
    lake: Lake, canaries: list[str], audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Lake.append

    def torn(self: Lake, name: str, *arguments: Any) -> bool:
        if name == "commits":
            raise KeyboardInterrupt
        return append(self, name, *arguments)

    monkeypatch.setattr(Lake, "append", torn)
    with pytest.raises(KeyboardInterrupt):
        write(lake, listing(audio), newer("transcribe"))
    monkeypatch.undo()
    erase_one(lake)
    assert left(lake.address, canaries) == {}


@pytest.mark.slow
def test_what_a_file_was_before_it_changed_goes_unless_another_file_is_that_now(tmp_path: Path) -> None:
    folder = tmp_path / "audio"
    first, shared = audio_file(folder, "erased.wav"), audio_file(folder, "kept.wav")
    lake = Lake(tmp_path / "lake")
    write(lake, listing(folder))
    old = audio_id(first.read_bytes())
    first.write_bytes(shared.read_bytes())
    write(lake, listing(folder))
    first.write_bytes(b"a third content")
    write(lake, listing(folder))
    erase_one(lake)
    assert left(lake.address, [*WORDS, old, "erased.wav"]) == {}
    with open_lake(lake.address) as reader:
        assert reader.sql("SELECT recording_id FROM recordings").to_pylist() == [
            {"recording_id": audio_id(shared.read_bytes())}
        ]
        assert reader.sql("SELECT count(*) AS num FROM results").to_pylist() == [{"num": 1}]


@pytest.mark.slow
def test_a_recording_that_failed_can_be_erased(tmp_path: Path) -> None:
    from mmer_ray.errors import ErrorCode

    folder = tmp_path / "audio"
    audio_file(folder, "erased.wav"), audio_file(folder, "kept.wav")
    lake = Lake(tmp_path / "lake")
    job(lake, listing(folder), failing={"erased.wav": ErrorCode.EMPTY_FILE})
    erase_one(lake)
    assert left(lake.address, ["erased.wav"]) == {}
    assert plan_of(listing(folder), lake).num_erased == 1


@pytest.mark.parametrize(("what", "point"), slow_but(DRILLS, SOONEST))
def test_an_erasure_that_is_killed_is_whole_for_readers_and_finished_by_who_writes_next(
    what: str,
    point: str,
    lake: Lake,
    undisturbed: dict[str, dict[str, list[dict[str, Any]]]],
    tmp_path: Path,
    drill: multiprocessing.context.ForkServerContext,
) -> None:
    before, after = contents(lake.address), undisturbed[what]
    victim = drill.Process(target=erase_and_die, args=(what, point, Path(lake.address)))
    victim.start()
    victim.join()
    assert victim.exitcode == EXIT_STATUS
    assert contents(lake.address) in (before, after), "a reader saw half an erasure"

    audio_file(tmp_path / "more", "more.wav")
    again = Lake(lake.address)
    with again.lock():
        job(again, listing(tmp_path / "more", "more"))
    assert not (Path(lake.address) / INTENT_NAME).exists()
    if point == "before_removal":
        # Nothing was put down yet: the command did nothing.
        ERASURES[what](Lake(lake.address))
    assert left(lake.address, [*WORDS]) == {}
    found = contents(lake.address)
    assert {name: [row for row in rows if row["corpus"] != "more"] for name, rows in found.items()} == after


@pytest.mark.slow
def test_every_table_that_names_audio_is_searched_and_counted() -> None:
    # What is made of the others is emptied, and made again by compaction.
    for name in set(SCHEMAS) - set(DERIVED_TABLES):
        assert (name in WITH_AUDIO) == bool({"recording_id", "uri", "text", "word"} & set(SCHEMAS[name].names))
    assert {*WITH_AUDIO} <= set(DATA_TABLES)


@pytest.mark.slow
def test_a_reader_that_was_there_before_is_told_or_sees_what_is_left(lake: Lake) -> None:
    with open_lake(lake.address) as early:
        assert early.sql("SELECT count(*) AS num FROM recordings").to_pylist() == [{"num": 4}]
        erase_one(lake)
        with suppress(LakeError, UsageError):
            texts = early.sql("SELECT text FROM utterances").column("text").to_pylist()
            assert [text for text in texts if WORDS[0] in text] == []
    with open_lake(lake.address) as late:
        assert late.sql("SELECT count(*) AS num FROM recordings").to_pylist() == [{"num": 2}]


@pytest.mark.slow
def test_it_is_not_scored_again_under_its_name_nor_under_another(lake: Lake, audio: Path, tmp_path: Path) -> None:
    erase_one(lake)
    plan = plan_of(listing(audio), lake)
    assert (plan.is_empty, plan.num_erased, plan.num_done) == (True, 2, 2)
    renamed = audio_file(tmp_path / "new", "renamed.wav", (audio / ERASED).read_bytes())
    other = audio_file(tmp_path / "new", "other.wav")
    plan = plan_of(listing(tmp_path / "new"), lake)
    assert (plan.todo["uri"].to_pylist(), plan.num_erased) == ([str(other)], 1)
    assert str(renamed) not in plan.todo["uri"].to_pylist()


@pytest.mark.slow
def test_erased_recordings_are_not_read_to_be_left_out(
    lake: Lake, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmer_ray.lake import copies

    erase_one(lake)
    read: list[str] = []
    digest = copies.content_digest
    monkeypatch.setattr(copies, "content_digest", lambda one: read.append(one.uri) or digest(one))
    assert plan_of(listing(audio), lake).num_erased == 2
    assert [uri for uri in read if "erased" in uri] == []


def test_asked_for_it_is_scored_again_and_stays(lake: Lake, audio: Path) -> None:
    erase_one(lake)
    before = plan_of(listing(audio), lake, erased=True)
    assert (before.todo.num_rows + before.num_copies, before.num_erased) == (2, 0)
    from tests.lake.makers import work

    _, ledger = work(lake, before)
    assert (ledger.num_planned, ledger.num_scored, ledger.num_erased) == (2, 2, 0)
    plan = plan_of(listing(audio), lake)
    assert (plan.is_empty, plan.num_done, plan.num_erased) == (True, 4, 0)
    assert plan_of(listing(audio), lake, newer("transcribe")).todo.num_rows == 3
    erase_one(lake)
    assert plan_of(listing(audio), lake).num_erased == 2


@pytest.mark.slow
def test_bytes_that_only_the_worker_saw_leave_nothing_and_the_ledger_sums(
    lake: Lake, audio: Path, canaries: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmer_ray.lake import copies

    erase_one(lake)
    folder = tmp_path / "new"
    audio_file(folder, "secret-name.wav", (audio / ERASED).read_bytes())
    audio_file(folder, "other.wav")
    # As on a store: the planner cannot read bytes.
    monkeypatch.setattr(copies, "content_digest", lambda _: None)
    plan, ledger = job(lake, listing(folder))
    assert (plan.num_planned, plan.num_erased) == (2, 0)
    assert (ledger.num_planned, ledger.num_received, ledger.num_scored, ledger.num_erased) == (2, 2, 1, 1)
    assert (ledger.difference_s, ledger.num_unreached) == (0.0, 0)
    assert left(lake.address, [*canaries, "secret-name"]) == {}
    plan = plan_of(listing(folder), lake)
    assert (plan.is_empty, plan.num_done, plan.num_erased) == (True, 1, 1)
    with open_lake(lake.address) as reader:
        (run,) = reader.sql("SELECT num_erased, status FROM runs ORDER BY started_at DESC LIMIT 1").to_pylist()
    assert run == {"num_erased": 1, "status": "finished"}


@pytest.mark.slow
def test_a_plan_from_before_an_erasure_is_refused(lake: Lake, audio: Path) -> None:
    from mmer_ray.lake.writer import Writer

    plan = plan_of(listing(audio), lake, newer("emotion"))
    erase_one(lake)
    with pytest.raises(LakeError, match="since it was planned"), Writer(lake, a_run(plan.keys), plan):
        pass
    others = plan_of([one for one in listing(audio) if "erased" not in Path(one.uri).name], lake, newer("emotion"))
    with Writer(lake, a_run(plan.keys), others) as writer:
        writer.interrupt()


@pytest.mark.slow
def test_nothing_is_written_to_say_what_would_go(lake: Lake) -> None:
    def files() -> list[tuple[str, int]]:
        return sorted((str(one), one.stat().st_mtime_ns) for one in Path(lake.address).rglob("*"))

    before = files()
    would = erase_recordings(lake, find_recordings(lake, [ERASED]), None, dry_run=True)
    assert (would.num_recordings, would.num_files, would.commit_id) == (1, 2, None)
    assert would.num_rows["recordings"] == 2
    assert files() == before


@pytest.mark.slow
def test_what_names_nothing_or_is_no_condition_is_refused(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is called 'nobody'"):
        find_recordings(lake, ["nobody"])
    with pytest.raises(UsageError, match="cannot be answered"):
        find_recordings(lake, where="no_such_column = 1")
    with pytest.raises(UsageError, match=r"one statement|refused|cannot be answered"):
        find_recordings(lake, where="true)); DROP VIEW recordings; --")
    with pytest.raises(LakeError, match="is not a lake"):
        find_recordings(Lake(tmp_path / "none"), ["a"])
    assert find_recordings(lake, where="uri = 'nobody'") == []
    assert erase_recordings(lake, [], None).num_rows == {}


@pytest.mark.slow
def test_the_lake_goes_on_after_an_erasure(lake: Lake, audio: Path) -> None:
    erase_one(lake)
    with open_lake(lake.address) as reader:
        status = reader.status()
    assert (status.ledger.num_scored, status.ledger.difference_s) == (2, 0.0)
    _, ledger = job(lake, listing(audio), newer("emotion"))
    assert (ledger.num_scored, ledger.num_erased) == (2, 0)
    erase_recordings(lake, find_recordings(lake, where="true"), None)
    assert {name: rows for name, rows in contents(lake.address).items() if rows} == {}
    assert plan_of(listing(audio), lake).num_erased == 4


@pytest.mark.slow
def test_the_intent_names_what_goes_only_while_it_goes(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmer_ray.lake import removing

    seen: list[dict[str, Any]] = []
    forget = removing._forget

    def look(*arguments: Any) -> None:
        seen.append(json.loads((Path(lake.address) / INTENT_NAME).read_text()))
        forget(*arguments)

    monkeypatch.setattr(removing, "_forget", look)
    erase_one(lake)
    assert len(seen[0]["files"]) == 2
    assert [one.name for one in Path(lake.address).iterdir() if "erasing" in one.name] == []


@pytest.mark.slow
def test_who_opens_the_lake_while_rows_go_sees_one_moment(
    lake: Lake, canaries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmer_ray.lake import changing, commit, removing, rewrite

    before, seen = contents(lake.address), []
    monkeypatch.setattr(changing, "PAUSE_S", 0.0)

    def looking(name: str) -> None:
        if name in LOOKS:
            seen.append(contents(lake.address))

    for module in (removing, rewrite, commit):
        monkeypatch.setattr(module, "failpoint", looking)
    erase_one(lake)
    after = contents(lake.address)
    assert [one for one in seen if one not in (before, after)] == []
    assert seen[0] == before
    assert seen[-1] == after

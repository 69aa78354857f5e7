"""Steps that people and jobs take with a lake, in any order, beside the model of what readers must then see.

The planner, the writer and the readers are the real ones; in place of models `makers.py` answers. A kill ends a step at
a failpoint (`kills.py`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mmer_ray.lake.activation import activate
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.recluster import Recluster, recluster
from mmer_ray.lake.rescoring import Portion, Rescoring, plan_rescore
from mmer_ray.lake.run import begin_run
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.profiles import Profile, RunOptions
from mmer_ray.records import ScoredRecording, Task
from mmer_ray.stages.keys import Keys, felt_keys, keys_of
from tests.lake.expected import (
    BAD,
    TALK,
    Asked,
    ExpectedLake,
    File,
    Hearing,
    Place,
    file_at,
    heard_in,
    seen_by,
)
from tests.lake.kills import COMMIT_POINTS, is_visible, killed_at, num_visible
from tests.lake.makers import answer, audio_id, failed, plan_of, recording_at, taken
from tests.lake.rescores import PROFILE, WIDE
from tests.runners.tiny_lakes import another_model

EXAMPLES = "MMER_EXAMPLES"
"""How many sequences a long run tries: longer ones, other ones each time, and of those that fail the shortest.

    MMER_EXAMPLES=200 pytest --timeout 0 tests/lake/test_any_sequence.py
"""
LONG = settings(
    max_examples=int(os.environ.get(EXAMPLES, 0)) or 1,
    stateful_step_count=40,
    derandomize=False,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SHORT = settings(LONG, max_examples=5, stateful_step_count=14, derandomize=True, phases=[Phase.generate])

CORPORA = ("calls", "other")
NAMES = ("a.wav", "b.wav", "c.wav")
CONTENTS = (TALK * 30, b"1" * 120, b"2" * 120, b"3" * 400, BAD + b"." * 117)
"""All but one have the same size, so that each may be a copy of another."""
PROFILES = ("first", "emotion model", "measures", "diarizer")
FIRST_MTIME_NS = 1_700_000_000_000_000_000

corpora = st.sampled_from(CORPORA)
names = st.sampled_from(NAMES)
any_keys = st.sampled_from(PROFILES)
which = st.integers(0, 11)
"""Which of some things, counted on from the first when there are fewer."""
numbers_of_speakers = st.sampled_from([None, 1, 3])
kills_of_a_commit = st.one_of(st.none(), st.sampled_from(COMMIT_POINTS))
kills_of_a_job = st.one_of(
    st.sampled_from(["after_run_start", "before_run_end"]),
    st.builds("{}:{}".format, st.sampled_from(COMMIT_POINTS), st.integers(1, 3)),
)
HEARING = ["recording_id", "heard_key"]


@cache
def model_folder() -> tempfile.TemporaryDirectory[str]:
    """Where another emotion model lies until the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="mmer-any-model-")
    another_model(Path(folder.name))
    return folder


@cache
def profiles() -> dict[str, tuple[Profile, Keys]]:
    """What jobs score with: the first profile, and one for each stage that may give other answers. Of the measures only
    the key is another: they hang on the code, not on options."""
    emotion = PROFILE.emotion.model_copy(update={"model": f"{model_folder().name}/other"})
    some = {"first": PROFILE, "emotion model": PROFILE.model_copy(update={"emotion": emotion}), "diarizer": WIDE}
    found = {name: (one, keys_of(one)) for name, one in some.items()}
    keys = found["first"][1]
    return found | {"measures": (PROFILE, replace(keys, link=f"other-{keys.link[6:]}"))}


class LakeMachine(RuleBasedStateMachine):
    """Two folders of files, a corpus each, and one lake."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mmer-any-"))
        self.address = self.folder / "lake"
        self.expected = ExpectedLake()
        self.num_changes = 0
        self.is_looked_at = True
        self.last_job: tuple[str, tuple[str, ...], int] | None = None
        self.earlier: LakeReader | None = None
        self.seen_earlier = self.expected.rows()

    @initialize()
    def three_files(self) -> None:
        for corpus, name, content in zip(("calls", "calls", "other"), NAMES, CONTENTS, strict=False):
            self.write(corpus, name, content)

    @rule(corpus=corpora, name=names, content=st.sampled_from(CONTENTS))
    def write(self, corpus: str, name: str, content: bytes) -> None:
        """Add a file, or change the bytes of one."""
        path = self.folder / corpus / name
        if self.may_write((corpus, str(path))):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            self.touch(path)

    @rule(source=which, corpus=corpora, name=names)
    def rename(self, source: int, corpus: str, name: str) -> None:
        target = self.folder / corpus / name
        if not target.exists() and self.may_write((corpus, str(target))):
            target.parent.mkdir(exist_ok=True)
            self.pick(source).rename(target)

    @rule(source=which, corpus=corpora, name=names)
    def copy(self, source: int, corpus: str, name: str) -> None:
        self.write(corpus, name, self.pick(source).read_bytes())

    @rule(file=which)
    def touch_one(self, file: int) -> None:
        self.touch(self.pick(file))

    @rule(keys=any_keys, of=st.sampled_from([CORPORA, *((name,) for name in CORPORA)]), per_commit=st.integers(1, 3))
    def score(self, keys: str, of: tuple[str, ...], per_commit: int) -> None:
        self.run_job(keys, of, per_commit)

    @rule(keys=any_keys, per_commit=st.integers(1, 2), point=kills_of_a_job)
    def score_and_be_killed(self, keys: str, per_commit: int, point: str) -> None:
        self.run_job(keys, CORPORA, per_commit, point)

    @precondition(lambda self: self.last_job is not None)
    @rule()
    def the_same_job_again(self) -> None:
        assert self.last_job is not None
        self.run_job(*self.last_job)

    @precondition(lambda self: self.expected.files)
    @rule(model=st.sampled_from(["first", "emotion model"]), corpus=which, per_commit=st.integers(1, 3))
    def rescore(self, model: str, corpus: int, per_commit: int) -> None:
        self.rescore_with(model, corpus, per_commit)

    @precondition(lambda self: self.expected.files)
    @rule(model=st.sampled_from(["first", "emotion model"]), per_commit=st.integers(1, 2), point=kills_of_a_job)
    def rescore_and_be_killed(self, model: str, per_commit: int, point: str) -> None:
        self.rescore_with(model, 0, per_commit, point)

    @precondition(lambda self: self.expected.scorers())
    @rule(corpus=which, scorer=which, point=kills_of_a_commit)
    def activate(self, corpus: int, scorer: int, point: str | None) -> None:
        self.before_a_step()
        if not (answered := self.expected.scorers()):
            return
        name = sorted(answered)[corpus % len(answered)]
        one = sorted(answered[name])[scorer % len(answered[name])]
        self.commit_once(lambda: activate(Lake(self.address), one), point)
        if is_visible(point):
            self.expected.activate(one, [name for name, some in answered.items() if one in some])

    @precondition(lambda self: self.countable())
    @rule(file=which, speakers=numbers_of_speakers, point=kills_of_a_commit)
    def recluster(self, file: int, speakers: int | None, point: str | None) -> None:
        self.before_a_step()
        if not (places := self.countable()):
            return
        place = places[file % len(places)]
        self.commit_once(lambda: recluster(Lake(self.address), place[1], Recluster(speakers)), point)
        if is_visible(point):
            self.expected.recluster(place, speakers)

    @rule()
    def open_a_reader(self) -> None:
        self.look_at_the_earlier_moment()
        if Lake(self.address, to_read=True).exists:
            self.close_reader()
            self.earlier = LakeReader(Lake(self.address, to_read=True))
            self.seen_earlier = seen_by(self.earlier)

    @invariant()
    def readers_see_what_is_expected(self) -> None:
        if self.is_looked_at or not Lake(self.address, to_read=True).exists:
            return
        self.is_looked_at = True
        expected = self.expected.rows()
        with closing(LakeReader(Lake(self.address, to_read=True))) as reader:
            seen, status = seen_by(reader), reader.status()
        for view, rows in expected.items():
            assert seen[view] == rows, view
        check_ledger(status.ledger, self.expected)
        finished = [run for run in status.runs if run["status"] == "finished"]
        assert len(finished) == self.expected.num_finished_runs
        for run in finished:
            # What a rescore asks for in vain keeps its answer.
            num_rows, kept_ms = run["num_scored"] + run["num_failed"], run["unreached_ms"]
            assert run["num_planned"] == run["num_received"] == num_rows + run["num_unreached"]
            assert run["planned_ms"] == run["scored_ms"] + run["quarantined_ms"] + kept_ms
            assert run["scored_ms"] == run["speech_ms"] + run["non_speech_ms"]

    def teardown(self) -> None:
        self.look_at_the_earlier_moment()
        self.close_reader()
        shutil.rmtree(self.folder)

    def run_job(self, keys_name: str, of: tuple[str, ...], per_commit: int, point: str | None = None) -> None:
        """Plan, answer and write; the model learns of the commits that were finished, and of no other."""
        self.before_a_step()
        self.last_job, (profile, keys) = (keys_name, of, per_commit), profiles()[keys_name]
        files = self.listed(of)
        lake, commits = Lake(self.address), [list[File]()]
        with killed_at(point) as kill, lake.lock():
            plan = plan_of([recording_at(Path(uri), self.folder, corpus) for corpus, uri in files], lake, keys)
            for task in write_answers(lake, Portion(profile, plan), per_commit, commits):
                commits[-1].append(files[task.recording.corpus, task.recording.uri])
        self.is_looked_at = False
        copies = [files[place] for place in places_of(plan.copies)]
        if kill.happened:
            commits = commits[: num_visible(point, len(commits))]
        for worked_on in commits:
            self.expected.commit(worked_on, copies, keys)
        if not kill.happened:
            # Whatever the planner left out: a job that ends has seen to each file of its listing.
            self.expected.commit(files.values(), (), keys)
            self.expected.num_finished_runs += not plan.is_empty

    def rescore_with(self, model: str, corpus: int, per_commit: int, point: str | None = None) -> None:
        """Ask an emotion model about all that is shown, or about one of the corpora: number 0 is all of them."""
        self.before_a_step()
        known = [None, *sorted({place[0] for place in self.expected.files})]
        scope = known[corpus % len(known)]
        asked = self.asked_of(profiles()[model][0], scope)
        if any(not one.is_answered for one in asked.values()):
            # A commit without an answer is none, and passes no failpoint.
            point = None
        lake, commits = Lake(self.address), list[list[Asked]]()
        wanted = Rescoring(emotion=profiles()[model][0].emotion.model, corpus=scope)
        with killed_at(point) as kill, lake.lock():
            planned = plan_rescore(lake, wanted)
            found = [row for portion in planned.portions for row in portion.plan.todo.select(HEARING).to_pylist()]
            assert sorted(tuple(row.values()) for row in found) == sorted(asked)
            for portion in planned.portions:
                commits.append([])
                hearings = iter(portion.plan.todo.select(HEARING).to_pylist())
                for _ in write_answers(lake, portion, per_commit, commits):
                    commits[-1].append(asked[tuple(next(hearings).values())])
        self.is_looked_at = False
        for answered in commits[: num_visible(point, len(commits))] if kill.happened else commits:
            self.expected.rescore(one for one in answered if one.is_answered)
        if not kill.happened:
            self.expected.num_finished_runs += len(planned.portions)

    def asked_of(self, profile: Profile, corpus: str | None) -> dict[Hearing, Asked]:
        """What a model is asked about: each shown hearing that lacks its answers or measures, of the first file that is
        there with the size that it had."""
        asked: dict[Hearing, Asked] = {}
        heard_with = {keys.heard: keys for _, keys in profiles().values()}
        for (of, uri), row in sorted(self.expected.files.items()):
            path, hearing = Path(uri), (row.audio, row.heard)
            if row.error_code or corpus not in (None, of) or self.expected.shown()[of, row.audio] != row.heard:
                continue
            keys = felt_keys(heard_with[self.expected.source_of(row)], profile)
            lacks = self.expected.first_lacking(hearing, keys)
            is_there = path.is_file() and path.stat().st_size == len(row.file.content)
            if lacks and is_there and hearing not in asked:
                asked[hearing] = Asked(hearing, keys, lacks == "link" or audio_id(path.read_bytes()) == row.audio)
        return asked

    def commit_once(self, step: Callable[[], object], point: str | None) -> None:
        with killed_at(point):
            step()
        self.is_looked_at = False

    def look_at_the_earlier_moment(self) -> None:
        if self.earlier is not None:
            assert seen_by(self.earlier) == self.seen_earlier, "a reader sees one moment"

    def close_reader(self) -> None:
        if self.earlier is not None:
            self.earlier.close()
            self.earlier = None

    def before_a_step(self) -> None:
        """What whoever writes next does first, as far as the model has to know."""

    def may_write(self, place: Place) -> bool:
        return True

    def listed(self, of: tuple[str, ...]) -> dict[Place, File]:
        paths = [(corpus, path) for corpus in of for path in sorted((self.folder / corpus).glob("*"))]
        return {(corpus, str(path)): file_at(path, corpus) for corpus, path in paths}

    def pick(self, number: int) -> Path:
        paths = [Path(uri) for _, uri in self.listed(CORPORA)]
        return paths[number % len(paths)]

    def touch(self, path: Path) -> None:
        """A time of change that no file had before: the clock of a file system is coarser than these steps."""
        self.num_changes += 1
        os.utime(path, ns=(FIRST_MTIME_NS, FIRST_MTIME_NS + self.num_changes))

    def countable(self) -> list[Place]:
        """Files whose row shows audio that the lake kept the voices of."""
        rows = self.expected.files.items()
        return [place for place, row in rows if not row.error_code and row.file.content.startswith(TALK)]


def try_sequences(machine: type[RuleBasedStateMachine]) -> None:
    """Some fixed sequences, or as many as the environment asks for."""
    run_state_machine_as_test(machine, settings=LONG if EXAMPLES in os.environ else SHORT)


def write_answers(lake: Lake, portion: Portion, per_commit: int, commits: list[list[Any]]) -> Iterator[Task]:
    """Do what a plan says, and name each task before its answer is written; `commits` gets a new list at each commit
    but the last."""
    plan = portion.plan
    with Writer(lake, begin_run(portion.profile, plan.keys), plan, RunOptions(commit_every_s=1e9)) as writer:
        for position, task in enumerate(plan.tasks(lake, plan.todo)):
            if position and position % per_commit == 0:
                writer.commit()
                commits.append([])
            yield task
            writer.add(taken(answered(task, plan.keys), keys=plan.keys))
        writer.finish()


def answered(task: Task, keys: Keys) -> ScoredRecording:
    """What a pipeline without models makes of a task."""
    content = Path(task.recording.uri).read_bytes()
    if content.startswith(BAD) and task.restart != "link":
        return failed(task.recording)
    return answer(task, keys, replace(heard_in(content, keys), recording=task.recording))


def places_of(listed: pa.Table) -> list[Place]:
    return list(zip(listed["corpus"].to_pylist(), listed["uri"].to_pylist(), strict=True))


def check_ledger(ledger: Ledger, expected: ExpectedLake) -> None:
    failed_files = [row for row in expected.files.values() if row.error_code]
    assert (ledger.num_failed, ledger.num_scored) == (len(failed_files), len(expected.files) - len(failed_files))
    assert ledger.difference_s == 0.0

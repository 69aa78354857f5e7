"""As `test_any_sequence.py`, with what people do to a lake besides scoring among the steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import date

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from mmer_ray.lake.compaction import compact
from mmer_ray.lake.erasure import erase_recordings
from mmer_ray.lake.heard_speakers import Merge, Rename, Split, Undo
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.retention import Policy, retain
from mmer_ray.lake.speaker_edits import edit_speakers
from mmer_ray.lake.store import Lake
from mmer_ray.lake.vacuum import vacuum
from tests.lake.expected import TALK, Place, Row
from tests.lake.expected_edits import Edit, EditedLake
from tests.lake.kills import is_visible, killed_at
from tests.lake.machine import CORPORA, LakeMachine, kills_of_a_commit, try_sequences, which

COMPACTION_KILLS = (
    "after_files_words",
    "before_rewrite_recordings",
    "after_rewrite_utterances",
    "after_rewrite_commits",
)
UNDONE, BEGUN, DONE = (
    ("before_removal",),
    ("after_intent", "before_append_erasures", "before_append_commits"),
    ("after_append_commits", "after_rewrite_recordings", "after_checkpoint_words", "before_removal_end"),
)
"""Failpoints of a removal: nothing is put down yet; the next writer does all of it; no reader sees the rows."""
RETENTION_DAY = date(2030, 1, 1)

kills_of_a_removal = st.one_of(st.none(), st.sampled_from([*UNDONE, *BEGUN, *DONE]))


class MaintainedLakeMachine(LakeMachine):
    """A file that was erased keeps its name to itself: nothing else is written there."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: EditedLake = EditedLake()
        self.num_names = 0
        self.begun: Callable[[], None] | None = None
        """What the model makes of a removal that the next writer finishes."""

    @rule(point=st.one_of(st.none(), st.sampled_from(COMPACTION_KILLS)))
    def compact(self, point: str | None) -> None:
        if self.is_there():
            self.step(lambda: compact(Lake(self.address)), point)

    @rule(keep_hours=st.sampled_from([0, 24]))
    def vacuum(self, keep_hours: int) -> None:
        if self.is_there():
            if keep_hours == 0:
                self.let_the_earlier_moment_go()
            self.step(lambda: vacuum(Lake(self.address), keep_hours), None)

    @precondition(lambda self: self.scored())
    @rule(file=which, point=kills_of_a_removal)
    def erase(self, file: int, point: str | None) -> None:
        self.before_a_step()
        audios = sorted({row.audio for row in self.scored()})
        if audios:
            audio = audios[file % len(audios)]
            self.remove(
                lambda: erase_recordings(Lake(self.address), [audio], "asked for"),
                lambda: self.expected.erase(audio),
                point,
            )

    @precondition(lambda self: self.expected.files)
    @rule(corpus=st.sampled_from(CORPORA), point=kills_of_a_removal)
    def retain(self, corpus: str, point: str | None) -> None:
        policy = Policy(corpora={corpus: {"recordings": 1}})
        self.remove(
            lambda: retain(Lake(self.address), policy, today=RETENTION_DAY),
            lambda: self.expected.retain_nothing_of(corpus),
            point,
        )

    @precondition(lambda self: self.scored())
    @rule(file=which, speaker=which, other=which, point=kills_of_a_commit)
    def name_or_join_speakers(self, file: int, speaker: int, other: int, point: str | None) -> None:
        """Two different numbers join two speakers, where there are two; else one gets a name."""
        self.before_a_step()
        if not (rows := self.scored()):
            return
        row = rows[file % len(rows)]
        hearing = row.audio, row.heard
        speakers = self.expected.speakers(hearing)
        one, target = speakers[speaker % len(speakers)], speakers[other % len(speakers)]
        wanted: Merge | Rename
        if one == target:
            self.num_names += 1
            target = f"Caller {self.num_names}"
            wanted, edit = Rename(one, target), Edit("rename", one, target)
        else:
            wanted, edit = Merge(one, target), Edit("merge", one, target)
        self.commit_once(lambda: edit_speakers(Lake(self.address), row.file.uri, wanted, "a tester"), point)
        if is_visible(point):
            self.expected.edit(hearing, edit)

    @precondition(lambda self: self.scored())
    @rule(file=which, speaker=which, point=kills_of_a_commit)
    def split_a_speaker(self, file: int, speaker: int, point: str | None) -> None:
        """Somebody's first utterance is somebody else's. Only where each turn is an utterance: it goes along."""
        self.before_a_step()
        rows = [row for row in self.scored() if not row.file.content.startswith(TALK)]
        if not rows:
            return
        row = rows[file % len(rows)]
        hearing = row.audio, row.heard
        said: dict[str, list[int]] = {}
        for index, one in enumerate(self.expected.as_seen(hearing).utterances):
            said.setdefault(one.speaker, []).append(index)
        talkative = sorted(name for name, indexes in said.items() if len(indexes) > 1)
        if talkative:
            one = talkative[speaker % len(talkative)]
            first = said[one][0]
            self.num_names += 1
            edit = Edit("split", one, f"N{self.num_names}", frozenset({first}))
            wanted = Split(one, (first,), edit.target)
            self.commit_once(lambda: edit_speakers(Lake(self.address), row.file.uri, wanted, "a tester"), point)
            if is_visible(point):
                self.expected.edit(hearing, edit)

    @precondition(lambda self: any(self.expected.edits.values()))
    @rule(file=which, point=kills_of_a_commit)
    def undo_the_last_edit(self, file: int, point: str | None) -> None:
        self.before_a_step()
        edited = [row for row in self.scored() if self.expected.edits.get((row.audio, row.heard))]
        if edited:
            row = edited[file % len(edited)]
            self.commit_once(lambda: edit_speakers(Lake(self.address), row.file.uri, Undo(), "a tester"), point)
            if is_visible(point):
                self.expected.undo((row.audio, row.heard))

    @invariant()
    def speakers_have_their_names(self) -> None:
        if self.is_there() and self.begun is None:
            query = "SELECT corpus, recording_id, utterance_idx, speaker_name FROM utterances WHERE speaker_name <> ''"
            with closing(LakeReader(Lake(self.address, to_read=True))) as reader:
                found = reader.sql(query).to_pylist()
            assert sorted(tuple(row.values()) for row in found) == self.expected.names()

    @invariant()
    def what_is_erased_is_nowhere(self) -> None:
        gone = [audio for audio, corpus in self.expected.erased_audio if corpus is None]
        if gone and self.is_there() and self.begun is None:
            with closing(LakeReader(Lake(self.address, to_read=True))) as reader:
                found = reader.sql("SELECT recording_id FROM recordings UNION FROM (SELECT recording_id FROM results)")
            assert set(gone).isdisjoint(found["recording_id"].to_pylist())

    def remove(self, removal: Callable[[], object], expect: Callable[[], None], point: str | None) -> None:
        self.before_a_step()
        self.let_the_earlier_moment_go()
        with killed_at(point) as kill:
            removal()
        self.is_looked_at = False
        if not kill.happened or point in DONE:
            expect()
        elif point in BEGUN:
            self.begun = expect

    def step(self, step: Callable[[], object], point: str | None) -> None:
        """What no reader notices."""
        self.before_a_step()
        with killed_at(point):
            step()
        self.is_looked_at = False

    def before_a_step(self) -> None:
        if self.begun is not None:
            with Lake(self.address).lock():
                self.begun()
            self.begun, self.is_looked_at = None, False

    def scored(self) -> list[Row]:
        return [row for row in self.expected.files.values() if not row.error_code]

    def may_write(self, place: Place) -> bool:
        return place not in self.expected.erased_files and not self.was_erased(place)

    def was_erased(self, place: Place) -> bool:
        """Whether erased audio lies there, under a name that may be erased with it once a job has read it."""
        file = self.listed(CORPORA).get(place)
        return file is not None and self.expected.is_erased(file)

    def is_there(self) -> bool:
        return Lake(self.address, to_read=True).exists

    def let_the_earlier_moment_go(self) -> None:
        """What is deleted for good is deleted for open readers too."""
        self.look_at_the_earlier_moment()
        self.close_reader()


def test_after_any_sequence_with_maintenance_readers_see_what_a_plain_model_says() -> None:
    try_sequences(MaintainedLakeMachine)

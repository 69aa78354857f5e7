"""As `test_any_sequence.py`, with what people do to a lake besides scoring among the steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import date

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from mmer_ray.lake.compaction import compact
from mmer_ray.lake.erasure import erase_recordings
from mmer_ray.lake.queries import LakeReader
from mmer_ray.lake.retention import Policy, retain
from mmer_ray.lake.store import Lake
from mmer_ray.lake.vacuum import vacuum
from tests.lake.expected import Place
from tests.lake.kills import killed_at
from tests.lake.machine import CORPORA, LakeMachine, try_sequences, which

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

    @precondition(lambda self: any(not row.error_code for row in self.expected.files.values()))
    @rule(file=which, point=kills_of_a_removal)
    def erase(self, file: int, point: str | None) -> None:
        self.finish_what_was_begun()
        audios = sorted({row.audio for row in self.expected.files.values() if not row.error_code})
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

    @invariant()
    def what_is_erased_is_nowhere(self) -> None:
        gone = [audio for audio, corpus in self.expected.erased_audio if corpus is None]
        if gone and self.is_there() and self.begun is None:
            with closing(LakeReader(Lake(self.address, to_read=True))) as reader:
                found = reader.sql("SELECT recording_id FROM recordings UNION FROM (SELECT recording_id FROM results)")
            assert set(gone).isdisjoint(found["recording_id"].to_pylist())

    def remove(self, removal: Callable[[], object], expect: Callable[[], None], point: str | None) -> None:
        self.finish_what_was_begun()
        self.let_the_earlier_moment_go()
        with killed_at(point) as kill:
            removal()
        self.is_looked_at = False
        if not kill.happened or point in DONE:
            expect()
        elif point in BEGUN:
            self.begun = expect

    def run_job(self, keys_name: str, of: tuple[str, ...], per_commit: int, point: str | None = None) -> None:
        self.finish_what_was_begun()
        super().run_job(keys_name, of, per_commit, point)

    def commit_once(self, step: Callable[[], object], point: str | None) -> None:
        self.finish_what_was_begun()
        super().commit_once(step, point)

    def step(self, step: Callable[[], object], point: str | None) -> None:
        """What no reader notices."""
        self.finish_what_was_begun()
        with killed_at(point):
            step()
        self.is_looked_at = False

    def finish_what_was_begun(self) -> None:
        if self.begun is not None:
            with Lake(self.address).lock():
                self.begun()
            self.begun, self.is_looked_at = None, False

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

"""The runner for corpora: Ray Data over shards of recordings, one actor with all stages per slot.

Addresses go out, results come back: a task is one shard of recordings, its answer the rows of all of them as Arrow.
Audio stays inside the actor.

A recording that kills its worker must neither stop the job nor run for ever. Ray restarts the actor and runs the shard
again; `Attempts`, which lives outside the workers, tells the new one that it was there before. It then takes the
shard's recordings one at a time, and gives up on one that has killed `max_attempts` workers: `worker_crash`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import ray
import ray.data

from mmer_ray.errors import ErrorCode, MmerError, PreflightError
from mmer_ray.lake.answers import Answers
from mmer_ray.profiles import Profile
from mmer_ray.records import Failure, Recording, ScoredRecording, Task
from mmer_ray.runners.attempts import Attempts
from mmer_ray.runners.ray_pool import dataset_of, largest_resources, map_shards, num_actors, pool_of
from mmer_ray.runners.shards import cut_shards
from mmer_ray.runners.todo import Scores, Todo
from mmer_ray.runners.wire import pack, unpack
from mmer_ray.stages.keys import Keys

PORTION_BYTES = 32 << 20
"""Packed tasks in Ray's store at a time: an eighth of it. Each portion starts its actors anew, which load their models
once more; of addresses alone it holds some 100,000, days of work."""

_NAMES = pa.schema([pa.field("shard", pa.string())])
SHARDS = _NAMES.append(pa.field("tasks", pa.binary()))
ANSWERS = _NAMES.append(pa.field("answers", pa.large_binary()))
REFUSED = ""
"""The name of no shard: an actor that cannot load its models answers with this name and the reason."""


def score(
    todo: Todo, profile: Profile, keys: Keys, actor: type[ScoreShard] | None = None, *, hears: bool = True
) -> Generator[Answers, None, None]:
    """Score recordings on the connected Ray cluster (`runners.cluster`); `actor` replaces `ScoreShard` in drills.
    Without `hears` its actors load the emotion model alone, for tasks that do not begin at `decode`.

    Yields the answers of each shard as it ends, in no promised order; each recording is answered at least once.
    Raises `PreflightError` where an actor cannot load its models.
    """
    now: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    largest = largest_resources()
    # Where its node dies it starts again without its counts: a recording that kills workers then takes some more.
    attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Attempts)
    arguments = (profile, keys, attempts.remote(), hears)
    spread = num_actors(profile.run, largest or now)
    shards = cut_shards(todo.planned_s, num_actors=spread, max_shard_s=profile.run.shard_s)
    for portion in _portions(todo, shards):
        for _ in range(profile.run.max_attempts):
            pool = pool_of(profile.run, now, largest, portion.num_rows)
            answered = set()
            for shard, answers in _answers(map_shards(dataset_of(portion), actor or ScoreShard, arguments, pool)):
                answered.add(shard)
                yield answers
            portion = portion.filter(pc.invert(pc.is_in(portion["shard"], pa.array(sorted(answered), pa.string()))))
            if portion.num_rows == 0:
                break
        # Nothing is lost: what never arrived in any round is a row too.
        lost = [task for _, packed in _rows(portion) for task in unpack(packed)]
        if lost:
            yield Answers.of([_crashed(task.recording, profile.run.max_attempts) for task in lost], keys)


def _portions(todo: Todo, shards: Iterable[slice]) -> Iterator[pa.Table]:
    """Tables of shards, each of about `PORTION_BYTES`."""
    names: list[str] = []
    packed: list[bytes] = []
    num_bytes = 0
    for rows in shards:
        names.append(f"{rows.start}:{rows.stop}")
        packed.append(pack(todo.tasks(rows)))
        num_bytes += len(packed[-1])
        if num_bytes >= PORTION_BYTES:
            yield pa.table([names, packed], schema=SHARDS)
            names, packed, num_bytes = [], [], 0
    if names:
        yield pa.table([names, packed], schema=SHARDS)


def _answers(dataset: ray.data.Dataset) -> Iterator[tuple[str, Answers]]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    dataset.set_name("mmer_score")
    for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for shard, answers in _rows(cast(pa.Table, batch)):
            if shard == REFUSED:
                raise PreflightError(answers.decode())
            yield shard, Answers.from_bytes(answers)


def _rows(table: pa.Table) -> Iterator[tuple[str, bytes]]:
    """The rows of a table with two columns: a shard's name, and its tasks or answers."""
    names, values = table.columns
    yield from zip(cast(list[str], names.to_pylist()), cast(list[bytes], values.to_pylist()), strict=True)


class ScoreShard:
    """The Ray Data actor: loads the pipeline once, scores one shard per call."""

    def __init__(self, profile: Profile, keys: Keys, attempts: Any, hears: bool = True) -> None:
        self._keys, self._attempts, self._hears = keys, attempts, hears
        self._max_attempts = profile.run.max_attempts
        self._refusal: str | None = None
        try:
            self._pipeline = self.load(profile)
        except MmerError as error:
            # Told by the first call: of an actor's exceptions Ray passes on the text alone, with its own around it.
            self._refusal = str(error)

    def load(self, profile: Profile) -> Scores:
        """The pipeline that this actor runs."""
        # torch takes seconds to import; the driver, which imports this file, needs none.
        from mmer_ray.pipelines.corpus import Pipeline

        return Pipeline(profile, hears=self._hears)

    def __call__(self, batch: pa.Table) -> pa.Table:
        if self._refusal is not None:
            return pa.table([[REFUSED], [self._refusal.encode()]], schema=ANSWERS)
        answers = [Answers.of(self._score(shard, unpack(tasks)), self._keys) for shard, tasks in _rows(batch)]
        return pa.table([batch["shard"], [one.to_bytes() for one in answers]], schema=ANSWERS)

    def _score(self, shard: str, tasks: Sequence[Task]) -> list[ScoredRecording]:
        if ray.get(self._attempts.begin.remote(shard)) == 1:
            scored = list(self._pipeline.score(tasks))
        else:
            # A worker died on this shard: one at a time shows on which recording.
            scored = [scored for task in tasks for scored in self._alone(task)]
        ray.get(self._attempts.end.remote(shard))
        return scored

    def _alone(self, task: Task) -> list[ScoredRecording]:
        # The run in company was the first attempt, so `deaths` counts from the second.
        name = f"{task.recording.corpus}\n{task.recording.uri}"
        deaths = ray.get(self._attempts.begin.remote(name)) - 1
        if deaths + 1 >= self._max_attempts:
            return [_crashed(task.recording, self._max_attempts)]
        scored = list(self._pipeline.score([task]))
        ray.get(self._attempts.end.remote(name))
        return scored


def _crashed(recording: Recording, attempts: int) -> ScoredRecording:
    message = f"the worker died {attempts} times on this recording; a later run tries it again"
    return ScoredRecording(
        recording=recording, status="failed", failure=Failure(ErrorCode.WORKER_CRASH, "worker", message)
    )

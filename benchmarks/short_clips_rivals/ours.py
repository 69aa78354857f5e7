"""mmer_ray: the Parquet file is the job's source and the lake its Parquet out; plan, decoder and commits are its own.

The other rivals tell neither speakers nor feelings, so the members before and after the recognizer do nothing here. The
recognizer is the profile's, with all that it does: a second search for texts that are not believed, times of words.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from steps import arguments, noted

from mmer_ray.diarizers.interface import Diarization
from mmer_ray.lake.answers import Answers
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.pipelines.corpus import Pipeline
from mmer_ray.pipelines.engine import Engine
from mmer_ray.profiles import Profile, load_profile
from mmer_ray.recognizers.members import load_recognizer
from mmer_ray.records import Clip, Emotion, Turn, Window
from mmer_ray.runners.job import Job, JobOptions
from mmer_ray.runners.todo import OnHeard, todo_of
from mmer_ray.runners.work import Work

TEXTS = "SELECT uri, string_agg(text, ' ' ORDER BY start_ms) AS text FROM recordings LEFT JOIN utterances "
TEXTS += "USING (corpus, recording_id) GROUP BY uri"


class OneTurn:
    """Takes every window for one turn of one speaker."""

    join_threshold = 1.0

    def diarize(self, windows: Sequence[Window]) -> list[Diarization]:
        import numpy as np

        voice = np.array([1.0, 0.0], np.float32)
        return [
            Diarization((Turn(window.start_s, window.end_s, 0),), () if window.one_speaker else (voice,))
            for window in windows
        ]


class NoEmotion:
    """Says nothing of a clip."""

    scorer, reads_dialogue = "none-00000000", False

    def predict(self, clips: Sequence[Clip]) -> list[Emotion]:
        return [Emotion(self.scorer, None, {}, None, skip_reason="not_asked")] * len(clips)


def pipeline_of(profile: Profile, notes: Path) -> Pipeline:
    from mmer_ray.pipelines.cores import use_one_core_per_batch

    # First: the recognizer takes as many cores for a batch as it is left with.
    slots = use_one_core_per_batch()
    engine = Engine(OneTurn(), load_recognizer(profile.transcribe), NoEmotion())
    pipeline = Pipeline(profile, engine=engine, slots=slots)
    with noted(notes, "loaded"):
        return pipeline


class TextJob(Job):
    """The product's job with that pipeline."""

    notes: Path

    @contextmanager
    def _answering(
        self, lake: Lake, work: Work, stop: Event, on_heard: OnHeard
    ) -> Iterator[Generator[Answers, None, None]]:
        todo = todo_of(work.plan, lake, work.plan.todo)
        if self._profile.run.runner == "inprocess":
            from mmer_ray.runners import inprocess

            with pipeline_of(self._profile, self.notes) as pipeline:
                yield inprocess.score(pipeline, todo, self._keys, stop, on_heard)
            return
        from mmer_ray.runners.cluster import cluster

        with cluster(stop):
            import ray

            from mmer_ray.runners import batch

            notes = self.notes

            class Texts(batch.ScoreShard):
                def load(self, profile: Profile) -> Any:
                    return pipeline_of(profile, notes)

            yield batch.score(todo, self._profile, self._keys, Texts)
            from ray_data import store_bytes

            print(json.dumps({"store_bytes": store_bytes() if ray.is_initialized() else 0}))


def main() -> None:
    runner = sys.argv.pop(1)
    given = arguments()
    lake = str(given.into / "lake")
    profile = load_profile("embedded", [f"transcribe.beam_width={given.beam}", f"run.runner={runner}"])
    job = TextJob(JobOptions((str(given.clips),), lake, profile))
    job.notes = given.notes
    job.run(stop=Event())
    with open_lake(lake) as reader:
        rows = reader.sql(TEXTS).to_pylist()
        (run,) = reader.sql("SELECT stage_s FROM runs").to_pylist()
    stages = dict(run["stage_s"])
    for step, stage in (("decode", "decode"), ("model", "transcribe")):
        (given.notes / f"{step}-lake").write_text(f"{time.time()} {stages.get(stage, 0.0)}\n")
    numbers = [int(re.findall(r"\d+$", row["uri"])[0]) for row in rows]
    table = pa.table({"row": numbers, "text": [row["text"] or "" for row in rows]})
    pq.write_table(table, given.into / "texts.parquet")


if __name__ == "__main__":
    main()

"""The door for small jobs and tests: the pipeline in this process, no cluster."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from itertools import takewhile

from mmer_ray.pipelines.corpus import Pipeline
from mmer_ray.profiles import Profile
from mmer_ray.records import Recording, ScoredRecording


def score(
    recordings: Sequence[Recording], profile: Profile, key: bytes, stop: threading.Event | None = None
) -> Generator[ScoredRecording, None, None]:
    """Score recordings one group after the other; yields each as it is finished, in no promised order.

    `key` is the lake's, for the recording ids. Once `stop` is set no further recording is begun. Closing the iterator
    stops the decoder.
    """
    with Pipeline(profile, key) as pipeline:
        wanted = recordings if stop is None else takewhile(lambda _: not stop.is_set(), recordings)
        yield from pipeline.score(wanted)

"""The door for small jobs and tests: the pipeline in this process, no cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mmer_ray.pipelines.corpus import Pipeline
from mmer_ray.profiles import Profile
from mmer_ray.records import Recording, ScoredRecording


def score(recordings: Sequence[Recording], profile: Profile, key: bytes) -> Iterator[ScoredRecording]:
    """Score recordings one group after the other; yields each as it is finished, in no promised order.

    `key` is the lake's, for the recording ids. Closing the iterator stops the decoder.
    """
    with Pipeline(profile, key) as pipeline:
        yield from pipeline.score(recordings)

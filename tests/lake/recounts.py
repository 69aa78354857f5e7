"""A recording whose voices the lake keeps: two windows, talks of three voices, words every second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmer_ray.diarizers.speaker_count import BETWEEN_WINDOWS_THRESHOLD, SAME_VOICE_THRESHOLD
from mmer_ray.lake.store import Lake
from mmer_ray.profiles import LinkOptions
from mmer_ray.records import SAMPLE_RATE_HZ, AudioFacts, Emotion, Recording, ScoredRecording, Utterance, Window, Word
from mmer_ray.stages.join import join
from mmer_ray.stages.keys import Keys
from mmer_ray.stages.link import link
from tests.diarizers.makers import heard
from tests.lake.makers import KEYS, audio_file, content_digest, plan_of, recording_at, taken
from tests.lake.makers import a_run as run_of

WINDOW_S = 16.0
TALKS = (("aaaaa...........", ".....bbbb.......", ".........cccccc."), ("bbbb............", "......aaaa......"))
"""Who talks in each second of the two windows. `b` and `c` are near enough to be one at the usual threshold."""


def recounted_lake(folder: Path, keys: Keys = KEYS) -> tuple[Lake, Recording]:
    """A lake with one recording, scored."""
    recording = recording_at(audio_file(folder / "audio", "talk.wav"), folder / "audio")
    lake = Lake(folder / "lake")
    from mmer_ray.lake.writer import Writer

    with Writer(lake, run_of(keys), plan_of([recording], lake, keys)) as writer:
        writer.add(taken(talk(recording, keys), keys=keys))
    return lake, recording


def talk(recording: Recording, keys: Keys = KEYS, digest: str | None = None) -> ScoredRecording:
    """The recording as a pipeline would answer it: every fourth second of an utterance is sad."""
    windows = [_window(recording, index, marks) for index, marks in enumerate(TALKS)]
    digest = digest or content_digest(Path(recording.uri).read_bytes())
    facts = AudioFacts(digest, 2 * WINDOW_S, 1, SAMPLE_RATE_HZ, "pcm_s16le", "wav")
    joined = join(recording, facts, windows, BETWEEN_WINDOWS_THRESHOLD)
    felt = tuple(
        replace(one, emotions=(Emotion(keys.scorer, "sad", {"sad": 1.0}, 1.0, valence=-0.1 * index),))
        for index, one in enumerate(joined.utterances)
    )
    return replace(link(replace(joined, utterances=felt), LinkOptions()), scorer=keys.scorer)


def _window(recording: Recording, index: int, marks: Sequence[str]) -> Window:
    start_s, end_s = index * WINDOW_S, (index + 1) * WINDOW_S
    one = heard(*marks, seed=index)
    answer = one.assign(one.speakers(SAME_VOICE_THRESHOLD, 1, 20), start_s, end_s)
    window = Window(recording, index, 0, start_s, end_s, np.empty(0, np.int16))
    utterances = [
        _utterance(start_s + begin, start_s + end, f"W{index}:{_local(answer.turns, start_s + begin + 0.5)}")
        for begin, end in _runs(marks)
    ]
    return replace(
        window,
        turns=answer.turns,
        embeddings=answer.embeddings,
        exclusive_turns=answer.exclusive_turns,
        utterances=tuple(utterances),
        kept=one.packed(),
    )


def _runs(marks: Sequence[str]) -> list[tuple[int, int]]:
    """The first second of each voice's stretch and the one after its last, by start."""
    found = []
    for one in marks:
        begin = len(one) - len(one.lstrip("."))
        found.append((begin, begin + len(one.strip("."))))
    return sorted(found)


def _utterance(start_s: float, end_s: float, speaker: str) -> Utterance:
    words = tuple(Word("yes", second + 0.1, second + 0.9, 0.9) for second in np.arange(start_s, end_s).tolist())
    first, last = words[0].start_s, words[-1].end_s
    assert first is not None
    assert last is not None
    return Utterance(first, last, 0, speaker, " ".join(word.word for word in words), words, language="en")


def _local(turns: Sequence[object], at_s: float) -> int:
    return next(turn.speaker for turn in turns if turn.start_s <= at_s < turn.end_s)  # type: ignore[attr-defined]

"""Recordings, answers and whole jobs without a model, for the tests of the lake."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmer_ray.errors import ErrorCode, Flag
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.plan import Plan, plan
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.run import Run, begin_run
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.profiles import Profile, RunOptions
from mmer_ray.records import (
    AudioFacts,
    CallMeasures,
    Emotion,
    Failure,
    Recording,
    ScoredRecording,
    Utterance,
    Word,
)
from mmer_ray.tables import FINGERPRINT_STAGES

FINGERPRINTS = {stage: f"{stage}-1" for stage in FINGERPRINT_STAGES}
EVERY_TABLE = ("recordings", "utterances", "words", "emotions", "calls")
NAMES_OF_A_RUN = ("run_id", "commit_id", "result_commit_id")
"""Columns that differ from run to run."""


def audio_file(folder: Path, name: str, content: bytes | None = None) -> Path:
    """A file that stands for audio; unless given, its bytes and its size follow from its name."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = hashlib.sha256(os.fsencode(name)).digest()
    path.write_bytes(seed * (1 + seed[0]) + b"." * seed[1] if content is None else content)
    return path


def listing(folder: Path, corpus: str = "calls") -> list[Recording]:
    """Every file of a folder as the source lists it."""
    return [recording_at(path, folder, corpus) for path in sorted(folder.rglob("*")) if path.is_file()]


def recording_at(path: Path, root: Path, corpus: str = "calls") -> Recording:
    facts = path.stat()
    return Recording(
        uri=str(path),
        corpus=corpus,
        root=str(root),
        size_bytes=facts.st_size,
        modified=str(facts.st_mtime_ns),
        day="2026-11-20",
        expected_s=facts.st_size / 1000,
        metadata={"queue": "refunds"},
    )


def digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def scored(recording: Recording, recording_id: str | None = None, scorer: str = "mmer@emotion-1") -> ScoredRecording:
    """A scored recording; everything in it follows from its bytes, as with real models."""
    if recording_id is None:
        recording_id = digest(Path(recording.uri).read_bytes())
    chance = random.Random(recording_id)
    utterances = tuple(_utterance(chance, index, scorer) for index in range(chance.randint(1, 4)))
    duration_s = utterances[-1].end_s + chance.randint(1, 16_000) / 16_000
    speech_s = sum(utterance.end_s - utterance.start_s for utterance in utterances)
    return ScoredRecording(
        recording=recording,
        status="scored",
        audio=AudioFacts(recording_id, duration_s, 2, 8_000, "pcm_s16le", "wav", (Flag.CLIPPED, Flag.NARROWBAND)),
        utterances=utterances,
        measures=CallMeasures(
            len(utterances), {"S1": speech_s}, 1.5, 0.0, 2, {"S1": 140.25}, 3.5, (0.25, None), 1.0, -0.5
        ),
        num_speakers=2,
        speech_s=speech_s,
        non_speech_s=duration_s - speech_s,
        language="en",
        language_p=0.99,
        stage_seconds={"decode": 0.5, "emotion": 0.25},
    )


def failed(recording: Recording, code: ErrorCode = ErrorCode.EMPTY_FILE) -> ScoredRecording:
    return ScoredRecording(recording, "failed", failure=Failure(code, "decode", f"no samples in {recording.uri}"))


def a_run(fingerprints: Mapping[str, str] = FINGERPRINTS) -> Run:
    return begin_run(Profile(name="test"), fingerprints)


def job(
    lake: Lake,
    recordings: Sequence[Recording],
    fingerprints: Mapping[str, str] = FINGERPRINTS,
    failing: Mapping[str, ErrorCode] | None = None,
    recordings_per_commit: int = 1,
) -> tuple[Plan, Ledger]:
    """Plan, score and write, committing after every few recordings. `failing` maps file names to codes."""
    todo = plan(recordings, lake, fingerprints)
    scorer = f"mmer@{fingerprints['emotion']}"
    with Writer(lake, a_run(fingerprints), todo, RunOptions(commit_every_s=1e9)) as writer:
        for position, recording in enumerate(todo.todo, start=1):
            code = (failing or {}).get(Path(recording.uri).name)
            writer.add(failed(recording, code) if code else scored(recording, scorer=scorer))
            if position % recordings_per_commit == 0:
                writer.commit()
        return todo, writer.finish()


def contents(address: str | Path) -> dict[str, list[dict[str, Any]]]:
    """All rows that a reader sees, but for the names of runs and commits."""
    with open_lake(address) as lake:
        tables = {name: lake.sql(f"FROM {name} ORDER BY ALL") for name in EVERY_TABLE}
    kept = {
        name: [column for column in table.column_names if column not in NAMES_OF_A_RUN]
        for name, table in tables.items()
    }
    return {name: table.select(kept[name]).to_pylist() for name, table in tables.items()}


def _utterance(chance: random.Random, index: int, scorer: str) -> Utterance:
    start_s = index * 4.0 + chance.randint(0, 999) / 1000
    words = tuple(
        Word(
            text,
            None if place == 1 else start_s + place,
            None if place == 1 else start_s + place + 0.5,
            chance.random(),
        )
        for place, text in enumerate(["thanks", "10", "refund"])
    )
    angry = chance.random() / 2
    emotion = Emotion(
        scorer=scorer,
        label="neutral",
        probabilities={"angry": angry, "neutral": 1 - angry - 0.1, "happy": 0.05, "sad": 0.05},
        confidence=1 - angry,
        valence=chance.uniform(-1, 1),
        arousal=chance.uniform(-1, 1),
    )
    return Utterance(
        start_s=start_s,
        end_s=start_s + 3.0,
        channel=index % 2,
        speaker=f"S{1 + index % 2}",
        text=" ".join(word.word for word in words),
        words=words,
        language="en",
        language_p=0.98,
        asr_logprob=-chance.random(),
        snr_db=chance.uniform(0, 40),
        emotions=(emotion,),
    )

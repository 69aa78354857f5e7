"""Recordings, answers and whole jobs without a model, for the tests of the lake."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from mmer_ray.errors import ErrorCode, Flag
from mmer_ray.lake.answer_tables import source_columns
from mmer_ray.lake.answers import Answers
from mmer_ray.lake.card import recording_id
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.plan import Plan
from mmer_ray.lake.planner import plan_job
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.run import Run, begin_run
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.profiles import Profile, RunOptions
from mmer_ray.records import (
    AudioFacts,
    CallMeasures,
    DroppedWords,
    Emotion,
    Failure,
    KeptPieces,
    Recording,
    ScoredRecording,
    SpeakerTurn,
    Task,
    Utterance,
    WindowPieces,
    Word,
)
from mmer_ray.stages.keys import Keys
from mmer_ray.tables import LISTED

STAGES = ("decode", "diarize", "transcribe", "join", "emotion", "link")
KEYS = Keys(*(f"{stage}-1" for stage in STAGES), scorer="mmer-1", limits="limits-1")
EVERY_TABLE = ("recordings", "results", "utterances", "words", "turns", "pieces", "emotions", "calls")
NAMES_OF_A_RUN = ("run_id", "commit_id")
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


def newer(stage: str, keys: Keys = KEYS, version: str = "2") -> Keys:
    """The keys once a stage gives other answers: its own and, since they chain, those of the stages after it."""
    if stage in ("limits", "scorer", "channel_roles"):
        return replace(keys, **{stage: version})
    after = STAGES[STAGES.index(stage) :]
    changed = replace(keys, **{name: f"{name}-{version}" for name in after})
    return replace(changed, scorer=f"mmer-{version}") if stage == "emotion" else changed


def listed(recordings: Sequence[Recording]) -> pa.RecordBatch:
    """Recordings as a source lists them, schema `LISTED`."""
    columns = source_columns(recordings) | {"root": pa.array([one.root for one in recordings], pa.string())}
    return pa.RecordBatch.from_arrays([columns[name] for name in LISTED.names], schema=LISTED)


def plan_of(
    recordings: Sequence[Recording], lake: Lake, keys: Keys = KEYS, options: RunOptions | None = None, **more: Any
) -> Plan:
    """`more`: `now` and `erased` of `plan_job`."""
    return plan_job([listed(recordings)] if recordings else [], lake, keys, options, **more)


def content_digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def audio_id(content: bytes, key: bytes = b"mmer_ray") -> str:
    """The recording_id of these bytes."""
    return recording_id(content_digest(content), key)


def answer(task: Task, keys: Keys = KEYS, whole: ScoredRecording | None = None) -> ScoredRecording:
    """What a pipeline makes of a task: the steps from its restart point on. `whole` is what all steps make of it."""
    whole = whole or scored(task.recording, keys=keys)
    if task.restart == "decode":
        return whole
    assert task.known is not None
    felt = task.restart == "emotion"
    assert all(one.emotions == () for one in task.known.utterances) if felt else True
    source = (whole if felt else task.known).utterances
    # Recordings of other makers have other utterances: the model's answers then go round.
    spoken = [
        replace(one, emotions=source[index % len(source)].emotions) for index, one in enumerate(task.known.utterances)
    ]
    assert task.known.audio is not None
    assert whole.audio is not None
    audio = replace(task.known.audio, content_digest=whole.audio.content_digest) if felt else task.known.audio
    return replace(
        task.known,
        restart=task.restart,
        audio=audio,
        utterances=tuple(spoken),
        measures=whole.measures,
        stage_seconds=whole.stage_seconds,
    )


def scored(recording: Recording, digest: str | None = None, keys: Keys = KEYS) -> ScoredRecording:
    """A scored recording; everything in it follows from its bytes and the models, as with real ones."""
    if digest is None:
        digest = content_digest(Path(recording.uri).read_bytes())
    chance = random.Random(f"{digest} {keys.transcribe}")
    scorer = keys.scorer
    num_utterances = random.Random(digest).randint(1, 4)
    utterances = tuple(_utterance(chance, index, scorer) for index in range(num_utterances))
    duration_s = utterances[-1].end_s + chance.randint(1, 16_000) / 16_000
    speech_s = sum(utterance.end_s - utterance.start_s for utterance in utterances)
    return ScoredRecording(
        recording=recording,
        status="scored",
        audio=AudioFacts(digest, duration_s, 2, 8_000, "pcm_s16le", "wav", _flags(recording)),
        utterances=utterances,
        measures=CallMeasures(
            len(utterances), {"S1": speech_s}, 1.5, 0.0, 2, {"S1": 140.25}, 3.5, (0.25, None), 1.0, -0.5
        ),
        num_speakers=2,
        speech_s=speech_s,
        non_speech_s=duration_s - speech_s,
        language="en",
        language_p=0.99,
        turns=tuple(SpeakerTurn(one.start_s - 0.1, one.end_s + 0.1, one.channel, one.speaker) for one in utterances),
        pieces=(
            WindowPieces(0, 0, 0, round(duration_s * 16_000), False, KeptPieces(1, chance.randbytes(384), b"\x07")),
        ),
        dropped=(DroppedWords("repeated", 3, 0.1, 0.9), DroppedWords("no_speech", 2, 1.0, 1.5)),
        scorer=scorer,
        stage_seconds={"decode": 0.5, "emotion": 0.25},
        gpu_seconds={"emotion": 0.125},
    )


def _flags(recording: Recording) -> tuple[Flag, ...]:
    lies = (Flag.MISLABELLED,) if recording.uri.endswith(".flac") else ()
    return (Flag.CLIPPED, Flag.NARROWBAND, *lies)


def failed(recording: Recording, code: ErrorCode = ErrorCode.EMPTY_FILE) -> ScoredRecording:
    return ScoredRecording(recording, "failed", failure=Failure(code, "decode", f"no samples in {recording.uri}"))


def a_run(keys: Keys = KEYS) -> Run:
    return begin_run(Profile(name="test"), keys)


def job(
    lake: Lake,
    recordings: Sequence[Recording],
    keys: Keys = KEYS,
    failing: Mapping[str, ErrorCode] | None = None,
    recordings_per_commit: int = 1,
    **now: datetime,
) -> tuple[Plan, Ledger]:
    """Plan, score and write, committing after every few recordings. `failing` maps file names to codes."""
    return work(lake, plan_of(recordings, lake, keys, **now), failing, recordings_per_commit)


def work(
    lake: Lake, plan: Plan, failing: Mapping[str, ErrorCode] | None = None, recordings_per_commit: int = 1
) -> tuple[Plan, Ledger]:
    """Do what a plan says."""
    with Writer(lake, a_run(plan.keys), plan, RunOptions(commit_every_s=1e9)) as writer:
        for position, task in enumerate(plan.tasks(lake, plan.todo), start=1):
            code = (failing or {}).get(Path(task.recording.uri).name)
            writer.add(taken(failed(task.recording, code) if code else answer(task, plan.keys), keys=plan.keys))
            if position % recordings_per_commit == 0:
                writer.commit()
        return plan, writer.finish()


def taken(*scored: ScoredRecording, keys: Keys = KEYS) -> Answers:
    """Answers as they reach the driver."""
    return Answers.from_bytes(Answers.of(scored, keys).to_bytes())


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
        speaker_is_channel=True,
        text=" ".join(word.word for word in words),
        words=words,
        language="en",
        language_p=0.98,
        asr_logprob=-chance.random(),
        snr_db=chance.uniform(0, 40),
        emotions=(emotion,),
    )

"""How many finished recordings a minute can the driver take, and does its memory stay flat?

Answers of five-minute calls (80 utterances, 750 words), as bytes as they come from an actor, go through
`Answers.from_bytes`, `Writer.add` and its commits into a lake in a temporary folder. Nothing is decoded or scored.
Prints a JSON line per `--report` recordings: recordings a minute and the most resident memory since the last one.
Memory rises and falls with every commit, so the moment of a report says little; the peak between two reports says
whether it grows.

    python benchmarks/driver_rate.py [--recordings 50000] [--shard 6] [--report 10000] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from mmer_ray.lake.answers import Answers
from mmer_ray.lake.plan import TODO, Plan
from mmer_ray.lake.run import begin_run
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.profiles import Profile
from mmer_ray.records import (
    AudioFacts,
    CallMeasures,
    Emotion,
    Recording,
    ScoredRecording,
    SpeakerTurn,
    Utterance,
    Word,
)
from mmer_ray.stages.keys import Keys

KEYS = Keys("decode", "diarize", "transcribe", "join", "emotion", "link", scorer="mmer-12345678", limits="limits")
DURATION_S = 300.0
NUM_UTTERANCES, NUM_WORDS = 80, 750
VOCABULARY = [f"word{number}" for number in range(5_000)]
NUM_TEMPLATES = 200
"""Different calls; each is sent under many names."""


def recording(number: int) -> Recording:
    return Recording(
        f"/calls/2026/11/{number % 30:02d}/call-{number:08d}.wav",
        corpus="calls",
        size_bytes=4_800_000 + number,
        modified=str(1_700_000_000_000_000_000 + number),
        day=f"2026-11-{1 + number % 30:02d}",
        expected_s=DURATION_S,
        metadata={"queue": f"queue-{number % 7}", "agent": f"agent-{number % 97}"},
    )


def call(chance: random.Random) -> ScoredRecording:
    """One call's answer, with values as different as real ones are."""
    step_s = DURATION_S / NUM_UTTERANCES
    utterances = tuple(_utterance(chance, round(number * step_s, 3)) for number in range(NUM_UTTERANCES))
    speech_s = sum(one.end_s - one.start_s for one in utterances)
    talk_s = {"S1": speech_s / 2, "S2": speech_s / 2}
    return ScoredRecording(
        recording(0),
        "scored",
        audio=AudioFacts("", DURATION_S, 2, 8_000, "pcm_s16le", "wav"),
        utterances=utterances,
        turns=tuple(SpeakerTurn(one.start_s, one.end_s, one.channel, one.speaker) for one in utterances),
        scorer=KEYS.scorer,
        measures=CallMeasures(len(utterances), talk_s, 60.0, 2.0, 3, {"S1": 140.0, "S2": 150.0}, 20.0, (0.1,) * 4, 9.0),
        num_speakers=2,
        speech_s=speech_s,
        non_speech_s=DURATION_S - speech_s,
        language="en",
        language_p=0.99,
        stage_seconds={"decode": 1.0, "transcribe": 3.0, "emotion": 2.0},
    )


def _utterance(chance: random.Random, start_s: float) -> Utterance:
    num_words = NUM_WORDS // NUM_UTTERANCES + (chance.random() < NUM_WORDS % NUM_UTTERANCES / NUM_UTTERANCES)
    texts = chance.choices(VOCABULARY, k=num_words)
    words = tuple(
        Word(text, round(at_s, 3), round(at_s + chance.uniform(0.1, 0.3), 3), chance.random())
        for at_s, text in ((start_s + 0.3 * place, text) for place, text in enumerate(texts))
    )
    chances = [chance.random() for _ in range(4)]
    channel = chance.randrange(2)
    emotion = Emotion(
        KEYS.scorer,
        "neutral",
        dict(zip(("angry", "happy", "neutral", "sad"), (one / sum(chances) for one in chances), strict=True)),
        confidence=max(chances) / sum(chances),
        valence=chance.uniform(-1, 1),
        arousal=chance.uniform(-1, 1),
    )
    return Utterance(
        start_s,
        round(start_s + 0.3 * num_words, 3),
        channel,
        f"S{1 + channel}",
        " ".join(texts),
        words,
        language="en",
        language_p=0.99,
        asr_logprob=-chance.random(),
        snr_db=chance.uniform(0, 40),
        speaker_is_channel=True,
        emotions=(emotion,),
    )


def shards(templates: list[ScoredRecording], num_recordings: int, shard: int) -> Iterator[bytes]:
    """What the actors send, `shard` recordings at a time: made of a few templates, so that making costs little."""
    for start in range(0, num_recordings, shard):
        yield shard_bytes(templates, range(start, min(start + shard, num_recordings)))


def shard_bytes(templates: list[ScoredRecording], numbers: range) -> bytes:
    scored = []
    for number in numbers:
        one = templates[number % len(templates)]
        assert one.audio is not None
        scored.append(
            replace(one, recording=recording(number), audio=replace(one.audio, content_digest=f"{number:032x}"))
        )
    return Answers.of(scored, KEYS).to_bytes()


def todo(num_recordings: int) -> pa.Table:
    """The plan's table, made directly: nothing is listed."""
    every = range(num_recordings)
    ones = [recording(number) for number in range(1)]
    columns = {
        "corpus": pa.repeat("calls", num_recordings),
        "uri": pa.array([recording(number).uri for number in every]),
        "root": pa.repeat("", num_recordings),
        "size_bytes": pa.array([4_800_000 + number for number in every], pa.int64()),
        "modified": pa.repeat(ones[0].modified, num_recordings),
        "day": pa.nulls(num_recordings, pa.date32()),
        "expected_ms": pa.repeat(pa.scalar(int(DURATION_S * 1000), pa.int32()), num_recordings),
        "metadata": pa.nulls(num_recordings, TODO.field("metadata").type),
        "attempt": pa.repeat(pa.scalar(1, pa.int32()), num_recordings),
        "recording_id": pa.nulls(num_recordings, pa.string()),
        "restart": pa.repeat("decode", num_recordings),
        "needs_row": pa.repeat(pa.scalar(True), num_recordings),
        "heard_key": pa.repeat(KEYS.heard, num_recordings),
    }
    return pa.Table.from_arrays([columns[name] for name in TODO.names], schema=TODO)


def peak_mb() -> float:
    """The most resident memory since the last call, of Linux."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return kib * 1024 / 1e6


def measure(folder: Path, num_recordings: int, shard: int, report: int) -> None:
    chance = random.Random(0)
    templates = [call(chance) for _ in range(NUM_TEMPLATES)]
    plan = Plan(KEYS, todo(num_recordings))
    run = begin_run(Profile(name="benchmark"), KEYS)
    done, busy_s, cpu_s = 0, 0.0, 0.0
    since, since_s, since_cpu_s = 0, 0.0, 0.0
    with Writer(Lake(folder / "lake"), run, plan) as writer:
        for data in shards(templates, num_recordings, shard):
            start_s, start_cpu_s = time.perf_counter(), time.process_time()
            done += writer.add(Answers.from_bytes(data)).num_rows
            if writer.due():
                writer.commit()
            if done == num_recordings:
                writer.commit()
            busy_s += time.perf_counter() - start_s
            cpu_s += time.process_time() - start_cpu_s
            if done - since >= report or done == num_recordings:
                row = {
                    "recordings": done,
                    "per_minute": round((done - since) / (busy_s - since_s) * 60),
                    "per_cpu_minute": round((done - since) / (cpu_s - since_cpu_s) * 60),
                    "peak_mb": round(peak_mb()),
                    "bytes_per_recording": len(data) // shard,
                }
                print(json.dumps(row), flush=True)
                since, since_s, since_cpu_s = done, busy_s, cpu_s
        start_s = time.perf_counter()
        ledger = writer.finish()
    assert ledger.num_scored == num_recordings
    every_minute = round(num_recordings / busy_s * 60)
    print(
        json.dumps(
            {"recordings": num_recordings, "per_minute": every_minute, "end_s": round(time.perf_counter() - start_s, 1)}
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=50_000)
    parser.add_argument("--shard", type=int, default=6, help="recordings in one answer of an actor")
    parser.add_argument("--report", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        profiler = cProfile.Profile()
        if options.profile:
            profiler.enable()
        measure(Path(folder), options.recordings, options.shard, options.report)
        if options.profile:
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()

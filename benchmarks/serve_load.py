"""The endpoint under load: how much audio a second, how long a client waits, and what is lost.

    python benchmarks/serve_load.py [--clients 1 4 16 64] [--seconds 12] [--rounds 1] [--profile embedded] [--over 160]

Clients ask one clip after the other, each as soon as the last was answered: mono WAV of 2 to 30 s, cut from the demo's
calls. All take the clips in turn, so that every window has the same mix: a second of a short one costs more. Three
systems have the same `OnlineScorer` and the same cores:

- ours: `mmer serve`, Ray Serve with one replica;
- one at a time: a plain FastAPI handler that scores a request while the others wait;
- in process: no HTTP, 64 clips at a time from threads: what the models can do.

All three are loaded all the time; one works at a time, so that rounds can alternate. Audio seconds are counted of
answers from the end of the first batch to that of the last within the window, which is long enough for an answer to
each client and then one to each clip. Of ours, nobody asks anything new then, and what is under way is waited for: its
latencies count too. A lost answer is one that did not come, came with another status than 200, 429 or 503, or speaks
of a clip of another length. Health is asked ten times a second by a process of its own, late answers counted from the
moment at which they were due. At last, more clients than the endpoint admits: every answer must be 200, 429 or 503.

Clients and server share the machine: what clients and HTTP cost is in the figures. The default run takes some ten
minutes; `--seconds 60 --rounds 3` is a measured one.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import math
import multiprocessing
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import IO, Any, NamedTuple

import httpx
import numpy as np
import soundfile
from fastapi import UploadFile

NUM_CLIPS, CLIP_S = 24, (2.0, 30.0)
LENGTH_STEP_S = 0.05
"""An answer's clip is its own if the lengths differ by less."""
HEALTH_EVERY_S = 0.1
START_S, ANSWER_S = 120.0, 600.0
SATURATING = 64
PAUSE_S = 1.0
BATCH_END_S = 0.5
"""Answers of one batch come within this time."""
HERE = Path(__file__).resolve()


@dataclass(frozen=True)
class Clip:
    sound: bytes
    seconds: float


class Arrival(NamedTuple):
    """An answer: when it came, and how long its clip is."""

    at_s: float
    clip_s: float


def enough(clients: int) -> int:
    """Answers that a window holds at least: one for each client, and then every clip once."""
    return clients + NUM_CLIPS


def rate(arrivals: Sequence[Arrival]) -> float:
    """Audio seconds a second from the end of the first batch to the end of the last: answers come in batches."""
    arrivals = sorted(arrivals)
    if not arrivals:
        return 0.0
    first = [one for one in arrivals if one.at_s <= arrivals[0].at_s + BATCH_END_S]
    rest = arrivals[len(first) :]
    return sum(one.clip_s for one in rest) / (rest[-1].at_s - first[-1].at_s) if rest else 0.0


@dataclass
class Level:
    """What came of so many clients."""

    clients: int
    arrivals: list[Arrival] = field(default_factory=list)
    """Of answers within the window."""
    latencies_s: list[float] = field(default_factory=list)
    health_s: list[float] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    drains: bool = True
    """Whether all that was asked was waited for: else the slow ones are missing among the latencies."""

    @property
    def speed(self) -> float:
        """Audio seconds a second."""
        return rate(self.arrivals)

    def row(self, name: str) -> str:
        shown = self.latencies_s if self.drains else []
        waits = " ".join(f"{quantile(shown, share):8.2f}" for share in (0.5, 0.95, 0.99))
        health = f"{1000 * quantile(self.health_s, 0.99):7.0f}" if self.health_s else "      -"
        losses = f"refused {dict(self.refused)}, lost {dict(self.lost) or 0}"
        return f"{name:14} {self.clients:7} {len(self.latencies_s):7} {self.speed:8.1f} {waits} {health}   {losses}"


HEADER = f"{'system':14} clients answers  audio/s   p50 s    p95 s    p99 s   health p99 ms"


def quantile(values: Sequence[float], share: float) -> float:
    return float(np.quantile(values, share)) if values else float("nan")


def cut_clips(seed: int = 0) -> list[Clip]:
    """Clips of 2 to 30 s from all demo calls, mixed to one channel."""
    from mmer_ray.demo.truth import CALLS

    chance = random.Random(seed)
    calls = [soundfile.read(file, dtype="float32", always_2d=True) for file in sorted(CALLS.glob("*.opus"))]
    clips = []
    for _ in range(NUM_CLIPS):
        samples, rate_hz = chance.choice(calls)
        length = min(len(samples), int(chance.uniform(*CLIP_S) * rate_hz))
        start = chance.randrange(len(samples) - length + 1)
        part = samples[start : start + length].mean(axis=1)
        file = io.BytesIO()
        soundfile.write(file, part, rate_hz, format="WAV", subtype="PCM_16")
        clips.append(Clip(file.getvalue(), length / rate_hz))
    return clips


async def load(address: str, clips: Sequence[Clip], clients: int, seconds: float, drains: bool) -> Level:
    """Ask with so many clients at once, until the window is over and, with `drains`, has `enough` answers.

    Without `drains` they hang up then; with it they wait for what they asked.
    """
    level, turns, begun = Level(clients, drains=drains), itertools.cycle(clips), time.monotonic()

    def goes_on() -> bool:
        return time.monotonic() < begun + seconds or (drains and len(level.arrivals) < enough(clients))

    async def ask(client: httpx.AsyncClient) -> None:
        while goes_on():
            await _ask_one(client, next(turns), level, goes_on)

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=ANSWER_S, limits=limits) as client:
        asking = [asyncio.create_task(ask(client)) for _ in range(clients)]
        await asyncio.wait(asking, timeout=None if drains else seconds)
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    return level


async def _ask_one(client: httpx.AsyncClient, clip: Clip, level: Level, goes_on: Callable[[], bool]) -> None:
    lost, begun = level.lost.total(), time.monotonic()
    try:
        answer = await client.post(
            "/v1/audio/transcriptions",
            files={"file": ("clip.wav", clip.sound, "audio/wav")},
            data={"model": "whisper-1", "response_format": "verbose_json"},
        )
    except httpx.HTTPError as error:
        level.lost[type(error).__name__] += 1
    else:
        await _count(answer, clip, time.monotonic() - begun, level, goes_on)
    if level.lost.total() > lost:
        await asyncio.sleep(PAUSE_S)


async def _count(
    answer: httpx.Response, clip: Clip, latency_s: float, level: Level, goes_on: Callable[[], bool]
) -> None:
    if answer.status_code in (429, 503):
        level.refused[answer.status_code] += 1
        await asyncio.sleep(float(answer.headers["retry-after"]))
    elif answer.status_code != 200:
        level.lost[str(answer.status_code)] += 1
    elif abs(float(answer.json()["duration"]) - clip.seconds) > LENGTH_STEP_S:
        level.lost["another clip's"] += 1
    else:
        level.latencies_s.append(latency_s)
        if goes_on():
            level.arrivals.append(Arrival(time.monotonic(), clip.seconds))


def watch_health(address: str, stop: Event, into: Any) -> None:
    """In a process of its own: seconds from when an answer was due."""
    waits = []
    with httpx.Client(base_url=address, timeout=30) as client:
        due = time.monotonic()
        while not stop.is_set():
            time.sleep(max(0.0, due - time.monotonic()))
            client.get("/healthz").raise_for_status()
            waits.append(time.monotonic() - due)
            due += HEALTH_EVERY_S
    into.send(waits)


def measured(address: str, clips: Sequence[Clip], clients: int, seconds: float, drains: bool = True) -> Level:
    """A level with health asked beside it."""
    context = multiprocessing.get_context("spawn")
    stop, (ours, theirs) = context.Event(), context.Pipe()
    watching = context.Process(target=watch_health, args=(address, stop, theirs))
    watching.start()
    try:
        level = asyncio.run(load(address, clips, clients, seconds, drains))
    finally:
        stop.set()
    level.health_s = ours.recv() if ours.poll(60) else []
    watching.join()
    time.sleep(PAUSE_S)
    return level


@contextmanager
def started(command: Sequence[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that said its first line."""
    with tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(HERE.parents[1]), **environment},
        )
        try:
            assert child.stdout is not None
            if not child.stdout.readline():
                err.seek(0)
                sys.exit(f"{' '.join(command)} did not start:\n{err.read()}")
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(START_S)


def serve_one_at_a_time(profile: str, cores: int, port: int) -> None:
    """The rival: what one writes first."""
    import uvicorn
    from fastapi import FastAPI

    from mmer_ray.profiles import load_profile
    from mmer_ray.serving.interface import Asked
    from mmer_ray.serving.scorer import OnlineScorer

    app, turn = FastAPI(), asyncio.Lock()
    scorer = OnlineScorer(load_profile(profile, [f"serve.threads_per_replica={cores}"]))

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {}

    @app.post("/v1/audio/transcriptions")
    async def transcribe(file: UploadFile) -> dict[str, Any]:
        sound = await file.read()
        async with turn:
            scored = await asyncio.to_thread(scorer.score, Asked(sound))
        assert scored.audio is not None
        return {"duration": scored.audio.duration_s, "text": " ".join(one.text for one in scored.utterances)}

    print("ready", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


def score_in_process(profile: str, cores: int) -> None:
    """The rival without HTTP: for each line with seconds on stdin, audio seconds a second on stdout."""
    from mmer_ray.profiles import load_profile
    from mmer_ray.serving.interface import Asked
    from mmer_ray.serving.scorer import OnlineScorer

    clips = cut_clips()
    with OnlineScorer(load_profile(profile, [f"serve.threads_per_replica={cores}"])) as scorer:
        print("ready", flush=True)
        for line in sys.stdin:
            print(_saturated(scorer, Asked, clips, float(line)), flush=True)


def _saturated(scorer: Any, asked: Any, clips: Sequence[Clip], seconds: float) -> float:
    from mmer_ray.pipelines.scoring import WorkStoppedError

    turns, over = itertools.cycle(clips), threading.Event()
    done: list[Arrival] = []

    def one_after_the_other() -> None:
        with suppress(WorkStoppedError):
            while not over.is_set():
                clip = next(turns)
                scorer.score(asked(clip.sound), over)
                done.append(Arrival(time.monotonic(), clip.seconds))

    begun = time.monotonic()
    with ThreadPoolExecutor(SATURATING) as threads:
        for _ in range(SATURATING):
            threads.submit(one_after_the_other)
        while time.monotonic() < begun + seconds or len(done) < enough(SATURATING):
            time.sleep(0.1)
        found = rate(done)
        over.set()
    return found


def said(child: subprocess.Popen[str], line: IO[str] | None, seconds: float) -> float:
    """Let the process without HTTP work for a while; its figure."""
    assert child.stdin is not None
    assert line is not None
    child.stdin.write(f"{seconds}\n")
    child.stdin.flush()
    figure = float(line.readline())
    time.sleep(PAUSE_S)
    return figure


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def compare(wanted: argparse.Namespace) -> dict[str, list[Level] | list[float]]:
    cores, clips = len(os.sched_getaffinity(0)), cut_clips()
    ports = free_port(), free_port()
    own = [sys.executable, str(HERE), "--profile", wanted.profile, "--cores", str(cores)]
    found: dict[str, list[Any]] = {"ours": [], "one at a time": [], "in process": []}
    with ExitStack() as exits:
        state = exits.enter_context(tempfile.TemporaryDirectory())
        serve = [sys.executable, "-m", "mmer_ray", "serve", "--profile", wanted.profile, "--port", str(ports[0])]
        serve += ["--insecure-no-auth", "--set", f'serve.state="{state}"']
        begun = time.monotonic()
        exits.enter_context(started([*serve, "--set", f"serve.threads_per_replica={cores}"]))
        print(f"mmer serve answers after {time.monotonic() - begun:.1f} s; {cores} cores, profile {wanted.profile}")
        exits.enter_context(started([*own, "--as", "one-at-a-time", "--port", str(ports[1])], OMP_NUM_THREADS="1"))
        child = exits.enter_context(started([*own, "--as", "in-process"], OMP_NUM_THREADS="1"))
        print(HEADER, flush=True)
        for _ in range(wanted.rounds):
            for clients in wanted.clients:
                few, most = min(wanted.clients), max(wanted.clients)
                for name, port in zip(("ours", "one at a time"), ports, strict=True):
                    if name == "ours" or clients in (few, most):
                        drains = name == "ours" or clients == few
                        level = measured(f"http://127.0.0.1:{port}", clips, clients, wanted.seconds, drains)
                        found[name].append(level)
                        print(level.row(name), flush=True)
            found["in process"].append(said(child, child.stdout, wanted.seconds))
            print(f"{'in process':14} {SATURATING:7} {'':7} {found['in process'][-1]:8.1f}", flush=True)
        if wanted.over:
            level = measured(f"http://127.0.0.1:{ports[0]}", clips, wanted.over, wanted.seconds, drains=False)
            print(level.row("over limit"))
    return found


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}, {len(values)} rounds)"


def summary(found: dict[str, list[Any]], most: int) -> None:
    """Ratios of the levels with most clients, round by round."""
    ours, plain = ([level.speed for level in found[name] if level.clients == most] for name in list(found)[:2])
    for name, rival in (("in process", found["in process"]), ("one at a time", plain)):
        # A rival that answered nothing within the window has no ratio.
        ratios = [mine / (theirs or math.nan) for mine, theirs in zip(ours, rival, strict=True)]
        print(f"audio a second, {most} clients, ours / {name}: {spread(ratios)}")
    levels = found["ours"]
    print(f"lost answers of ours: {sum(level.lost.total() for level in levels)}")
    worst = max(quantile(level.health_s, 0.99) for level in levels)
    print(f"health p99 of the worst level of ours: {1000 * worst:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--seconds", type=float, default=12.0, help="the window of each level")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--over", type=int, default=160, help="clients beyond what is admitted; 0: none")
    parser.add_argument("--as", dest="role", help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.role == "one-at-a-time":
        serve_one_at_a_time(wanted.profile, wanted.cores, wanted.port)
    elif wanted.role == "in-process":
        score_in_process(wanted.profile, wanted.cores)
    else:
        summary(compare(wanted), max(wanted.clients))


if __name__ == "__main__":
    main()

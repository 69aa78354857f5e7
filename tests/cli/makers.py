"""Conversations, a lake made through the real writer, and processes that run `mmer`."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmer_ray.errors import Flag
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.records import (
    AudioFacts,
    CallMeasures,
    DroppedWords,
    Emotion,
    Recording,
    ScoredRecording,
    Utterance,
    Word,
)
from tests.lake.makers import KEYS, a_run, content_digest, plan_of, taken

ROLES = replace(KEYS, channel_roles=("agent", "customer"))

HOSTILE = "red \x1b[31malert\x1b[0m \x9b2J --> <b>\u202eevil</b>"
HOUR_S = 3_600.0


def said(
    start_s: float,
    end_s: float,
    text: str,
    speaker: str = "S1",
    *,
    channel: int = 0,
    role: str | None = None,
    label: str | None = "neutral",
    p_angry: float = 0.0,
) -> Utterance:
    """An utterance with evenly spread words and one emotion."""
    texts = text.split()
    step_s = (end_s - start_s) / max(len(texts), 1)
    words = tuple(Word(word, start_s + at * step_s, start_s + (at + 1) * step_s, 0.9) for at, word in enumerate(texts))
    emotion = Emotion(
        scorer=KEYS.scorer,
        label=label,
        probabilities={"angry": p_angry, "neutral": 1 - p_angry} if label else {},
        confidence=max(p_angry, 1 - p_angry) if label else None,
        skip_reason=None if label else "too_short",
    )
    return Utterance(
        start_s,
        end_s,
        channel=channel,
        speaker=speaker,
        text=text,
        words=words,
        role=role,
        speaker_is_channel=role is not None,
        emotions=(emotion,),
    )


def scored_as(recording: Recording, utterances: Sequence[Utterance], duration_s: float) -> ScoredRecording:
    """A scored recording with exactly these utterances."""
    talk_s: dict[str, float] = {}
    for one in utterances:
        talk_s[one.speaker] = talk_s.get(one.speaker, 0.0) + one.end_s - one.start_s
    speech_s = min(sum(talk_s.values()), duration_s)
    flags = () if utterances else (Flag.NO_SPEECH,)
    container = "ogg" if recording.uri.endswith(".opus") else "wav"
    return ScoredRecording(
        recording=recording,
        status="scored",
        audio=AudioFacts(
            content_digest(Path(recording.uri).read_bytes()), duration_s, 2, 8_000, "opus", container, flags
        ),
        utterances=tuple(utterances),
        measures=CallMeasures(
            len(utterances), talk_s, duration_s - speech_s, 0.5, 1, dict.fromkeys(talk_s, 120.0), 12.0, (), 40.0, -0.25
        ),
        num_speakers=len(talk_s),
        speech_s=speech_s,
        non_speech_s=duration_s - speech_s,
        language="en" if utterances else None,
        dropped=(DroppedWords("repeated", 3, 0.1, 0.9), DroppedWords("no_speech", 2, 1.0, 1.5)),
    )


def write_lake(folder: Path, answers: Callable[[Recording], ScoredRecording], recordings: Sequence[Recording]) -> None:
    """A finished job over `recordings`, through the real planner and writer."""
    lake = Lake(folder)
    plan = plan_of(recordings, lake, ROLES)
    with Writer(lake, a_run(ROLES), plan) as writer:
        for task in plan.tasks(lake, plan.todo):
            writer.add(taken(answers(task.recording), keys=ROLES))


CALL = [
    said(0.5, 3.0, "good morning how can i help", "S1", role="agent"),
    said(3.5, 8.0, "my parcel is broken again", "S2", channel=1, role="customer", label="angry", p_angry=0.9),
    said(8.0, 8.2, "oh", "S1", role="agent", label=None),
]
HOUR = [
    said(at_s, at_s + 8.0, f"sentence number {number}", f"S{1 + number % 2}")
    for number, at_s in enumerate(range(0, int(HOUR_S), 10))
    if not 1_000 <= at_s < 1_030
]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def process(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process that runs `script`, then the command line with `arguments`."""
    source = f"{script}\nimport sys\nfrom mmer_ray.cli import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def on_terminal(script: str, *arguments: object, columns: int = 60) -> str:
    """What a terminal gets from the command, both streams."""
    ours, theirs = pty.openpty()
    source = f"{script}\nimport sys\nfrom mmer_ray.cli import main\nsys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "50", "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-c", source, *map(str, arguments)]
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    pieces: list[bytes] = []
    try:
        while piece := os.read(ours, 65_536):
            pieces.append(piece)
    except OSError:  # EIO: the other side is closed
        pass
    child.wait()
    os.close(ours)
    return b"".join(pieces).decode()

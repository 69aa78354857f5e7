"""Small corpora in the layouts that they are published in: sounds of our own, one for all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile

from mmer_ray.training.corpora.iemocap_names import COUNTS

TEXTS = ("I told you twice.", "[LAUGHTER]", "What do you want from me now, tell me?", "No.")
"""One of them has no words."""
SCENES = ("impro01", "impro02", "script01_1", "script02_1")


def write_sounds(paths: Iterable[Path]) -> None:
    """The same tenth of a second under many names."""
    first: Path | None = None
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if first is None:
            tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(1_600) / 16_000)
            soundfile.write(path, tone, 16_000)
            first = path
        else:
            os.link(first, path)


def write_csv(path: Path, lines: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def iemocap_turns() -> list[tuple[str, str, str]]:
    """Name, code and text of 5,531 turns, as many of each session and code as released, and one more without label."""
    turns = []
    for session, counts in COUNTS.items():
        prefix = f"Ses0{session[-1]}"
        names = (
            (f"{prefix}{first}_{scene}", who) for first, scene, who in cycle(
                [(first, scene, who) for first in "FM" for scene in SCENES for who in "FM"]
            )
        )  # fmt: skip
        texts = cycle(TEXTS)
        for number, code in enumerate(code for code, count in counts.items() for _ in range(count)):
            dialogue, who = next(names)
            turns.append((f"{dialogue}_{who}{number:03d}", code, next(texts)))
        turns.append((f"{prefix}F_impro01_F900", "xxx", "Whatever."))
    return turns


def make_iemocap(root: Path, turns: Sequence[tuple[str, str, str]]) -> Path:
    """A release with these turns."""
    evaluations: dict[str, list[str]] = {}
    said: dict[str, list[str]] = {}
    for number, (name, code, text) in enumerate(turns):
        dialogue = name.rpartition("_")[0]
        start, end = f"{number}.0000", f"{number + 1}.0000"
        evaluations.setdefault(dialogue, ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]).extend(
            [
                f"[{start} - {end}]\t{name}\t{code}\t[2.0000, 3.5000, 4.0000]",
                "C-E2:\tAnger;\t()",
                "C-E3:\tAnger; Frustration;\t(both)",
                "C-F1:\tHappiness;\t()",
                "A-E3:\tval 2; act 4; dom  4;\t()",
                "",
            ]
        )
        said.setdefault(dialogue, []).append(f"{name} [{start}-{end}]: {text}")
    for dialogue, lines in evaluations.items():
        top = root / f"Session{dialogue[4]}" / "dialog"
        write_csv(top / "EmoEvaluation" / f"{dialogue}.txt", lines)
        write_csv(top / "transcriptions" / f"{dialogue}.txt", said[dialogue])
    write_sounds(
        root / f"Session{name[4]}" / "sentences" / "wav" / name.rpartition("_")[0] / f"{name}.wav"
        for name, _, _ in turns
    )
    return root


def make_ravdess(root: Path, num_actors: int, emotions: str = "12345678") -> Path:
    write_sounds(
        root / f"Actor_{actor:02d}" / f"03-01-0{emotion}-01-0{sentence}-01-{actor:02d}.wav"
        for actor in range(1, num_actors + 1)
        for emotion in emotions
        for sentence in (1, 2)
    )
    return root

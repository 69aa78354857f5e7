"""A lake with planted words and names, a search for them in every byte that lies in it, and erasures that die."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mmer_ray.failpoint import VARIABLE
from mmer_ray.lake.erasure import erase_recordings, erase_speaker, find_recordings
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.profiles import RunOptions
from mmer_ray.records import Recording, ScoredRecording, Word
from mmer_ray.stages.keys import Keys
from tests.lake.makers import EVERY_TABLE, KEYS, a_run, answer, audio_file, audio_id, listing, plan_of, scored, taken

WORDS = ("zebrafinch", "quokkamoon")
"""Said in the erased recording alone."""
ERASED = "erased.wav"
FILES = ("a.wav", ERASED, "sub/erased-copy.wav", "z.wav")


def canary_lake(folder: Path, keys: Keys = KEYS) -> tuple[Lake, list[str]]:
    """A lake with four files, two of them with the same bytes, in commits of one and two recordings, and what must not
    be found in it once these two are erased."""
    audio = folder / "audio"
    for name in FILES:
        audio_file(audio, name, (audio / ERASED).read_bytes() if "copy" in name else None)
    lake = Lake(folder / "lake")
    write(lake, listing(audio), keys)
    return lake, [*WORDS, "erased.wav", "erased-copy.wav", audio_id((audio / ERASED).read_bytes())]


def write(lake: Lake, recordings: Sequence[Recording], keys: Keys = KEYS) -> None:
    """Score them, with a commit after every second one."""
    plan = plan_of(recordings, lake, keys)
    with Writer(lake, a_run(keys), plan, RunOptions(commit_every_s=1e9)) as writer:
        for position, task in enumerate(plan.tasks(lake, plan.todo), start=1):
            said = spoken(task.recording, keys) if task.restart == "decode" else answer(task, keys)
            writer.add(taken(said, keys=keys))
            if position % 2 == 0:
                writer.commit()


def spoken(recording: Recording, keys: Keys = KEYS) -> ScoredRecording:
    """A scored recording; in the erased one the canary words are said."""
    whole = scored(recording, keys=keys)
    if "erased" not in Path(recording.uri).name:
        return whole
    words = tuple(Word(text, None, None, 0.5) for text in WORDS)
    first = replace(whole.utterances[0], words=words, text=" ".join(WORDS))
    return replace(whole, utterances=(first, *whole.utterances[1:]))


def traces(address: str | Path, text: str) -> list[str]:
    """The files of a lake in whose name, bytes or unpacked columns the text occurs."""
    return sorted({name for name, held in everything_in(address) if text.encode() in held})


def everything_in(address: str | Path) -> Iterator[tuple[str, bytes]]:
    """Each file's name with its name and bytes, and each Parquet file's with its columns as text."""
    for path in sorted(Path(address).rglob("*")):
        name = str(path.relative_to(address))
        yield name, name.encode()
        if path.is_file():
            yield name, path.read_bytes()
            if path.suffix == ".parquet":
                yield name, repr(pq.ParquetFile(path).read().to_pylist()).encode()


def rows_of_others(address: str | Path, recording_id: str) -> dict[str, list[dict[str, Any]]]:
    """All that a reader sees of other recordings, names of runs and commits among it."""
    with open_lake(address) as lake:
        tables = {name: lake.sql(f"FROM {name} ORDER BY ALL").to_pylist() for name in EVERY_TABLE}
    return {name: [row for row in rows if row["recording_id"] != recording_id] for name, rows in tables.items()}


def erase_one(lake: Lake) -> None:
    """Erase the canary recording."""
    erase_recordings(lake, find_recordings(lake, [ERASED]), "asked for")


def erase_first_speaker(lake: Lake) -> None:
    """Erase who says the canary words."""
    erase_speaker(lake, find_recordings(lake, [ERASED]), "S1", "asked for")


ERASURES: dict[str, Callable[[Lake], None]] = {"recording": erase_one, "speaker": erase_first_speaker}


def erase_and_die(what: str, point: str, address: Path) -> None:
    """Erase with a failpoint set, in a process of its own."""
    os.environ[VARIABLE] = point
    ERASURES[what](Lake(address))

"""A lake with something of everything, with sound: for tests that look at every page."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmer_ray.lake.corpus_facts import state
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.profiles import RunOptions
from mmer_ray.records import Emotion, ScoredRecording, Utterance
from mmer_ray.stages.keys import Keys
from mmer_ray.tables import CLASSES
from tests.dashboard.lakes import scored_call, utterances, write_tones
from tests.lake.makers import KEYS, a_run, answer, audio_file, failed, newer, plan_of, recording_at, taken

SUPPORT, SALES = "support", "sales"
KEYS_OF_TWO = replace(KEYS, channel_roles=("agent", "customer"))
OTHER_KEYS = newer("emotion", KEYS_OF_TWO)
"""Those of a second emotion model, which no corpus follows."""
QUOTED = """O'Neil "x" %_"""
"""What a search must take as it stands: quotes, and what SQL takes for any text."""
NIGHTS: tuple[tuple[str, str, float], ...] = (
    ("2026-11-20", SUPPORT, 70.0),
    ("2026-11-20", SALES, 55.0),
    ("2026-11-21", SUPPORT, 85.0),
    ("2026-11-23", SUPPORT, 65.0),
    ("2026-11-23", SALES, 60.0),
)
"""Day, corpus and seconds of each call."""
REMARKS: tuple[tuple[int, str, str | None, float], ...] = (
    (1, f"i am {QUOTED} and i am tired of it", "angry", 0.95),
    (2, f"yes {QUOTED}", "happy", 0.9),
    (3, f"no {QUOTED}", "angry", 0.35),
    (4, """o'neil "x" with nothing behind it""", "angry", 0.9),
    (5, f"well {QUOTED}", None, 0.2),
)
"""Said in every call: its place, the words, the label and how sure the model is."""
UNKNOWN = 6
"""The place of what is said by nobody knows whom."""


def whole_lake(folder: Path) -> Lake:
    """Two corpora, one with its facts; a job for each of three nights, the last of which has a file that failed; the
    answers of a second model about `SUPPORT`; roles; answers that are sure, unsure and withheld, and utterances too
    short for one."""
    lake = Lake(folder / "lake")
    calls = [_call(folder, number, *one) for number, one in enumerate(NIGHTS)]
    days = sorted({day for day, *_ in NIGHTS})
    for day in days:
        some = [one for one in calls if one.recording.day == day]
        if day == days[-1]:
            broken = audio_file(folder / SUPPORT, "broken.wav", b"")
            some.append(failed(replace(recording_at(broken, folder / SUPPORT, SUPPORT), day=day, expected_s=9.0)))
        _write(lake, some, KEYS_OF_TWO)
    _write(lake, [_by_other(one) for one in calls if one.recording.corpus == SUPPORT], OTHER_KEYS)
    state(lake, SUPPORT, legal_basis="contract", notice_given=True)
    return lake


def _call(folder: Path, number: int, day: str, corpus: str, duration_s: float) -> ScoredRecording:
    path = folder / corpus / f"call_{number}.wav"
    path.parent.mkdir(exist_ok=True)
    said = utterances(duration_s, random.Random(number))
    for place, text, label, confidence in REMARKS:
        said[place] = replace(said[place], text=text, words=(), emotions=(_sure(label, confidence),))
    said = [_with_role(one, is_known=place != UNKNOWN) for place, one in enumerate(said)]
    write_tones(path, duration_s, said)
    call = scored_call(path, folder / corpus, corpus, duration_s, said)
    return replace(call, recording=replace(call.recording, day=day), stage_seconds={"decode": 0.5, "emotion": 1.0})


def _with_role(one: Utterance, *, is_known: bool) -> Utterance:
    """The first speaker is on the first channel, that of agents."""
    return replace(one, channel=int(one.speaker != "S1"), speaker_is_channel=is_known)


def _sure(label: str | None, confidence: float) -> Emotion:
    """The other classes share what is left."""
    best = label or "neutral"
    rest = (1 - confidence) / (len(CLASSES) - 1)
    shares = {name: confidence if name == best else rest for name in CLASSES}
    return Emotion(
        KEYS.scorer,
        label,
        shares,
        confidence,
        valence=-0.8 if label == "angry" else 0.3,
        arousal=0.5,
        skip_reason=None if label else "low_confidence",
    )


def _by_other(call: ScoredRecording) -> ScoredRecording:
    """The second model takes anger for sadness, and finds everything a little more pleasant."""
    return replace(
        call,
        scorer=OTHER_KEYS.scorer,
        utterances=tuple(replace(one, emotions=tuple(map(_swapped, one.emotions))) for one in call.utterances),
    )


def _swapped(one: Emotion) -> Emotion:
    names = {"angry": "sad", "sad": "angry"}
    return replace(
        one,
        scorer=OTHER_KEYS.scorer,
        label=names.get(one.label or "", one.label),
        probabilities={name: one.probabilities[names.get(name, name)] for name in one.probabilities},
        valence=None if one.valence is None else round(min(1.0, one.valence + 0.1), 3),
    )


def _write(lake: Lake, calls: Sequence[ScoredRecording], keys: Keys) -> None:
    """A job that comes to these answers."""
    plan = plan_of([one.recording for one in calls], lake, keys)
    by_uri = {one.recording.uri: one for one in calls}
    with Writer(lake, a_run(keys), plan, RunOptions(commit_every_s=1e9)) as writer:
        for task in plan.tasks(lake, plan.todo):
            one = by_uri[task.recording.uri]
            writer.add(taken(one if one.status == "failed" else answer(task, keys, one), keys=keys))
        writer.commit()
        writer.finish()

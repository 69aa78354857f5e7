"""RAVDESS (Livingstone and Russo 2018): `Actor_NN/03-01-EE-II-SS-RR-AA.wav`, or .flac.

The parts of a name: modality, vocal channel (01 speech, 02 song), emotion, intensity, sentence, repetition, actor; odd
actors are men.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.assembly import assemble
from mmer_ray.training.corpora.classes import FOUR, Classes
from mmer_ray.training.corpora.named_sounds import matching, sound_files
from mmer_ray.training.utterances import Corpus, Sound, Utterance

SHAPE = "RAVDESS (Actor_NN/03-01-EE-II-SS-RR-AA.wav)"
OWN: Mapping[str, str] = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
OF_FOUR: Mapping[str, str] = {"01": "neutral", "02": "neutral", "03": "happy", "04": "sad", "05": "angry"}
"""Calm counts as neutral: little arousal without grief."""
SENTENCES: Mapping[str, str] = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
NAME = re.compile(
    r"\d\d-(?P<channel>\d\d)-(?P<emotion>0[1-8])-\d\d-(?P<sentence>0[12])-\d\d-(?P<actor>\d\d)"
)  # fmt: skip
SPEECH = "01"


def is_here(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return folder.is_dir() and any(matching(list(folder.glob("Actor_*/*")), NAME))


def read(folder: Path, classes: Classes) -> Corpus:
    """Read the spoken part. Raises `UsageError` where there is none."""
    labels = OF_FOUR if classes == "four" else OWN
    utterances: list[Utterance] = []
    left_out: Counter[str] = Counter()
    for path, name in matching([path for top in sorted(folder.glob("Actor_*")) for path in sound_files(top)], NAME):
        if name["channel"] != SPEECH:
            left_out["song"] += 1
        elif name["emotion"] not in labels:
            left_out[f"label {OWN[name['emotion']]}"] += 1
        else:
            utterances.append(_utterance(path, name, labels))
    if not utterances:
        raise UsageError(f"{folder} holds no labelled speech: expected {SHAPE}, as .flac or .wav")
    return assemble("RAVDESS", utterances, FOUR if classes == "four" else tuple(OWN.values()), left_out)


def _utterance(path: Path, name: re.Match[str], labels: Mapping[str, str]) -> Utterance:
    return Utterance(
        utterance_id=path.stem,
        sound=Sound(path, trimmed=True),
        speaker=name["actor"],
        label=labels[name["emotion"]],
        text=SENTENCES[name["sentence"]],
        sex="male" if int(name["actor"]) % 2 else "female",
        style="scripted",
        sentence=name["sentence"],
        read_from=str(path),
    )

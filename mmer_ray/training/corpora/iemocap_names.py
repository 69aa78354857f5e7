"""What the release of IEMOCAP and the tables made of it have in common: names of turns, classes, the 5,531 rule."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.classes import FOUR, Classes
from mmer_ray.training.utterances import Sex, Style

NAME = "IEMOCAP"
OWN: Mapping[str, str] = {
    "neu": "neutral",
    "hap": "happy",
    "exc": "excited",
    "sad": "sad",
    "ang": "angry",
    "fru": "frustration",
    "sur": "surprise",
    "fea": "fear",
    "dis": "disgust",
    "oth": "other",
}
OF_FOUR: Mapping[str, str] = {"neu": "neutral", "hap": "happy", "exc": "happy", "sad": "sad", "ang": "angry"}
"""Excited counts as happy: the set of 5,531 utterances that most published figures are of."""
NO_MAJORITY = "xxx"
COUNTS: Mapping[str, Mapping[str, int]] = {
    "Session 1": {"ang": 229, "hap": 135, "exc": 143, "neu": 384, "sad": 194},
    "Session 2": {"ang": 137, "hap": 117, "exc": 210, "neu": 362, "sad": 197},
    "Session 3": {"ang": 240, "hap": 135, "exc": 151, "neu": 320, "sad": 305},
    "Session 4": {"ang": 327, "hap": 65, "exc": 238, "neu": 258, "sad": 143},
    "Session 5": {"ang": 170, "hap": 143, "exc": 299, "neu": 384, "sad": 245},
}
"""Utterances of the 5,531 set by session and label of the release."""
TURN = re.compile(
    r"(?P<dialogue>Ses0(?P<session>[1-5])[FM]_(?P<style>impro|script)\w+?)_(?P<who>[FM])\w*\d+", re.ASCII
)  # fmt: skip
BRACKETED = re.compile(r"\[[^\]]*\]|\([^)]*\)")


class Turn(NamedTuple):
    """What the name of a turn says, such as Ses01F_script01_1_M003: session 1, said by its man."""

    session: str
    dialogue: str
    speaker: str
    sex: Sex
    style: Style


def turn_of(name: str, where: str) -> Turn:
    """Read a name. Raises `UsageError` for what is none."""
    if (found := TURN.fullmatch(name)) is None:
        raise UsageError(f"{where}: {name!r} is no turn of IEMOCAP: expected such as Ses01F_impro01_F000")
    return Turn(
        f"Session {found['session']}",
        found["dialogue"],
        f"Ses0{found['session']}{found['who']}",
        "female" if found["who"] == "F" else "male",
        "improvised" if found["style"] == "impro" else "scripted",
    )


def labels_of(classes: Classes) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Code of the release -> label, and the labels in order."""
    return (OF_FOUR, FOUR) if classes == "four" else (OWN, tuple(OWN.values()))


def spoken(text: str) -> str:
    """A transcript without what stands in brackets ([LAUGHTER], (BREATHING)): "" where nothing was said in words."""
    return " ".join(BRACKETED.sub(" ", text).split())


def require_counts(found: Counter[tuple[str, str]], place: str) -> None:
    """Check the sessions' numbers of utterances, (session, code) -> number. Raises `UsageError` where one is off."""
    wrong = []
    for session, counts in COUNTS.items():
        off = [f"{code} {found[session, code]}, not {count}" for code, count in counts.items()
               if found[session, code] != count]  # fmt: skip
        if off:
            total = sum(found[session, code] for code in counts)
            wrong.append(f"{session} has {total} utterances, not {sum(counts.values())} ({'; '.join(off)})")
    if wrong:
        raise UsageError(
            f"{place} is not the IEMOCAP of the 5,531 utterances: {'. '.join(wrong)}. Complete the copy, "
            "or describe what you have in a manifest"
        )

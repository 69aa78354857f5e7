"""EmoDB, the Berlin Database of Emotional Speech (Burkhardt et al. 2005): `wav/AASSSEV.wav`, or .flac.

The parts of a name: actor (two digits), sentence, emotion (of the German names: neutral, Langeweile, Freude, Trauer,
Wut, Angst, Ekel), version.
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

SHAPE = "EmoDB (wav/AASSSEV.wav)"
OWN: Mapping[str, str] = {
    "N": "neutral",
    "L": "boredom",
    "F": "happy",
    "T": "sad",
    "W": "angry",
    "A": "fear",
    "E": "disgust",
}
OF_FOUR: Mapping[str, str] = {"N": "neutral", "L": "neutral", "F": "happy", "T": "sad", "W": "angry"}
"""Boredom counts as neutral, as calm of RAVDESS does: little arousal without grief."""
MEN = frozenset({"03", "10", "11", "12", "15"})
"""By the corpus's own list of its speakers; the median pitch of their neutral speech agrees (108 to 148 Hz, the women's
165 to 212 Hz)."""
NAME = re.compile(r"(?P<actor>\d\d)(?P<sentence>[ab]\d\d)(?P<emotion>[NLFTWAE])[a-z]")


def is_here(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return folder.is_dir() and any(matching(sound_files(folder), NAME))


def read(folder: Path, classes: Classes) -> Corpus:
    """Read a folder; of the sentences there is no text. Raises `UsageError` where there is no speech."""
    labels = OF_FOUR if classes == "four" else OWN
    utterances: list[Utterance] = []
    left_out: Counter[str] = Counter()
    for path, name in matching(sound_files(folder), NAME):
        if name["emotion"] not in labels:
            left_out[f"label {OWN[name['emotion']]}"] += 1
            continue
        utterances.append(
            Utterance(
                utterance_id=path.stem,
                sound=Sound(path, trimmed=True),
                speaker=name["actor"],
                label=labels[name["emotion"]],
                sex="male" if name["actor"] in MEN else "female",
                style="scripted",
                sentence=name["sentence"],
                read_from=str(path),
            )
        )
    if not utterances:
        raise UsageError(f"{folder} holds no labelled speech: expected {SHAPE}, as .flac or .wav")
    return assemble("EmoDB", utterances, FOUR if classes == "four" else tuple(OWN.values()), left_out)

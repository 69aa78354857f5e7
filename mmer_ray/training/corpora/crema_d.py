"""CREMA-D (Cao et al. 2014): `AudioWAV/AAAA_SSS_EEE_LL.wav`, and the votes of the crowd where they lie beside it.

The parts of a name: actor, sentence, acted emotion, intensity. The label is what was acted. The shares are what people
heard: `processedResults/tabulatedVotes.csv` has a row for each clip and way of presenting it, numbered 100000 times the
way plus the clip; way 1 is the voice alone. `VideoDemographics.csv` tells the actors' sex.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.assembly import assemble, shares_of
from mmer_ray.training.corpora.classes import FOUR, Classes
from mmer_ray.training.corpora.named_sounds import matching, sound_files
from mmer_ray.training.corpora.rows import Row, read_csv
from mmer_ray.training.utterances import Corpus, Sex, Sound, Utterance

SHAPE = "CREMA-D (AudioWAV/AAAA_SSS_EEE_LL.wav)"
OWN: Mapping[str, str] = {
    "NEU": "neutral",
    "HAP": "happy",
    "SAD": "sad",
    "ANG": "angry",
    "FEA": "fear",
    "DIS": "disgust",
}
OF_FOUR: Mapping[str, str] = {code: label for code, label in OWN.items() if label in FOUR}
VOTES: Mapping[str, str] = {code[0]: label for code, label in OWN.items()}
"""Column of the votes -> label."""
VOTES_FILE, PEOPLE_FILE = Path("processedResults", "tabulatedVotes.csv"), Path("VideoDemographics.csv")
WAY_DIVISOR, VOICE_ALONE = 100_000, 1
SEXES: Mapping[str, Sex] = {"Male": "male", "Female": "female"}
NAME = re.compile(r"(?P<actor>\d{4})_(?P<sentence>[A-Z]{3})_(?P<emotion>NEU|HAP|SAD|ANG|FEA|DIS)_[A-Z]{2}")


def is_here(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return folder.is_dir() and any(matching(sound_files(folder), NAME))


def read(folder: Path, classes: Classes) -> Corpus:
    """Read a folder; of the sentences there is no text.

    Read with four classes, the shares are those of the votes for the four. Raises `UsageError` where there is no
    speech, and by file and line for votes that are wrong.
    """
    labels = OF_FOUR if classes == "four" else OWN
    votes, sexes = _votes(folder / VOTES_FILE), _sexes(folder / PEOPLE_FILE)
    utterances: list[Utterance] = []
    left_out: Counter[str] = Counter()
    for path, name in matching(sound_files(folder), NAME):
        if name["emotion"] not in labels:
            left_out[f"label {OWN[name['emotion']]}"] += 1
            continue
        counted = {label: votes.get(path.stem, {}).get(label, 0.0) for label in labels.values()}
        utterances.append(
            Utterance(
                utterance_id=path.stem,
                sound=Sound(path, trimmed=True),
                speaker=name["actor"],
                label=labels[name["emotion"]],
                shares=shares_of(counted),
                sex=sexes.get(name["actor"]),
                style="scripted",
                sentence=name["sentence"],
                read_from=str(path),
            )
        )
    if not utterances:
        raise UsageError(f"{folder} holds no labelled speech: expected {SHAPE}, as .flac or .wav")
    return assemble("CREMA-D", utterances, FOUR if classes == "four" else tuple(OWN.values()), left_out)


def _votes(path: Path) -> dict[str, dict[str, float]]:
    """Clip -> label -> votes of those who heard the voice alone."""
    if not path.is_file():
        return {}
    votes = {}
    for row in read_csv(path, ("", *VOTES, "fileName")):
        if int(row.number("")) // WAY_DIVISOR == VOICE_ALONE:
            votes[row.needed("fileName")] = {label: _count(row, column) for column, label in VOTES.items()}
    return votes


def _count(row: Row, column: str) -> float:
    if (count := row.number(column)) < 0:
        raise UsageError(f"{row.where}: {column} is {count:g}, which is no number of votes")
    return count


def _sexes(path: Path) -> dict[str, Sex]:
    if not path.is_file():
        return {}
    rows = read_csv(path, ("ActorID", "Sex"))
    return {row.needed("ActorID"): SEXES[row.one_of("Sex", {name: name for name in SEXES})] for row in rows}

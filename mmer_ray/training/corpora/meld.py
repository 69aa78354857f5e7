"""MELD (Poria et al. 2019): `train_sent_emo.csv`, `dev_sent_emo.csv`, `test_sent_emo.csv` and a film of each utterance.

The films are `dia0_utt0.mp4` in a folder of the part's own; .wav or .flac files made of them count too. The published
parts share speakers, the leading characters: protocols that part speakers are for models of sound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.assembly import assemble
from mmer_ray.training.corpora.classes import FOUR, Classes
from mmer_ray.training.corpora.rows import Row, read_csv
from mmer_ray.training.utterances import Corpus, Sound, Utterance

SHAPE = "MELD (train_sent_emo.csv and train_splits/dia0_utt0.mp4)"
OWN: Mapping[str, str] = {
    "neutral": "neutral",
    "joy": "happy",
    "sadness": "sad",
    "anger": "angry",
    "surprise": "surprise",
    "fear": "fear",
    "disgust": "disgust",
}
OF_FOUR: Mapping[str, str] = {word: label for word, label in OWN.items() if label in FOUR}
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
PARTS: Mapping[str, str] = {"train": "train", "dev": "development", "test": "test"}
"""Part of a file's name -> partition."""
ROOTS = (".", "MELD.Raw", "data/MELD")
FILM_FOLDERS: Mapping[str, tuple[str, ...]] = {
    "train": ("train_splits", "train"),
    "dev": ("dev_splits_complete", "dev"),
    "test": ("output_repeated_splits_test", "test"),
}
"""Beside the table of the part, or in a folder that is named by it."""
SUFFIXES = (".wav", ".flac", ".mp4")
BROKEN = frozenset({"train_dia125_utt3", "dev_dia110_utt7"})
"""Utterances whose film is broken or absent in the published archive."""
_MARKS = {code: bytes([code]).decode("cp1252") for code in (0x85, 0x91, 0x92, 0x93, 0x94, 0x96, 0x97)}
"""Dashes and quotation marks that the tables hold as control characters: Windows-1252 read as Latin-1."""


def is_here(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return _table(folder, "train").is_file()


def read(folder: Path, classes: Classes) -> Corpus:
    """Read the three parts. Raises `UsageError`, by file and line, for what is missing or wrong."""
    by_word = OF_FOUR if classes == "four" else OWN
    left_out: Counter[str] = Counter()
    utterances = [one for part in PARTS for one in _part(folder, part, by_word, left_out)]
    return assemble("MELD", utterances, FOUR if classes == "four" else tuple(OWN.values()), left_out)


def _part(folder: Path, part: str, by_word: Mapping[str, str], left_out: Counter[str]) -> Iterator[Utterance]:
    table = _table(folder, part)
    if not table.is_file():
        raise UsageError(f"{table} is not there: MELD has three tables, of train, dev and test")
    films = [top / name for top in (table.parent, table.parent / part) for name in FILM_FOLDERS[part]]
    for row in read_csv(table, COLUMNS):
        word = row.one_of("Emotion", {name: name for name in OWN})
        film = f"dia{row.needed('Dialogue_ID')}_utt{row.needed('Utterance_ID')}"
        path = _film(films, film)
        if f"{part}_{film}" in BROKEN:
            left_out["film broken or absent in the archive"] += 1
        elif word not in by_word:
            left_out[f"label {OWN[word]}"] += 1
        else:
            yield _utterance(row, part, film, path, by_word[word])


def _utterance(row: Row, part: str, film: str, path: Path, label: str) -> Utterance:
    return Utterance(
        utterance_id=f"{part}_{film}",
        sound=Sound(path),
        speaker=row.needed("Speaker"),
        label=label,
        text=row.text("Utterance").translate(_MARKS),
        dialogue=f"{part}_{film.partition('_')[0]}",
        partition=PARTS[part],
        read_from=row.where,
    )


def _table(folder: Path, part: str) -> Path:
    places = [folder / root / inner / f"{part}_sent_emo.csv" for root in ROOTS for inner in (".", part)]
    return next((path for path in places if path.is_file()), places[0])


def _film(folders: list[Path], name: str) -> Path:
    """The first that is there; else the one that is published."""
    places = [folder / f"{name}{suffix}" for suffix in SUFFIXES for folder in folders]
    return next((path for path in places if path.is_file()), folders[0] / f"{name}.mp4")

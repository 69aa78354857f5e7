"""MSP-Podcast (Lotfian and Busso 2019; Busso et al. 2025): `Labels/labels_consensus.csv`, `Audios`, `Transcripts`.

A row of the labels has the consensus of the raters: a class (X where they do not agree, O where it is another one) and
the means of valence, arousal and dominance on 1..7. `Split_Set` says the partition; where the release has no such
column, `Partitions.txt` does ("Test1; MSP-PODCAST_0001_0008.wav"). Releases differ in who is in which: name yours.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.assembly import assemble
from mmer_ray.training.corpora.classes import FOUR, Classes
from mmer_ray.training.corpora.rows import Row, columns_of, read_csv
from mmer_ray.training.utterances import Corpus, Sex, Sound, Utterance

SHAPE = "MSP-Podcast (Labels/labels_consensus.csv and Audios/MSP-PODCAST_0001_0008.wav)"
OWN: Mapping[str, str] = {
    "N": "neutral",
    "H": "happy",
    "S": "sad",
    "A": "angry",
    "U": "surprise",
    "F": "fear",
    "D": "disgust",
    "C": "contempt",
}
OF_FOUR: Mapping[str, str] = {code: label for code, label in OWN.items() if label in FOUR}
NO_LABEL: Mapping[str, str] = {"X": "X: no agreement", "O": "O: other"}
LABELS_FILE = "labels_consensus.csv"
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender")
PARTITION_COLUMN, PARTITIONS_FILE = "Split_Set", "Partitions.txt"
PARTITIONS: Mapping[str, str] = {
    "Train": "train",
    "Development": "development",
    "Validation": "development",
    "Test": "test",
    "Test1": "test1",
    "Test2": "test2",
    "Test3": "test3",
}
SEXES: Mapping[str, Sex] = {"Male": "male", "Female": "female"}
UNKNOWN = "Unknown"
NAME = re.compile(r"(?P<podcast>MSP-PODCAST_\d+)_\w+\.wav")


def is_here(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return any(path.is_file() for path in _label_files(folder))


def read(folder: Path, classes: Classes) -> Corpus:
    """Read a release. Raises `UsageError`, by file and line, for what is missing or wrong."""
    path = next((path for path in _label_files(folder) if path.is_file()), None)
    if path is None:
        raise UsageError(f"{folder} has no Labels/{LABELS_FILE}: expected {SHAPE}")
    by_code = OF_FOUR if classes == "four" else OWN
    known = {code: code for code in (*OWN, *NO_LABEL)}
    partitions = {} if PARTITION_COLUMN in columns_of(path) else dict(_partitions(folder / PARTITIONS_FILE))
    utterances: list[Utterance] = []
    left_out: Counter[str] = Counter()
    for row in read_csv(path, COLUMNS):
        code = row.one_of("EmoClass", known)
        if code not in by_code:
            left_out[f"label {NO_LABEL.get(code) or OWN[code]}"] += 1
        else:
            utterances.append(_utterance(folder, row, by_code[code], partitions))
    return assemble("MSP-Podcast", utterances, FOUR if classes == "four" else tuple(OWN.values()), left_out)


def _utterance(folder: Path, row: Row, label: str, partitions: Mapping[str, str]) -> Utterance:
    file_name = row.needed("FileName")
    if (name := NAME.fullmatch(file_name)) is None:
        raise UsageError(f"{row.where}: FileName is {file_name!r}, not such as MSP-PODCAST_0001_0008.wav")
    podcast, speaker = name["podcast"], row.needed("SpkrID")
    if partitions and file_name not in partitions:
        raise UsageError(f"{row.where}: {file_name} is not in {PARTITIONS_FILE}")
    partition = partitions[file_name] if partitions else row.one_of(PARTITION_COLUMN, PARTITIONS)
    return Utterance(
        utterance_id=file_name.removesuffix(".wav"),
        sound=Sound(_audio_folder(folder) / file_name),
        # Nobody knows who it is, but it is somebody of this podcast: podcasts are never divided.
        speaker=f"unknown of {podcast}" if speaker == UNKNOWN else speaker,
        label=label,
        text=_text(folder / "Transcripts" / f"{file_name.removesuffix('.wav')}.txt"),
        dimensions=(_scaled(row, "EmoVal"), _scaled(row, "EmoAct"), _scaled(row, "EmoDom")),
        dialogue=podcast,
        sex=SEXES.get(row.text("Gender")),
        partition=partition,
        read_from=row.where,
    )


def _scaled(row: Row, column: str) -> float:
    """1..7 to -1..1."""
    rating = row.number(column)
    if not 1 <= rating <= 7:
        raise UsageError(f"{row.where}: {column} is {rating:g}, outside of 1..7")
    return (rating - 4) / 3


def _text(path: Path) -> str | None:
    return " ".join(path.read_text(encoding="utf-8", errors="replace").split()) if path.is_file() else None


def _label_files(folder: Path) -> tuple[Path, Path]:
    return folder / "Labels" / LABELS_FILE, folder / LABELS_FILE


def _audio_folder(folder: Path) -> Path:
    """Early releases say Audio."""
    return folder / "Audio" if (folder / "Audio").is_dir() else folder / "Audios"


def _partitions(path: Path) -> Iterator[tuple[str, str]]:
    """File name and partition."""
    if not path.is_file():
        raise UsageError(f"{path.parent} has no {PARTITIONS_FILE}, and {LABELS_FILE} no column {PARTITION_COLUMN}")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        name, parted, file_name = (part.strip() for part in line.partition(";"))
        if not parted or name not in PARTITIONS:
            raise UsageError(f"{path.name}:{number}: expected PARTITION; FILE with one of {', '.join(PARTITIONS)}")
        yield file_name, PARTITIONS[name]

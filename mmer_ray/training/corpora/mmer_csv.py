"""IEMOCAP as the published MMER reads it (Ghosh et al. 2023): `iemocap.csv`, a row for each of the 5,531 utterances.

Columns `FileName` (without its suffix), `Sentences` (the transcript), `Label` (ang, exc, hap, neu, sad), and others
that are not needed here. The sound files lie anywhere below the table's folder; in folders of augmented copies, named
`.._aug` or `.._augmented`, none is looked for.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora.assembly import assemble
from mmer_ray.training.corpora.classes import FOUR, Classes
from mmer_ray.training.corpora.iemocap_names import NAME, OF_FOUR, require_counts, spoken, turn_of
from mmer_ray.training.corpora.named_sounds import sound_files
from mmer_ray.training.corpora.rows import Row, columns_of, read_csv
from mmer_ray.training.utterances import Corpus, Sound, Utterance

SHAPE = "MMER's table of IEMOCAP (iemocap.csv with FileName, Sentences, Label; the sounds below its folder)"
COLUMNS = ("FileName", "Sentences", "Label")
TABLE = "iemocap.csv"
AUGMENTED = ("_aug", "_augmented")


def is_here(place: Path) -> bool:
    """Whether a place is such a table, or a folder with one."""
    path = place / TABLE if place.is_dir() else place
    return path.suffix == ".csv" and path.is_file() and set(COLUMNS) <= set(columns_of(path))


def read(place: Path, classes: Classes) -> Corpus:
    """Read the table; it has the four classes only, so that `classes` makes no difference.

    Raises `UsageError` where the sessions' counts are off, where a sound is missing or there twice, and by file and
    line for a label that is missing or unknown.
    """
    path = place / TABLE if place.is_dir() else place
    rows = list(read_csv(path, COLUMNS))
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        row.one_of("Label", OF_FOUR)
        counts[turn_of(row.needed("FileName"), row.where).session, row.text("Label")] += 1
    require_counts(counts, str(path))
    sounds = _sounds(path.parent)
    return assemble(NAME, (_utterance(row, sounds, path.parent) for row in rows), FOUR)


def _utterance(row: Row, sounds: dict[str, Path], folder: Path) -> Utterance:
    name = row.needed("FileName")
    turn = turn_of(name, row.where)
    text = row.text("Sentences")
    return Utterance(
        utterance_id=name,
        sound=Sound(sounds.get(name, folder / f"{name}.wav")),
        speaker=turn.speaker,
        label=row.one_of("Label", OF_FOUR),
        # pandas writes an empty cell as nan.
        text="" if text == "nan" else spoken(text),
        dialogue=turn.dialogue,
        session=turn.session,
        sex=turn.sex,
        style=turn.style,
        read_from=row.where,
    )


def _sounds(folder: Path) -> dict[str, Path]:
    """Name of a turn -> its file."""
    sounds: dict[str, Path] = {}
    for path in sound_files(folder):
        if any(part.endswith(AUGMENTED) for part in path.relative_to(folder).parts[:-1]):
            continue
        if (other := sounds.setdefault(path.stem, path)) != path:
            raise UsageError(f"{other} and {path} have one name: leave one of them below {folder}")
    return sounds

"""A folder or a file in, a corpus out. A new layout is a file of this package and a line in `LAYOUTS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from mmer_ray.errors import UsageError
from mmer_ray.training.corpora import crema_d, emodb, iemocap, manifest, meld, mmer_csv, msp_podcast, ravdess
from mmer_ray.training.corpora.classes import Classes
from mmer_ray.training.utterances import Corpus


class Layout(NamedTuple):
    """How one corpus is published."""

    is_here: Callable[[Path], bool]
    read: Callable[[Path, Classes], Corpus]
    shape: str
    """What a folder of it looks like, for messages."""


LAYOUTS: Mapping[str, Layout] = {
    "mmer_csv": Layout(mmer_csv.is_here, mmer_csv.read, mmer_csv.SHAPE),
    "manifest": Layout(manifest.is_here, manifest.read, manifest.SHAPE),
    "iemocap": Layout(iemocap.is_here, iemocap.read, iemocap.SHAPE),
    "msp_podcast": Layout(msp_podcast.is_here, msp_podcast.read, msp_podcast.SHAPE),
    "meld": Layout(meld.is_here, meld.read, meld.SHAPE),
    "ravdess": Layout(ravdess.is_here, ravdess.read, ravdess.SHAPE),
    "crema_d": Layout(crema_d.is_here, crema_d.read, crema_d.SHAPE),
    "emodb": Layout(emodb.is_here, emodb.read, emodb.SHAPE),
}
"""Kind -> layout. They are asked in this order: those that a marker file tells first, those whose sound files all have
to be listed last."""


def read_corpus(place: Path, kind: str | None = None, classes: Classes = "four") -> Corpus:
    """Read labelled speech from a folder, or from a file that lists it.

    `kind`: one of `LAYOUTS`; None: told by the folder's shape. No sample is read: `clips.load_clip` does, one utterance
    at a time. Raises `UsageError` for what is no such corpus, and, by file and line, for what is wrong in one.
    """
    if not place.exists():
        raise UsageError(f"{place} is not there: name the folder of a corpus, or a manifest")
    if kind is not None and kind not in LAYOUTS:
        raise UsageError(f"{kind} is no kind of corpus: the kinds are {', '.join(LAYOUTS)}")
    return LAYOUTS[kind or _kind_of(place)].read(place, classes)


def _kind_of(place: Path) -> str:
    for kind, layout in LAYOUTS.items():
        if layout.is_here(place):
            return kind
    if place.suffix in manifest.SUFFIXES:
        # It says which column is missing.
        return "manifest"
    shapes = "; ".join(layout.shape for layout in LAYOUTS.values())
    raise UsageError(f"{place} holds no labelled speech that is known by its shape. Expected one of: {shapes}")

"""Labelled folders of acted speech, read into clips at 16 kHz: what `corpora/` finds, all in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmer_ray.errors import UsageError
from mmer_ray.models.interface import Clip
from mmer_ray.training.clips import load_clip
from mmer_ray.training.corpora import crema_d, emodb, ravdess
from mmer_ray.training.utterances import Corpus, Sex

LAYOUTS = (ravdess, crema_d, emodb)


@dataclass(frozen=True)
class LabelledClip:
    """One utterance, who said it and what is felt in it."""

    clip: Clip
    label: str
    speaker: str
    sex: Sex | None = None
    sentence: str | None = None
    """Which of the corpus's sentences is said; None where that is not known."""


def read_ravdess(folder: Path) -> list[LabelledClip]:
    """Read the four feelings of RAVDESS speech (Livingstone and Russo 2018) under `folder/Actor_NN`, sorted by name.

    Samples are float32 at 16 kHz with the silence around the speech cut off. Raises `UsageError` where none is found.
    """
    return _clips(ravdess.read(folder, "four"))


def read_corpus(folder: Path) -> list[LabelledClip]:
    """Read the four feelings of RAVDESS, CREMA-D (Cao et al. 2014) or EmoDB (Burkhardt et al. 2005), by files' names.

    Samples are as of `read_ravdess`; of CREMA-D and EmoDB there is no text. Raises `UsageError` where the folder holds
    none of the three.
    """
    for layout in LAYOUTS:
        if layout.is_here(folder):
            return _clips(layout.read(folder, "four"))
    shapes = ", ".join(layout.SHAPE for layout in LAYOUTS)
    raise UsageError(f"{folder} holds no labelled speech: expected one of {shapes}, as .flac or .wav")


def sexes(clips: list[LabelledClip]) -> dict[str, Sex | None]:
    """Name every speaker and, where known, the sex: what folds are dealt from."""
    return {clip.speaker: clip.sex for clip in clips}


def _clips(corpus: Corpus) -> list[LabelledClip]:
    clips = []
    for one in corpus.utterances:
        assert one.label is not None
        found = load_clip(one)
        clips.append(LabelledClip(Clip(found.samples, found.text), one.label, one.speaker, one.sex, one.sentence))
    return clips

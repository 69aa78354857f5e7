"""Recognized words in place of a corpus's reference transcripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mmer_ray.errors import UsageError
from mmer_ray.normalise import normalise
from mmer_ray.training.corpora.manifest import read_rows
from mmer_ray.training.utterances import Utterance


def read_asr_texts(path: Path) -> dict[str, str]:
    """Utterance id -> recognized words, of a table with the columns utterance_id and text.

    What pandas writes as `nan` was empty text. Raises `UsageError`, by file and line, for what is no such table, and
    for an utterance that comes twice.
    """
    texts: dict[str, str] = {}
    for row in read_rows(path, ("utterance_id", "text")):
        name = row.needed("utterance_id")
        if name in texts:
            raise UsageError(f"{row.where} has words of {name} a second time: keep one of them")
        texts[name] = row.words("text") or ""
    if not texts:
        raise UsageError(f"{path} holds no recognized words")
    return texts


def with_texts(utterances: Sequence[Utterance], texts: Mapping[str, str]) -> tuple[Utterance, ...]:
    """The same utterances with other words. Raises `UsageError` for one that has none."""
    if lacking := [one.utterance_id for one in utterances if one.utterance_id not in texts]:
        raise UsageError(
            f"{len(lacking)} utterances have no recognized words, such as {lacking[0]}: give each a row, with empty "
            "text where nothing was recognized"
        )
    return tuple(replace(one, text=texts[one.utterance_id]) for one in utterances)


def word_error_rate(utterances: Sequence[Utterance], texts: Mapping[str, str]) -> float | None:
    """(Substitutions + deletions + insertions) / words of the reference, over all utterances with a reference; None
    without a word of it. Both are normalised first."""
    import jiwer

    known = [one for one in utterances if normalise(one.text or "", None)]
    if not known:
        return None
    reference = [normalise(one.text or "", None) for one in known]
    return float(jiwer.wer(reference, [normalise(texts[one.utterance_id], None) for one in known]))

"""Which language chunks are in, judged over the window that they were cut from.

A chunk of a second, a laugh or a cough is heard in any language. So each chunk votes with its seconds of speech, and
the window's language is what the votes amount to: the mean of their probabilities, weighted by seconds (a linear
opinion pool: Stone 1961, "The opinion pool"). It is identified in as many places of the window as there are chunks. A
chunk keeps a language of its own only where it is long enough and sure enough, so that a change of language is
followed. A change inside of a chunk is not: the encoder runs once for each.

The window is the unit because it is what is always transcribed together: an answer depends neither on other recordings
nor on how windows are batched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mmer_ray.errors import ProfileError

MIN_CHANGE_S = 3.0
MIN_CHANGE_P = 0.9
"""A chunk that is at least so long and so sure keeps its own language. With base, 48 chunks of English and German
speech of 4 to 30 s have 0.98 and more for the right one; 8 s of noise, tones and music have at most 0.81 for any; of
10 German bits of 0.4 s alone 8 are heard in another language, with up to 0.72."""


class Language(NamedTuple):
    """The language of a chunk."""

    code: str
    p: float | None
    """Its probability among those allowed; None where it was given and not identified."""


class Evidence(NamedTuple):
    """What the model says of one chunk's language."""

    probabilities: Mapping[str, float]
    """Language -> its probability among all that the model knows."""
    seconds: float
    """Speech in the chunk."""


def allowed_languages(wanted: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The languages that speech may be in. Raises `ProfileError` for one that the model does not know."""
    if unknown := [code for code in wanted if code not in known]:
        raise ProfileError(
            f"transcribe.languages: the model of transcribe.model does not read {', '.join(map(repr, unknown))}; "
            f"it reads {', '.join(known)}"
        )
    return tuple(wanted) or tuple(known)


def languages_of(evidence: Sequence[Evidence], allowed: Sequence[str]) -> list[Language]:
    """Choose the language of each chunk of one window, in order, among the allowed.

    `p` is the chunk's own probability where it keeps a language of its own, else the window's.
    """
    shares = [_among(one.probabilities, allowed) for one in evidence]
    total_s = sum(one.seconds for one in evidence)
    pooled = {
        code: sum(share[code] * one.seconds for share, one in zip(shares, evidence, strict=True)) / total_s
        for code in (allowed if evidence else ())
    }
    return [
        own if one.seconds >= MIN_CHANGE_S and own.p is not None and own.p >= MIN_CHANGE_P else _most_probable(pooled)
        for one, own in zip(evidence, map(_most_probable, shares), strict=True)
    ]


def _among(probabilities: Mapping[str, float], allowed: Sequence[str]) -> dict[str, float]:
    """Probabilities of the allowed languages; what the others have is shared out."""
    total = sum(probabilities.get(code, 0.0) for code in allowed)
    return {code: probabilities.get(code, 0.0) / total if total > 0 else 1 / len(allowed) for code in allowed}


def _most_probable(probabilities: Mapping[str, float]) -> Language:
    code = max(probabilities, key=lambda code: probabilities[code])
    return Language(code, probabilities[code])

"""Which language a chunk is in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mmer_ray.errors import ProfileError


class Language(NamedTuple):
    """The language of a chunk."""

    code: str
    p: float | None
    """Its probability among those allowed; None where it was given and not identified."""


def allowed_languages(wanted: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The languages that speech may be in. Raises `ProfileError` for one that the model does not know."""
    if unknown := [code for code in wanted if code not in known]:
        raise ProfileError(
            f"transcribe.languages: the model of transcribe.model does not read {', '.join(map(repr, unknown))}; "
            f"it reads {', '.join(known)}"
        )
    return tuple(wanted) or tuple(known)


def most_probable(probabilities: Mapping[str, float], allowed: Sequence[str]) -> Language:
    """Choose among the allowed languages; what the others have is shared out."""
    code = max(allowed, key=lambda code: probabilities.get(code, 0.0))
    total = sum(probabilities.get(one, 0.0) for one in allowed)
    return Language(code, probabilities.get(code, 0.0) / total if total > 0 else None)

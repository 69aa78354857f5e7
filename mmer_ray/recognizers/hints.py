"""Refusals of what a caller expects of the words and a recognizer cannot heed."""

from __future__ import annotations

from collections.abc import Sequence

from mmer_ray.errors import UsageError
from mmer_ray.records import Expected

LANGUAGES_NAMED = 10
"""So many of the languages that a model reads are named in a refusal."""


def refuse_languages(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Raise `UsageError` for a language that the model does not read."""
    if unknown := [code for code in wanted if code not in known]:
        more = f" and {len(known) - LANGUAGES_NAMED} more" if len(known) > LANGUAGES_NAMED else ""
        raise UsageError(
            f"languages: the model does not read {', '.join(map(repr, unknown))}; "
            f"it reads {', '.join(known[:LANGUAGES_NAMED])}{more}"
        )


def refuse_text(expected: Expected, member: str) -> None:
    """Raise `UsageError` for keywords and earlier text, which this member cannot be told."""
    for field, value in (("keywords", expected.keywords), ("prompt", expected.prompt)):
        if value:
            raise UsageError(
                f"{field}: the recognizer {member} of this profile cannot be told what to expect; leave the field out"
            )

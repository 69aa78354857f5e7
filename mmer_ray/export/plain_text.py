"""Plain text: a line per utterance, for people who read."""

from __future__ import annotations

from collections.abc import Sequence

from mmer_ray.records import Utterance


def to_text(utterances: Sequence[Utterance]) -> str:
    """`S1: text`, by start. Empty for an empty conversation."""
    said = sorted(utterances, key=lambda one: (one.start_s, one.channel))
    return "".join(f"{' '.join(one.called.split())}: {' '.join(one.text.split())}\n" for one in said)

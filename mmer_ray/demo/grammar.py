"""The grammar of call-centre sentences: who would say it, what it feels like, and which split it belongs to."""

from __future__ import annotations

import hashlib
import random
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

Feeling = Literal["angry", "happy", "neutral", "sad"]
Role = Literal["agent", "customer", "short"]
Split = Literal["train", "validation", "demo"]

FEELINGS: tuple[Feeling, ...] = get_args(Feeling)
# Of a hundred sentences: the first are for training, the next for validation, the rest for the demo.
TRAIN_PERCENT, VALIDATION_PERCENT = 80, 8
SLOT = re.compile(r"\{(\w+)\}")
MAX_TRIES = 1_000


@dataclass(frozen=True)
class Sentence:
    """One sentence to speak."""

    spoken: str
    """With capitals and punctuation, as the synthesiser wants it."""
    text: str
    """Lower-case words, apostrophes and single spaces alone: the reference transcript."""
    worded_feeling: Feeling | None
    """The feeling its wording has; None where any voice may say it."""


def words_of(spoken: str) -> str:
    """Reduce a sentence to its words.

    >>> words_of("Oh, that's right!")
    "oh that's right"
    """
    return " ".join(re.sub(r"[^a-z' ]", " ", spoken.lower()).split())


def split_of(text: str) -> Split:
    """Assign a sentence to its split by a stable hash, so that no split ever sees another's sentence."""
    bucket = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") % 100
    if bucket < TRAIN_PERCENT:
        return "train"
    return "validation" if bucket < TRAIN_PERCENT + VALIDATION_PERCENT else "demo"


def draw_sentence(rng: random.Random, role: Role, feeling: Feeling, split: Split, *, free_share: float) -> Sentence:
    """Draw a sentence of the split that this role may say with this feeling.

    `free_share` of the sentences have wordings without feeling; short answers always are.
    """
    for _ in range(MAX_TRIES):
        is_free = role == "short" or rng.random() < free_share
        template = rng.choice(_lines(role, "free" if is_free else feeling))
        spoken = _fill(rng, template)
        text = words_of(spoken)
        if split_of(text) == split:
            return Sentence(spoken[0].upper() + spoken[1:], text, None if is_free else feeling)
    raise RuntimeError(f"the grammar has too few sentences: none of {role}, {feeling}, {split} in {MAX_TRIES} tries")


def vocabulary() -> frozenset[str]:
    """Return every word that the grammar can produce."""
    grammar = _grammar()
    lines = [line for role in ("agent", "customer", "short") for key in grammar[role] for line in _lines(role, key)]
    values = [value for slot_values in _slots().values() for value in slot_values]
    return frozenset(word for line in lines + values for word in words_of(SLOT.sub(" ", line)).split())


def _fill(rng: random.Random, template: str) -> str:
    while SLOT.search(template):
        template = SLOT.sub(lambda match: rng.choice(_slots()[match[1]]), template)
    return template


def _lines(role: str, key: str) -> list[str]:
    lines: list[str] = _grammar()[role][key].get("lines", [])
    return lines


@cache
def _slots() -> dict[str, list[str]]:
    grammar = _grammar()
    return {**grammar["slots"], **grammar["short"]["slots"]}


@cache
def _grammar() -> dict[str, dict[str, Any]]:
    file = resources.files("mmer_ray.demo") / "sentences.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))

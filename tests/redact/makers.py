"""Small conversations and rules."""

from __future__ import annotations

from mmer_ray.records import Utterance, Word
from mmer_ray.redact.passage import passage
from mmer_ray.redact.rules import RULES, RuleSet

NUMBERS = RuleSet([RULES["numbers"]])
BOTH = RuleSet([RULES["numbers"], RULES["email"]])


def spoken(text: str, start_s: float = 0.0, speaker: str = "S1", word_s: float = 0.5, **more: object) -> Utterance:
    """An utterance whose words follow each other, `word_s` seconds each."""
    texts = text.split()
    words = tuple(
        Word(word, start_s + at * word_s, start_s + (at + 1) * word_s, 0.5 + 0.1 * (at % 2))
        for at, word in enumerate(texts)
    )
    return Utterance(start_s, start_s + len(texts) * word_s, 0, speaker, text, words, **more)  # type: ignore[arg-type]


def found(rules: RuleSet, *texts: str, language: str | None = None) -> list[str]:
    """The stretches of text that the rules find."""
    said = passage(texts, [language] * len(texts))
    return [said.text[span.start : span.end] for span in rules.spans(said)]

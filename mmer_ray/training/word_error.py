"""Word error rate."""

from __future__ import annotations

from collections.abc import Sequence


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Count the fewest substitutions, insertions and deletions of words.

    >>> word_errors("a b c".split(), "a x c d".split())
    2
    """
    previous = list(range(len(hypothesis) + 1))
    for row, wanted in enumerate(reference, start=1):
        current = [row]
        for column, heard in enumerate(hypothesis, start=1):
            substituted = previous[column - 1] + (wanted != heard)
            current.append(min(substituted, previous[column] + 1, current[-1] + 1))
        previous = current
    return previous[-1]


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Divide all word errors by all reference words."""
    pairs = list(zip(references, hypotheses, strict=True))
    errors = sum(word_errors(reference.split(), hypothesis.split()) for reference, hypothesis in pairs)
    return errors / max(1, sum(len(reference.split()) for reference in references))

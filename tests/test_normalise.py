"""Text as words are compared."""

from __future__ import annotations

import pytest

from mmer_ray.normalise import normalise


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        (
            "Well, that\u2019s NOT 'good' - is it? \u00c9t\u00e9 10!",
            "en",
            "well that's not good is it \u00e9t\u00e9 10",
        ),
        ("\uff26ull_width\u00a0words", "en", "full width words"),
        ("\u2018quoted\u2019 ' --", "en", "quoted"),
        ("Gr\u00fc\u00dfe aus K\u00f6ln", "de", "gr\u00fc\u00dfe aus k\u00f6ln"),
        ("ISI \u0130ki", "tr", "\u0131s\u0131 iki"),
        # Hindi: vowel signs are marks, not letters, and stay inside their word.
        ("\u0939\u093f\u0902\u0926\u0940, \u0939\u0948", "hi", "\u0939\u093f\u0902\u0926\u0940 \u0939\u0948"),
        ("\u4f60\u597d\uff0c\u4e16\u754c", "zh", "\u4f60 \u597d \u4e16 \u754c"),
        ("Hello.", None, "hello"),
        ("", "en", ""),
    ],
)
def test_words_are_compared_without_case_and_marks_by_the_rules_of_their_language(
    text: str, language: str | None, expected: str
) -> None:
    assert normalise(text, language) == expected
    assert normalise(expected, language) == expected

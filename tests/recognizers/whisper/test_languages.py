"""Which language the chunks of a window are in."""

from __future__ import annotations

import pytest

from mmer_ray.errors import ProfileError
from mmer_ray.recognizers.whisper.languages import (
    MIN_CHANGE_P,
    MIN_CHANGE_S,
    Evidence,
    Language,
    allowed_languages,
    languages_of,
)

KNOWN = ("en", "de", "cy")


def heard(seconds: float, **probabilities: float) -> Evidence:
    return Evidence(probabilities, seconds)


def codes(*evidence: Evidence, allowed: tuple[str, ...] = KNOWN) -> list[str]:
    return [language.code for language in languages_of(evidence, allowed)]


def test_a_cough_is_in_the_language_of_its_window_however_sure_it_sounds() -> None:
    call = [heard(29, en=0.98, de=0.01, cy=0.01), heard(0.6, en=0.02, de=0.02, cy=0.96), heard(28, en=0.97, de=0.03)]
    assert codes(*call) == ["en", "en", "en"]
    assert codes(*reversed(call)) == ["en", "en", "en"]


def test_a_long_chunk_that_is_not_sure_is_in_the_language_of_its_window() -> None:
    assert codes(heard(29, en=0.99, de=0.01), heard(8, en=0.1, de=0.1, cy=MIN_CHANGE_P - 0.1)) == ["en", "en"]


def test_a_change_of_language_that_is_long_and_clear_is_followed_and_back_again() -> None:
    english, german = heard(20, en=0.99, de=0.01), heard(MIN_CHANGE_S, en=0.01, de=0.99)
    assert codes(english, german, english, german) == ["en", "de", "en", "de"]


def test_many_unsure_chunks_decide_together() -> None:
    found = languages_of([heard(10, en=0.45, de=0.55)] * 3 + [heard(10, en=0.6, de=0.4)], KNOWN)
    assert [(one.code, one.p) for one in found] == [("de", pytest.approx(0.5125))] * 4


def test_a_vote_weighs_its_seconds() -> None:
    assert codes(heard(2, en=0.2, de=0.8), heard(2, en=0.2, de=0.8), heard(20, en=0.6, de=0.4)) == ["en"] * 3


def test_the_probability_is_the_windows_unless_the_chunk_keeps_its_own() -> None:
    window = languages_of([heard(30, en=0.9, de=0.1), heard(10, en=0.02, de=0.98), heard(1, en=0.3, de=0.7)], KNOWN)
    pooled = (30 * 0.9 + 10 * 0.02 + 1 * 0.3) / 41
    assert window == [Language("en", 0.9), Language("de", 0.98), Language("en", pytest.approx(pooled))]


def test_only_allowed_languages_are_voted_for_and_share_what_the_others_have() -> None:
    (found,) = languages_of([heard(1, en=0.2, de=0.1, cy=0.7)], ("en", "de"))
    assert found == Language("en", pytest.approx(2 / 3))
    (nothing,) = languages_of([heard(1, cy=1.0)], ("en", "de"))
    assert nothing == Language("en", 0.5)


def test_no_evidence_is_no_language() -> None:
    assert languages_of([], KNOWN) == []


def test_languages_are_all_that_the_model_knows_unless_some_are_wanted() -> None:
    assert allowed_languages((), KNOWN) == KNOWN
    assert allowed_languages(("de",), KNOWN) == ("de",)
    with pytest.raises(ProfileError, match="does not read 'xx'; it reads en, de, cy"):
        allowed_languages(("de", "xx"), KNOWN)

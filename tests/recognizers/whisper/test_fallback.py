"""When a text is looked for a second time."""

from __future__ import annotations

import pytest

from mmer_ray.recognizers.whisper import fallback
from mmer_ray.recognizers.whisper.fallback import better, second_search, why_not_believed
from mmer_ray.recognizers.whisper.network import Generated, Search

LOOP = "and then " * 40


@pytest.mark.parametrize(
    ("text", "logprob", "no_speech_p", "reason"),
    [
        ("As you know, I was there.", -0.3, 0.1, None),
        (LOOP, -0.1, 0.1, fallback.COMPRESSION),
        ("As you know.", -1.1, 0.1, fallback.LOGPROB),
        ("As you know.", -1.1, 0.7, None),
    ],
)
def test_a_text_that_repeats_itself_or_is_improbable_is_not_believed(
    text: str, logprob: float, no_speech_p: float, reason: str | None
) -> None:
    assert why_not_believed(text, Generated((), logprob, no_speech_p)) == reason


def test_the_better_text_does_not_repeat_itself_and_then_is_the_more_probable() -> None:
    loop, plain, improbable = Generated((1,), -0.1, 0), Generated((2,), -0.5, 0), Generated((3,), -2.0, 0)
    assert better((LOOP, loop), ("As you know.", plain)) == plain
    assert better(("As you know.", plain), ("Has you no.", improbable)) == plain
    assert better((LOOP, improbable), (LOOP, loop)) == loop


def test_the_second_search_is_wider_and_writes_no_loop() -> None:
    search = second_search(Search(beam_width=5))
    assert search.beam_width > 5
    assert search.no_repeat_ngram > 0
